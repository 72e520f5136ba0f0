//! Tokens to a tree. A slip is reported and stepped over, so that one reading finds several.

use tablewright_core::suggest::{did_you_mean, nearest};

use super::token::{Spanned, Token, tokens};
use super::tree::{Kind, NodeId, Operator, Tree};
use super::{MAX_DEPTH, MAX_PROBLEMS, MAX_TEXT};
use crate::dialect;
use crate::function::Function;
use crate::problem::{Problem, ProblemCode, Span};

/// Reads a formula. The tree is whole only when there are no problems.
pub fn parse(text: &str) -> (Tree, Vec<Problem>) {
    let mut tree = Tree::new();
    let whole = Span::new(0, text.len());
    let refused = |mut tree: Tree, problem| {
        tree.root = tree.push(Kind::Missing, Span::default());
        (tree, vec![problem])
    };
    if text.len() > MAX_TEXT {
        let message = format!("the formula has {} bytes; at most {MAX_TEXT} are read.", text.len());
        let problem = Problem::error(ProblemCode::TooLong, Span::new(MAX_TEXT, text.len()), message)
            .fix("Split it over several formula fields.");
        return refused(tree, problem);
    }
    if text.trim().is_empty() {
        let problem = Problem::error(ProblemCode::EmptyFormula, whole, "the formula is empty.")
            .fix("Write an expression, such as {Price} * 2.");
        return refused(tree, problem);
    }
    let mut problems = Vec::new();
    let tokens = tokens(text, &mut problems);
    let mut parser = Parser { tokens, at: 0, depth: 0, tree, problems, stopped: false };
    parser.tree.root = parser.whole();
    tree = parser.tree;
    problems = parser.problems;
    // A text or name that runs to the end takes the closing parentheses with it.
    let swallowed =
        |p: &Problem| matches!(p.code, ProblemCode::UnterminatedString | ProblemCode::UnterminatedField);
    if problems.iter().any(swallowed) {
        problems.retain(|p| p.code != ProblemCode::UnbalancedParenthesis);
    }
    // One slip can be seen by the reader of tokens and again by the reader of the tree.
    problems.sort_by_key(|p| (p.span.start, p.span.end));
    problems.dedup_by_key(|p| p.span.start);
    problems.truncate(MAX_PROBLEMS);
    (tree, problems)
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    depth: usize,
    tree: Tree,
    problems: Vec<Problem>,
    /// Set when going on would only repeat one problem.
    stopped: bool,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |t| &t.token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(Span::default(), |t| t.span)
    }

    fn advance(&mut self) -> Span {
        let span = self.span();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        span
    }

    fn report(&mut self, problem: Problem) {
        if !self.stopped && self.problems.len() < MAX_PROBLEMS * 2 {
            self.problems.push(problem);
        }
    }

    fn whole(&mut self) -> NodeId {
        let root = self.expression(0);
        while *self.peek() != Token::End && !self.stopped {
            self.stray();
            if *self.peek() != Token::End {
                self.expression(0);
            }
        }
        root
    }

    /// Reports what stands after a whole expression, and steps over it.
    fn stray(&mut self) {
        let span = self.span();
        let problem = match self.peek().clone() {
            Token::Close => Problem::error(
                ProblemCode::UnbalancedParenthesis,
                span,
                "this closing parenthesis has no opening one.",
            )
            .fix("Remove it, or add ( where it belongs."),
            Token::Comma => Problem::error(
                ProblemCode::UnexpectedToken,
                span,
                "a comma stands outside of a function's arguments.",
            )
            .fix("Remove it; numbers are written without thousands separators."),
            Token::Name(name) if is_word_operator(&name) => {
                let upper = name.to_uppercase();
                Problem::error(
                    ProblemCode::UnknownOperator,
                    span,
                    format!("{upper} is a function, not an operator."),
                )
                .fix(format!("Write {upper}(first, second)."))
            }
            Token::Bad => {
                self.advance();
                return;
            }
            token => {
                // The rest is read on, to find its slips too.
                let problem = Problem::error(
                    ProblemCode::UnexpectedToken,
                    span,
                    format!("{} follows a whole expression without an operator between.", shown(&token)),
                )
                .fix("Put an operator such as & or + between, or a comma between arguments.");
                self.report(problem);
                return;
            }
        };
        self.report(problem);
        self.advance();
    }

    fn expression(&mut self, least: u8) -> NodeId {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let span = self.span();
            self.report(
                Problem::error(
                    ProblemCode::TooDeep,
                    span,
                    format!("parentheses and calls are nested more than {MAX_DEPTH} deep here."),
                )
                .fix("Move a part into a formula field of its own."),
            );
            self.stopped = true;
            self.at = self.tokens.len().saturating_sub(1);
            self.depth -= 1;
            return self.tree.push(Kind::Missing, span);
        }
        let mut left = self.operand();
        while let Some(operator) = self.operator() {
            let level = dialect::precedence(operator);
            if level < least {
                break;
            }
            // Operators of one level make one flat chain, so that long sums are not deep.
            let mut rest = Vec::new();
            while let Some(next) = self.operator().filter(|next| dialect::precedence(*next) == level) {
                self.advance();
                rest.push((next, self.expression(level + 1)));
            }
            let end = rest.last().map_or(left, |(_, id)| *id);
            let span = self.tree.node(left).span.to(self.tree.node(end).span);
            left = self.tree.push(Kind::Chain(left, rest), span);
        }
        self.depth -= 1;
        left
    }

    fn operator(&self) -> Option<Operator> {
        match self.peek() {
            Token::Sign(sign) => Operator::of(sign),
            _ => None,
        }
    }

    fn operand(&mut self) -> NodeId {
        let span = self.span();
        match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                self.tree.push(Kind::Number(number), span)
            }
            Token::Text(text) => {
                self.advance();
                self.tree.push(Kind::Text(text), span)
            }
            Token::Field(name) => {
                self.advance();
                self.tree.push(Kind::Field(name), span)
            }
            Token::Name(name) => {
                self.advance();
                if *self.peek() == Token::Open {
                    self.call(&name, span)
                } else {
                    self.tree.push(Kind::Field(name), span)
                }
            }
            Token::Sign("-") => {
                // A run of signs counts as depth, like parentheses.
                self.advance();
                let inner = self.expression(dialect::NEGATION);
                let span = span.to(self.tree.node(inner).span);
                self.tree.push(Kind::Negate(inner), span)
            }
            Token::Open => self.parenthesis(),
            Token::Bad => {
                self.advance();
                self.tree.push(Kind::Missing, span)
            }
            token => {
                self.report(missing(&token, span));
                // An operator is stepped over; what ends an argument is left for its owner.
                if matches!(token, Token::Sign(_)) {
                    self.advance();
                    return self.operand_after_sign();
                }
                self.tree.push(Kind::Missing, span)
            }
        }
    }

    fn operand_after_sign(&mut self) -> NodeId {
        let span = self.span();
        match self.peek() {
            Token::Comma | Token::Close | Token::End | Token::Sign(_) => self.tree.push(Kind::Missing, span),
            _ => self.operand(),
        }
    }

    fn parenthesis(&mut self) -> NodeId {
        let open = self.advance();
        if *self.peek() == Token::Close {
            let span = open.to(self.advance());
            self.report(
                Problem::error(
                    ProblemCode::UnexpectedToken,
                    span,
                    "there is nothing between these parentheses.",
                )
                .fix("Write an expression between them, or remove them."),
            );
            return self.tree.push(Kind::Missing, span);
        }
        let inner = self.expression(0);
        if *self.peek() == Token::Comma {
            let span = self.span();
            self.report(
                Problem::error(
                    ProblemCode::UnexpectedToken,
                    span,
                    "a comma stands outside of a function's arguments.",
                )
                .fix("Remove it, or put a function's name before the parenthesis."),
            );
            while *self.peek() == Token::Comma {
                self.advance();
                self.expression(0);
            }
        }
        self.close(open);
        inner
    }

    /// Reads the `)` that belongs to `open`.
    fn close(&mut self, open: Span) -> Span {
        loop {
            match self.peek() {
                Token::Close => return self.advance(),
                Token::End => {
                    self.report(
                        Problem::error(
                            ProblemCode::UnbalancedParenthesis,
                            open,
                            "this parenthesis is never closed.",
                        )
                        .fix("Add ) where it ends."),
                    );
                    return self.span();
                }
                Token::Bad => {
                    self.advance();
                }
                Token::Comma => return self.span(),
                _ => {
                    self.stray();
                    if !matches!(self.peek(), Token::End | Token::Close | Token::Comma) {
                        self.expression(0);
                    }
                }
            }
        }
    }

    fn call(&mut self, name: &str, name_span: Span) -> NodeId {
        if self.tokens.get(self.at).is_some_and(|t| t.spaced) {
            let gap = Span { start: name_span.end, end: self.span().start };
            self.report(
                Problem::warning(
                    ProblemCode::SpacedCall,
                    gap,
                    format!("Airtable's editor flags a space between {name} and its parenthesis."),
                )
                .fix("Remove the space."),
            );
        }
        let open = self.advance();
        let mut args = Vec::new();
        if *self.peek() != Token::Close {
            loop {
                args.push(self.expression(0));
                while !matches!(self.peek(), Token::Comma | Token::Close | Token::End) {
                    self.stray();
                    if !matches!(self.peek(), Token::Comma | Token::Close | Token::End) {
                        self.expression(0);
                    }
                }
                if *self.peek() != Token::Comma {
                    break;
                }
                self.advance();
            }
        }
        let span = name_span.to(self.close(open));
        let Some(function) = Function::named(name) else {
            self.report(unknown_function(name, name_span));
            return self.tree.push(Kind::UnknownCall(name.to_owned(), args), span);
        };
        let signature = function.signature();
        if !signature.takes(args.len()) && !self.stopped {
            self.report(
                Problem::error(
                    ProblemCode::WrongArity,
                    span,
                    format!("{} takes {}, not {}.", signature.name, signature.arity(), args.len()),
                )
                .fix(format!("Write {}.", signature.shape())),
            );
        }
        self.tree.push(Kind::Call(function, args), span)
    }
}

fn is_word_operator(name: &str) -> bool {
    ["AND", "OR", "NOT", "XOR", "MOD"].iter().any(|word| name.eq_ignore_ascii_case(word))
}

fn shown(token: &Token) -> String {
    match token {
        Token::Number(_) => "a number".into(),
        Token::Text(_) => "a text".into(),
        Token::Name(name) | Token::Field(name) => {
            format!("{:?}", name.chars().take(40).collect::<String>())
        }
        Token::Sign(sign) => format!("{sign:?}"),
        Token::Open => "\"(\"".into(),
        Token::Close => "\")\"".into(),
        Token::Comma => "\",\"".into(),
        Token::Bad => "something unreadable".into(),
        Token::End => "the end".into(),
    }
}

fn missing(token: &Token, span: Span) -> Problem {
    match token {
        Token::Close => {
            Problem::error(ProblemCode::UnexpectedToken, span, "a value is missing before this parenthesis.")
                .fix("Add the value, or remove the comma or operator before it.")
        }
        Token::Comma => {
            Problem::error(ProblemCode::UnexpectedToken, span, "an argument is missing before this comma.")
                .fix("Write the argument; BLANK() stands for nothing.")
        }
        Token::Sign("=") if span.start == 0 => {
            Problem::error(ProblemCode::UnexpectedToken, span, "formulas do not start with =.")
                .fix("Remove the =.")
        }
        Token::Sign(sign) => {
            Problem::error(ProblemCode::UnexpectedToken, span, format!("there is no value before {sign}."))
                .fix("Write a value before the operator, or remove the operator.")
        }
        _ => {
            Problem::error(ProblemCode::UnexpectedToken, span, "the formula ends where a value is expected.")
                .fix("Write the missing value, or remove the last operator.")
        }
    }
}

fn unknown_function(name: &str, span: Span) -> Problem {
    let shown: String = name.chars().take(40).collect();
    let problem = Problem::error(
        ProblemCode::UnknownFunction,
        span,
        format!("there is no function {}.", shown.to_uppercase()),
    );
    match dialect::instead_of(&name.to_uppercase()) {
        Some(instead) => problem.fix(instead),
        None => {
            let near = nearest(name, Function::all().map(|f| f.signature().name));
            problem.fix(match did_you_mean(&near).trim() {
                "" => "The functions are listed in the formula reference.".to_owned(),
                hint => hint.to_owned(),
            })
        }
    }
}
