//! What a value can be, as a set of kinds: the types of the checker.

/// A set of kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    /// No kind at all.
    pub const NONE: Self = Self(0);
    /// Nothing.
    pub const BLANK: Self = Self(1);
    /// A number.
    pub const NUM: Self = Self(2);
    /// True or false.
    pub const BOOL: Self = Self(4);
    /// A text.
    pub const TEXT: Self = Self(8);
    /// A date.
    pub const DATE: Self = Self(16);
    /// A list of values, as lookups give.
    pub const LIST: Self = Self(32);
    /// A list that reads as text: names of links, choices, files.
    pub const NAMES: Self = Self(64);
    /// An error for certain.
    pub const ERROR: Self = Self(128);
    /// A number or nothing.
    pub const NUM_OR_BLANK: Self = Self(3);
    /// A text or nothing.
    pub const TEXT_OR_BLANK: Self = Self(9);
    /// A date or nothing.
    pub const DATE_OR_BLANK: Self = Self(17);
    /// Whatever.
    pub const ANY: Self = Self(127);

    /// Both sets.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when they share a kind.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True when all kinds of this set are in the other.
    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// This set without the other's kinds.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// In words, such as "a number or a text".
    pub fn words(self) -> String {
        let names = [
            (Self::NUM, "a number"),
            (Self::TEXT, "a text"),
            (Self::DATE, "a date"),
            (Self::BOOL, "true or false"),
            (Self::LIST, "a list"),
            (Self::NAMES, "a list of names"),
            (Self::BLANK, "nothing"),
            (Self::ERROR, "an error"),
        ];
        let found: Vec<&str> =
            names.iter().filter(|(kind, _)| self.meets(*kind)).map(|(_, name)| *name).collect();
        if self == Self::ANY { "anything".to_owned() } else { found.join(" or ") }
    }

    /// The type of a field with such a formula.
    pub fn result(self) -> ResultType {
        let kinds = self.without(Self::BLANK.or(Self::ERROR));
        if self == Self::ANY {
            ResultType::Any
        } else if kinds == Self::NONE {
            // Only blanks or errors: Airtable makes it a text field.
            ResultType::Text
        } else if kinds == Self::BOOL {
            ResultType::Truth
        } else if kinds.within(Self::NUM.or(Self::BOOL)) {
            ResultType::Number
        } else if kinds == Self::DATE {
            ResultType::Date
        } else if kinds == Self::LIST {
            ResultType::List
        } else if kinds.within(Self::TEXT.or(Self::NAMES)) {
            ResultType::Text
        } else {
            ResultType::Mixed
        }
    }
}

/// The type of a formula's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultType {
    /// Numbers.
    Number,
    /// True and false, which show as 1 and 0.
    Truth,
    /// Texts.
    Text,
    /// Dates.
    Date,
    /// Lists, as of lookups.
    List,
    /// Several types; all become text.
    Mixed,
    /// Not known beforehand; values stay as they are.
    Any,
}

impl ResultType {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Truth => "number (1 or 0)",
            Self::Text => "text",
            Self::Date => "date",
            Self::List => "list",
            Self::Mixed => "text (mixed)",
            Self::Any => "any",
        }
    }
}
