//! Why a formula gives `#ERROR!` for a row.

use std::fmt;

macro_rules! faults {
    ($($variant:ident $code:literal $message:literal;)*) => {
        /// What went wrong while a formula was worked out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $(#[doc = $message] $variant,)*
        }

        impl Fault {
            /// Its code; stable.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What is wrong and what to do about it.
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }
        }
    };
}

faults! {
    Called "error_called" "ERROR() was reached.";
    NotANumber "not_a_number" "A text that is no number stands where a number is needed; VALUE() reads numbers out of text.";
    NotFinite "not_finite" "The result of a division or root is not a finite number; guard it with IF or ISERROR.";
    DateInArithmetic "date_in_arithmetic" "A date stands where a number is needed; use DATEADD or DATETIME_DIFF.";
    ListAsNumber "list_as_number" "A list of several values stands where one number is needed; use SUM, MAX or another function over the list.";
    NotADate "not_a_date" "A value that is no date stands where a date is needed; DATETIME_PARSE(text, format) reads other ways to write dates.";
    BlankDate "blank_date" "A date is blank; guard it with IF({Date}, …).";
    DateOutOfRange "date_out_of_range" "The date lies outside of the years -9999 to 9999.";
    UnknownUnit "unknown_unit" "Not a unit of time; use milliseconds, seconds, minutes, hours, days, weeks, months, quarters or years.";
    UnknownZone "unknown_zone" "Not a time zone of Airtable's list, such as America/New_York.";
    UnknownLocale "unknown_locale" "Not a locale of Airtable's list, such as fr or en-gb.";
    UnknownWeekday "unknown_weekday" "The first day of the week is \"Sunday\" or \"Monday\".";
    BadPattern "bad_pattern" "The regular expression cannot be used; checking the formula says why.";
    NoMatch "no_match" "Nothing in the text matches the regular expression.";
    OutOfText "out_of_text" "The start lies outside of the text.";
    NegativeCount "negative_count" "A count is negative or no number.";
    NoDigits "no_digits" "The text holds no digits to read a number from.";
    TooLong "too_long" "A text or list became longer than the bound.";
    TooMuchWork "too_much_work" "The formula takes more steps for this row than the bound.";
    FieldError "field_error" "A field the formula uses holds an error.";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}
