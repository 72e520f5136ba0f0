//! Text to tokens.

use crate::problem::{Problem, ProblemCode, Span};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    /// A bare word: a field or a function.
    Name(String),
    /// A name in braces.
    Field(String),
    /// One of the operators, as written.
    Sign(&'static str),
    Open,
    Close,
    Comma,
    /// Something already reported.
    Bad,
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) span: Span,
    /// True when white space stands before it.
    pub(super) spaced: bool,
}

/// The tokens of `text`; what is no token is reported and stands as [`Token::Bad`].
pub(super) fn tokens(text: &str, problems: &mut Vec<Problem>) -> Vec<Spanned> {
    let mut lexer = Lexer { text, at: 0, problems };
    let mut found = Vec::new();
    loop {
        let before = lexer.at;
        lexer.skip_space();
        let spaced = lexer.at > before;
        let start = lexer.at;
        let token = lexer.next();
        let end = token == Token::End;
        found.push(Spanned { token, span: Span::new(start, lexer.at), spaced });
        if end {
            return found;
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    problems: &'t mut Vec<Problem>,
}

fn starts_name(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn continues_name(c: char) -> bool {
    // Marks continue a name, so that decomposed accents do not split it.
    c == '_' || c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        let length = self.rest().find(|c| !wanted(c)).unwrap_or(self.rest().len());
        self.at += length;
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn report(&mut self, code: ProblemCode, start: usize, message: impl Into<String>, fix: &str) -> Token {
        let problem = Problem::error(code, Span::new(start, self.at), message);
        self.problems.push(if fix.is_empty() { problem } else { problem.fix(fix) });
        Token::Bad
    }

    fn next(&mut self) -> Token {
        let start = self.at;
        let Some(c) = self.peek() else { return Token::End };
        match c {
            '0'..='9' | '.' => return self.number(),
            '"' | '\'' => return self.string(c),
            '{' => return self.field(),
            c if starts_name(c) => return Token::Name(self.take_while(continues_name).to_owned()),
            _ => {}
        }
        for (written, message, fix) in WRONG_SIGNS {
            if self.rest().starts_with(written) {
                self.at += written.len();
                return self.report(ProblemCode::UnknownOperator, start, *message, fix);
            }
        }
        for sign in ["!=", "<=", ">=", "+", "-", "*", "/", "&", "=", "<", ">"] {
            if self.rest().starts_with(sign) {
                self.at += sign.len();
                return Token::Sign(sign);
            }
        }
        self.at += c.len_utf8();
        match c {
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '“' | '”' | '„' | '‘' | '’' | '‚' | '«' | '»' => self.smart_quote(start),
            '}' => self.report(
                ProblemCode::UnexpectedToken,
                start,
                "there is a } without a { before it.",
                "Remove it, or write the field as {Field name}.",
            ),
            '[' | ']' => self.report(
                ProblemCode::UnknownOperator,
                start,
                "square brackets mean nothing here; there are no lists in formulas.",
                "Name several arguments, or use a lookup field.",
            ),
            ';' => self.report(
                ProblemCode::UnknownOperator,
                start,
                "arguments are separated by commas, not by ;.",
                "Write , instead of ;.",
            ),
            c => {
                let message = format!("{c:?} is not part of the formula language.");
                self.report(
                    ProblemCode::UnknownOperator,
                    start,
                    message,
                    "Remove it, or put it in quotes if it is text.",
                )
            }
        }
    }

    /// Reads up to the closing curly quote, so that one slip is one problem.
    fn smart_quote(&mut self, start: usize) -> Token {
        if let Some(length) = self.rest().find(['“', '”', '‘', '’', '»'])
            && let Some(close) = self.text.get(self.at + length..).and_then(|rest| rest.chars().next())
        {
            self.at += length + close.len_utf8();
        }
        self.report(
            ProblemCode::SmartQuotes,
            start,
            "curly quotes do not mark text.",
            "Use straight quotes: \" or '.",
        )
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        let written = self.take_while(|c| c.is_ascii_digit() || c == '.').to_owned();
        let glued = self.peek().is_some_and(starts_name);
        if glued {
            self.take_while(continues_name);
        }
        let points = written.matches('.').count();
        let digits = written.bytes().any(|b| b.is_ascii_digit());
        let value = written.parse::<f64>().ok().filter(|n| n.is_finite());
        match value {
            Some(number) if digits && points <= 1 && !glued => Token::Number(number),
            _ => {
                let shown = Span::new(start, self.at).of(self.text).chars().take(40).collect::<String>();
                let message = format!("{shown:?} is not a number.");
                let fix = if glued {
                    "Numbers have no exponent, unit or letters; a field whose name starts with a digit needs braces: {2nd name}."
                } else {
                    "Write digits with at most one point, such as 12 or 1.5."
                };
                self.report(ProblemCode::BadLiteral, start, message, fix)
            }
        }
    }

    fn string(&mut self, quote: char) -> Token {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        let mut chars = self.text.get(self.at..).unwrap_or_default().char_indices();
        let mut length = None;
        while let Some((at, c)) = chars.next() {
            if c == quote {
                length = Some(at + 1);
                break;
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some((_, c @ ('"' | '\'' | '\\'))) => text.push(c),
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                // An unknown escape keeps its backslash; patterns rely on it.
                Some((_, other)) => text.extend(['\\', other]),
                None => {}
            }
        }
        let Some(length) = length else {
            self.at = self.text.len();
            let message = format!("the text that starts here has no closing {quote}.");
            let fix = format!("Add {quote} where the text ends; write \\{quote} for a quote inside it.");
            return self.report(ProblemCode::UnterminatedString, start, message, &fix);
        };
        self.at += length;
        // 'it's': the quote inside ended the text.
        if self.peek().is_some_and(|c| starts_name(c) || c.is_ascii_digit()) {
            self.take_while(continues_name);
            if self.peek() == Some(quote) {
                self.at += 1;
            }
            let fix = format!(
                "Write a quote inside a text as \\{quote}, or use the other kind of quotes around it."
            );
            return self.report(
                ProblemCode::BadLiteral,
                start,
                "letters follow the closing quote of a text.",
                &fix,
            );
        }
        Token::Text(text)
    }

    fn field(&mut self) -> Token {
        let start = self.at;
        let mut name = String::new();
        let mut chars = self.text.get(self.at + 1..).unwrap_or_default().char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '}' => {
                    self.at += at + 2;
                    if name.is_empty() {
                        return self.report(
                            ProblemCode::UnexpectedToken,
                            start,
                            "{} names no field.",
                            "Write the field's name between the braces.",
                        );
                    }
                    return Token::Field(name);
                }
                '\\' if chars.peek().is_some_and(|(_, c)| matches!(c, '}' | '\\')) => {
                    name.extend(chars.next().map(|(_, c)| c));
                }
                c => name.push(c),
            }
        }
        self.at = self.text.len();
        self.report(
            ProblemCode::UnterminatedField,
            start,
            "the field name that starts here has no closing }.",
            "Add } after the field's name.",
        )
    }
}

/// Signs of other languages, longest first where one starts another.
const WRONG_SIGNS: &[(&str, &str, &str)] = &[
    ("===", "=== is not an operator here.", "Use = to compare."),
    ("!==", "!== is not an operator here.", "Use != for \"not equal\"."),
    ("==", "== is not an operator here.", "Use = to compare."),
    ("<>", "<> is not an operator here.", "Use != for \"not equal\"."),
    ("<<", "<< is not an operator here.", "Use POWER() to multiply by powers of two."),
    (">>", ">> is not an operator here.", "Use POWER() to divide by powers of two."),
    ("=>", "=> is not an operator here.", "Use >= for \"at least\"."),
    ("=<", "=< is not an operator here.", "Use <= for \"at most\"."),
    ("&&", "&& is not an operator here.", "Use AND(a, b); a single & joins texts."),
    ("||", "|| is not an operator here.", "Use OR(a, b)."),
    (":=", ":= is not an operator here.", "Formulas have no variables."),
    ("//", "there are no comments in formulas.", "Remove the comment."),
    ("/*", "there are no comments in formulas.", "Remove the comment."),
    ("**", "** is not an operator here.", "Use POWER(base, exponent)."),
    ("^", "^ is not an operator here.", "Use POWER(base, exponent)."),
    ("%", "% is not an operator here.", "Use MOD(value, divisor), or divide by 100."),
    ("|", "| is not an operator here.", "Use OR(a, b)."),
    ("?", "? is not an operator here.", "Use IF(condition, then, else)."),
    (":", ": is not an operator here.", "Use IF(condition, then, else)."),
];
