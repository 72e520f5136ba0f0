//! Where sources about Airtable's formulas disagree or say nothing: what is assumed here.
//!
//! Every choice is one constant, one arm or one small function, here or where its row of
//! [`CHOICES`] says; the guide's table is made from the rows.

use crate::syntax::Operator;

/// One open question and how it is read here.
pub struct Choice {
    /// What is open.
    pub question: &'static str,
    /// How it is read here.
    pub reading: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The constant or function to change.
    pub place: &'static str,
}

/// How tightly an operator binds; higher binds tighter.
pub fn precedence(operator: Operator) -> u8 {
    match operator {
        Operator::Multiply | Operator::Divide => 4,
        Operator::Add | Operator::Subtract => 3,
        Operator::Join => 2,
        Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual => 1,
    }
}

/// How tightly unary minus binds.
pub const NEGATION: u8 = 5;

/// A field name that matches in another case is that field, if no other has it.
pub const FIELD_NAMES_IGNORE_CASE: bool = true;

/// `{fld…}` names a field by its id.
pub const FIELDS_BY_ID: bool = true;

/// A zero in a formula that may give text or number shows as nothing.
pub const ZERO_IN_MIXED_RESULT_IS_BLANK: bool = true;

/// SEARCH finds `A` in `a`.
pub const SEARCH_IGNORES_CASE: bool = true;

/// What ARRAYJOIN puts between items when no separator is given.
pub const ARRAYJOIN_SEPARATOR: &str = ",";

/// What joins the items of a list read as text.
pub const LIST_SEPARATOR: &str = ", ";

/// ARRAYFLATTEN also drops empty texts.
pub const FLATTEN_DROPS_EMPTY: bool = true;

/// The unit of DATETIME_DIFF when none, or an unknown one, is given.
pub const DEFAULT_DIFFERENCE: crate::moment::Unit = crate::moment::Unit::Second;

/// WORKDAY_DIFF counts the first day too.
pub const WORKDAY_DIFF_COUNTS_START: bool = true;

/// The format of DATETIME_FORMAT without one.
pub const DEFAULT_DATE_FORMAT: &str = "YYYY-MM-DDTHH:mm:ssZ";

/// The remainder of a division.
pub fn modulo(value: f64, divisor: f64) -> f64 {
    value % divisor
}

/// ROUNDUP and ROUNDDOWN of a negative number go away from and toward zero.
pub const ROUND_UP_IS_AWAY_FROM_ZERO: bool = true;

/// A text that is all number counts as that number in arithmetic and comparisons; other text
/// is an error in arithmetic.
pub const NUMERIC_TEXT_IS_NUMBER: bool = true;

/// Milliseconds of one unit of `date - date`.
pub const DATE_MINUS_DATE_UNIT: f64 = 1000.0;

/// AVERAGE, MIN and MAX leave blank arguments out.
pub const STATISTICS_SKIP_BLANKS: bool = true;

/// What to write instead of a function other spreadsheets have.
pub fn instead_of(function: &str) -> Option<&'static str> {
    Some(match function {
        "IFERROR" => "Use IF(ISERROR(value), otherwise, value).",
        "CONCAT" | "TEXTJOIN" => "Use CONCATENATE(…), the & operator, or ARRAYJOIN(list, separator).",
        "ISBLANK" => "Use {Field} = BLANK(), or NOT({Field}).",
        "DATEDIFF" | "DATEDIF" => "Use DATETIME_DIFF(end, start, \"days\").",
        "COUNTIF" | "SUMIF" | "AVERAGEIF" => "Use a rollup field with conditions.",
        "TEXT" => "Use DATETIME_FORMAT for dates, ROUND(…) & \"\" for numbers.",
        "LOG10" => "Use LOG(value), whose base is 10.",
        "SPLIT" => "Use REGEX_EXTRACT, or LEFT, MID and FIND.",
        "PI" => "Write 3.141592653589793.",
        "POW" => "Use POWER(base, exponent).",
        "LENGTH" => "Use LEN(text).",
        "SUBSTR" | "SUBSTRING" => "Use MID(text, start, count).",
        "CONTAINS" => "Use FIND(needle, text) > 0.",
        "DATE" => "Use DATETIME_PARSE(\"2026-01-31\").",
        "WEEK" | "ISOWEEKNUM" => "Use WEEKNUM(date), or DATETIME_FORMAT(date, \"W\") for ISO weeks.",
        "PROPER" => "Use UPPER(LEFT(text, 1)) & LOWER(MID(text, 2, LEN(text))).",
        "ISNUMBER" => "Use ISERROR(VALUE(text)).",
        "VLOOKUP" | "HLOOKUP" | "XLOOKUP" | "INDEX" | "MATCH" => "Link the tables and use a lookup field.",
        "EOMONTH" => {
            "Use DATEADD(DATETIME_PARSE(DATETIME_FORMAT(date, \"YYYY-MM\")), 1, \"months\") minus a day."
        }
        _ => return None,
    })
}

/// Every choice, for the guide.
pub const CHOICES: &[Choice] = &[
    Choice {
        question: "Which operators bind tighter?",
        reading: "Unary -, then * and /, + and -, &, comparisons; left to right.",
        reason: "No page says; spreadsheets agree on it, and formulas like \"Total: \" & 5 * 2 rely on it.",
        place: "`precedence` in `dialect.rs`",
    },
    Choice {
        question: "Do field names care for upper and lower case?",
        reading: "The exact name wins; otherwise case is ignored when one field matches.",
        reason: "The reference says they do, the API's messages say they do not; this takes both.",
        place: "`FIELD_NAMES_IGNORE_CASE` in `dialect.rs`",
    },
    Choice {
        question: "May a field be named by its id?",
        reading: "Yes, {fld…} works.",
        reason: "Airtable stores formulas so; newer clients send it.",
        place: "`FIELDS_BY_ID` in `dialect.rs`",
    },
    Choice {
        question: "TRUE, FALSE and BLANK without parentheses?",
        reading: "They are field names; TRUE() is the function.",
        reason: "The reference only shows the form with parentheses.",
        place: "`operand` in `syntax/parse.rs`",
    },
    Choice {
        question: "A formula that gives text or number: what is a zero?",
        reading: "Numbers become text, a zero shows as nothing unless joined with \"\".",
        reason: "The one report about it says so.",
        place: "`ZERO_IN_MIXED_RESULT_IS_BLANK` in `dialect.rs`",
    },
    Choice {
        question: "Does SEARCH care for case?",
        reading: "No; FIND does.",
        reason: "Client libraries and editors document it so.",
        place: "`SEARCH_IGNORES_CASE` in `dialect.rs`",
    },
    Choice {
        question: "Where does MID count from?",
        reading: "From 1.",
        reason: "Every published formula does; one example of the reference does not.",
        place: "`F::Mid` in `call/text.rs`",
    },
    Choice {
        question: "What does ARRAYJOIN put between items by default?",
        reading: "A comma without a space.",
        reason: "Published formulas that leave it out count commas.",
        place: "`ARRAYJOIN_SEPARATOR` in `dialect.rs`",
    },
    Choice {
        question: "Does ARRAYFLATTEN drop empty texts?",
        reading: "Yes.",
        reason: "The reference's example does, though its text does not say so.",
        place: "`FLATTEN_DROPS_EMPTY` in `dialect.rs`",
    },
    Choice {
        question: "The unit of DATETIME_DIFF when it is left out or unknown?",
        reading: "Seconds; an unknown one is also reported by the checker.",
        reason: "The reference says seconds for the default and both seconds and milliseconds for unknown ones.",
        place: "`DEFAULT_DIFFERENCE` in `dialect.rs`",
    },
    Choice {
        question: "Does WORKDAY_DIFF count its first day?",
        reading: "Yes, both ends count.",
        reason: "The reference's translation says so.",
        place: "`WORKDAY_DIFF_COUNTS_START` in `dialect.rs`",
    },
    Choice {
        question: "Week numbers that start on Monday: ISO weeks?",
        reading: "No: the week of 1 January is week 1, as with Sunday.",
        reason: "The reference states that rule without an exception; DATETIME_FORMAT's W gives ISO weeks.",
        place: "`F::Weeknum` in `call/date.rs`",
    },
    Choice {
        question: "DATETIME_FORMAT without a format?",
        reading: "YYYY-MM-DDTHH:mm:ssZ.",
        reason: "Moment's own default.",
        place: "`DEFAULT_DATE_FORMAT` in `dialect.rs`",
    },
    Choice {
        question: "The sign of MOD?",
        reading: "That of the first argument.",
        reason: "The reference calls it the remainder.",
        place: "`modulo` in `dialect.rs`",
    },
    Choice {
        question: "ROUNDUP and ROUNDDOWN of negative numbers?",
        reading: "Away from zero, toward zero.",
        reason: "The reference's translation says so.",
        place: "`ROUND_UP_IS_AWAY_FROM_ZERO` in `dialect.rs`",
    },
    Choice {
        question: "EVEN and ODD of negative numbers?",
        reading: "Away from zero.",
        reason: "The reference's examples.",
        place: "`away` and `odd` in `call/number.rs`",
    },
    Choice {
        question: "Text in arithmetic?",
        reading: "A text that is all number counts as one; other text is an error.",
        reason: "Client libraries quote numbers freely; an error beats a silent 0.",
        place: "`NUMERIC_TEXT_IS_NUMBER` in `dialect.rs`",
    },
    Choice {
        question: "Is 5 = \"5\"?",
        reading: "Yes; a text that is no number is compared as text.",
        reason: "As above.",
        place: "`NUMERIC_TEXT_IS_NUMBER` in `dialect.rs`",
    },
    Choice {
        question: "Date minus date?",
        reading: "Seconds between them; the checker suggests DATETIME_DIFF.",
        reason: "The reference shows the subtraction and no unit; seconds is DATETIME_DIFF's default.",
        place: "`DATE_MINUS_DATE_UNIT` in `dialect.rs`",
    },
    Choice {
        question: "Blank arguments of AVERAGE, MIN and MAX?",
        reading: "Left out.",
        reason: "As spreadsheets do.",
        place: "`STATISTICS_SKIP_BLANKS` in `dialect.rs`",
    },
    Choice {
        question: "A number that is not finite?",
        reading: "It stays special through arithmetic and rounding; every other use of it is an error.",
        reason: "The reference counts it among the errors, which propagate.",
        place: "`finite` and `truth` in `value.rs`",
    },
    Choice {
        question: "A blank date?",
        reading: "An error in every date function; before any other date in < and >.",
        reason: "Reported for DATETIME_DIFF.",
        place: "`date` and `order` in `value.rs`",
    },
    Choice {
        question: "REGEX_EXTRACT with a group?",
        reading: "The whole match.",
        reason: "The reference says: the first substring that matches.",
        place: "`RegexExtract` in `call/text.rs`",
    },
    Choice {
        question: "A regular expression RE2 does not have?",
        reading: "The formula is valid and gives an error for every row; the checker warns and says why.",
        reason: "Nothing says that Airtable refuses to save it.",
        place: "`lint.rs`",
    },
    Choice {
        question: "Does writing the value a cell has already count as an edit?",
        reading: "No, neither for LAST_MODIFIED_TIME nor for last-modified fields; nor does a link made from the other side.",
        reason: "Nothing changed that a person would see.",
        place: "`put` in `src/engine/local/apply.rs`",
    },
    Choice {
        question: "LAST_MODIFIED_TIME() of a record that nobody edited?",
        reading: "When it was created; blank when it names fields.",
        reason: "A record is as old as its making; the reference says no more than that it may be blank.",
        place: "`modified` in `src/engine/compute/view.rs`",
    },
    Choice {
        question: "LAST_MODIFIED_TIME of fields nothing is known of, in a filter?",
        reading: "Refused, with the field to add; a formula field keeps its own times.",
        reason: "Blank would be a wrong answer.",
        place: "`knows_edits` in `src/engine/compute/view.rs`",
    },
    Choice {
        question: "ERROR(\"message\")?",
        reading: "Refused; ERROR() takes nothing.",
        reason: "Only that form is documented.",
        place: "its line in `function.rs`",
    },
    Choice {
        question: "FROMNOW and TONOW?",
        reading: "Moment's words, such as \"2 months\", in the locale of SET_LOCALE.",
        reason: "The reference's examples read so.",
        place: "`F::FromNow` in `call/date.rs`",
    },
];
