//! What is wrong with a formula, where, and what to change.

use std::fmt;

use serde::Serialize;

/// A place in a formula's text: bytes from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        // Formulas are bounded far below 4 GB.
        Self { start: start as u32, end: end as u32 }
    }

    /// From the start of one to the end of the other.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }

    /// The text it covers.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

macro_rules! codes {
    ($($variant:ident $text:literal $doc:literal;)*) => {
        /// The kind of a problem; stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ProblemCode {
            $(#[doc = $doc] $variant,)*
        }

        impl ProblemCode {
            /// The code as it appears in answers.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    EmptyFormula "empty_formula" "Nothing but white space.";
    UnbalancedParenthesis "unbalanced_parenthesis" "A parenthesis without its partner.";
    UnterminatedString "unterminated_string" "A text without its closing quote.";
    UnterminatedField "unterminated_field" "A `{` without its `}`.";
    UnexpectedToken "unexpected_token" "Something where nothing of the kind can stand.";
    UnknownOperator "unknown_operator" "A sign or word the language does not have.";
    SmartQuotes "smart_quotes" "Curly quotes.";
    BadLiteral "bad_literal" "A number or text that is not written as one.";
    UnknownFunction "unknown_function" "No such function.";
    UnknownField "unknown_field" "No such field in the table.";
    MaskedField "masked_field" "A field whose values are hidden from who asks.";
    WrongArity "wrong_arity" "Too few or too many arguments.";
    TooLong "too_long" "The text is over its bound.";
    TooDeep "too_deep" "Parentheses or calls are nested deeper than the bound.";
    Cycle "cycle" "The field would depend on itself.";
    ImpossibleComparison "impossible_comparison" "Values of these types are never equal.";
    WrongType "wrong_type" "An argument of a type the function cannot use.";
    UnknownUnit "unknown_unit" "Not a unit of time.";
    UnknownZone "unknown_zone" "Not a time zone.";
    UnknownLocale "unknown_locale" "Not a locale.";
    BadPattern "bad_pattern" "A regular expression that is not one.";
    SuspiciousFormat "suspicious_format" "A date format that says something else than it seems to.";
    AlwaysTrue "always_true" "A condition that has one outcome.";
    MixedResult "mixed_result" "Sometimes a number, sometimes a text; the field becomes text.";
    SpacedCall "spaced_call" "A space between a function and its parenthesis.";
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The formula is refused.
    Error,
    /// The formula works, but hardly as meant.
    Warning,
}

/// One problem of a formula.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// Its kind.
    pub code: ProblemCode,
    /// How bad it is.
    pub severity: Severity,
    /// Where, in bytes of the formula's text.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Problem {
    /// A problem that refuses the formula.
    pub fn error(code: ProblemCode, span: Span, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, span, message: message.into(), fix: None }
    }

    /// A problem that leaves the formula standing.
    pub fn warning(code: ProblemCode, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Adds what to write instead.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The one to name when there is room for one: a slip in the writing before a name that
    /// does not exist, for the writing may be why.
    pub fn main(problems: &[Self]) -> Option<&Self> {
        let rank = |problem: &Self| match problem.code {
            ProblemCode::UnterminatedString
            | ProblemCode::UnterminatedField
            | ProblemCode::SmartQuotes
            | ProblemCode::BadLiteral
            | ProblemCode::UnknownOperator => 0,
            ProblemCode::UnknownField | ProblemCode::UnknownFunction | ProblemCode::WrongArity => 2,
            _ => 1,
        };
        problems.iter().filter(|problem| problem.is_error()).min_by_key(|problem| rank(problem))
    }

    /// What refuses the formula, one sentence after the other; the first few.
    pub fn joined(problems: &[Self]) -> String {
        let found: Vec<String> =
            problems.iter().filter(|p| p.is_error()).take(5).map(ToString::to_string).collect();
        found.join(" ")
    }

    /// True when it refuses the formula.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.code.as_str(), self.span.start, self.message)?;
        match &self.fix {
            Some(fix) => write!(f, " {fix}"),
            None => Ok(()),
        }
    }
}
