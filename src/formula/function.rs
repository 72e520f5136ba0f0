//! Every function of the language in one table: what it takes, gives and means.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::kinds::Kinds;

/// What an argument should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Anything.
    Any,
    /// Something read as a number.
    Number,
    /// Something read as a text.
    Text,
    /// A date, or a text that is one.
    Date,
    /// Something true or false.
    Truth,
    /// A list.
    List,
    /// A unit of time.
    Unit,
    /// A date format.
    Format,
    /// A regular expression.
    Pattern,
    /// A time zone.
    Zone,
    /// A locale.
    Locale,
    /// "Sunday" or "Monday".
    Weekday,
    /// A field, by its name.
    Field,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its name in the reference.
    pub name: &'static str,
    /// What it should be.
    pub want: Want,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub repeats: bool,
}

/// What a function takes, gives and means.
#[derive(Debug)]
pub struct Signature {
    /// As it is written.
    pub name: &'static str,
    /// The heading it stands under in the reference.
    pub group: &'static str,
    /// What it takes.
    pub params: Vec<Param>,
    /// What it can give.
    pub gives: Kinds,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// A formula that uses it.
    pub example: &'static str,
    /// The value of that formula, as text.
    pub result: &'static str,
}

impl Signature {
    /// Whether it takes this many arguments.
    pub fn takes(&self, count: usize) -> bool {
        let least = self.params.iter().filter(|p| !p.optional).count();
        let unbounded = self.params.iter().any(|p| p.repeats);
        count >= least && (unbounded || count <= self.params.len())
    }

    /// The parameter an argument stands for.
    pub fn param(&self, at: usize) -> Option<&Param> {
        self.params.get(at).or_else(|| self.params.last().filter(|p| p.repeats))
    }

    /// How many arguments it takes, in words.
    pub fn arity(&self) -> String {
        let least = self.params.iter().filter(|p| !p.optional).count();
        let plural = |n: usize| if n == 1 { "1 argument".to_owned() } else { format!("{n} arguments") };
        if self.params.iter().any(|p| p.repeats) {
            format!("at least {}", plural(least))
        } else if least == self.params.len() {
            if least == 0 { "no arguments".into() } else { plural(least) }
        } else {
            format!("{least} to {}", plural(self.params.len()))
        }
    }

    /// The call with its parameters, such as `ROUND(value, precision?)`.
    pub fn shape(&self) -> String {
        let params: Vec<String> = self
            .params
            .iter()
            .map(|p| {
                format!(
                    "{}{}{}",
                    p.name,
                    if p.repeats { ", …" } else { "" },
                    if p.optional { "?" } else { "" }
                )
            })
            .collect();
        format!("{}({})", self.name, params.join(", "))
    }
}

/// `name:want`, with `?` for optional and `…` for repeated.
fn params(written: &'static str) -> Vec<Param> {
    written
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (part, repeats) = part.strip_suffix('…').map_or((part, false), |part| (part, true));
            let (part, optional) = part.strip_suffix('?').map_or((part, false), |part| (part, true));
            let (name, want) = part.split_once(':').unwrap_or((part, "any"));
            let want = match want {
                "number" => Want::Number,
                "text" => Want::Text,
                "date" => Want::Date,
                "truth" => Want::Truth,
                "list" => Want::List,
                "unit" => Want::Unit,
                "format" => Want::Format,
                "pattern" => Want::Pattern,
                "zone" => Want::Zone,
                "locale" => Want::Locale,
                "weekday" => Want::Weekday,
                "field" => Want::Field,
                _ => Want::Any,
            };
            Param { name, want, optional, repeats }
        })
        .collect()
}

macro_rules! functions {
    ($($group:literal { $($function:ident $name:literal ($params:literal) -> $gives:ident, $meaning:literal, $example:literal => $result:literal;)* })*) => {
        /// A function of the language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Function {
            $($(#[doc = $meaning] $function,)*)*
        }

        const ALL: &[Function] = &[$($(Function::$function,)*)*];

        static SIGNATURES: LazyLock<Vec<Signature>> = LazyLock::new(|| vec![$($(Signature {
            name: $name,
            group: $group,
            params: params($params),
            gives: Kinds::$gives,
            meaning: $meaning,
            example: $example,
            result: $result,
        },)*)*]);
    };
}

static BY_NAME: LazyLock<FxHashMap<&'static str, Function>> =
    LazyLock::new(|| ALL.iter().map(|f| (f.signature().name, *f)).collect());

impl Function {
    /// All of them, in the order of the reference.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    /// The function of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        (name.len() <= 24).then(|| BY_NAME.get(name.to_uppercase().as_str()).copied())?
    }

    /// What it takes, gives and means.
    pub fn signature(self) -> &'static Signature {
        &SIGNATURES[self as usize]
    }

    /// True when its value is not settled by its arguments alone.
    pub fn is_volatile(self) -> bool {
        matches!(
            self,
            Self::Now
                | Self::Today
                | Self::FromNow
                | Self::ToNow
                | Self::CreatedTime
                | Self::LastModifiedTime
                | Self::RecordId
                // Parts of a date that a text leaves out come from today.
                | Self::DatetimeParse
        )
    }
}

functions! {
    "Text" {
        ArrayJoin "ARRAYJOIN" ("list, separator:text?") -> TEXT, "The items of a list as one text.", "ARRAYJOIN({Tags}, \"; \")" => "red; blue";
        Concatenate "CONCATENATE" ("text:text…") -> TEXT, "The arguments joined to one text; the same as &.", "CONCATENATE(\"a\", \"b\", 3)" => "ab3";
        EncodeUrlComponent "ENCODE_URL_COMPONENT" ("text:text") -> TEXT, "The text with everything percent-encoded but letters, digits and - _ . ~.", "ENCODE_URL_COMPONENT(\"chicken & waffles\")" => "chicken%20%26%20waffles";
        Exact "EXACT" ("first:text, second:text") -> BOOL, "1 when both texts are identical, case included.", "EXACT(\"Ab\", \"ab\")" => "0";
        Find "FIND" ("needle:text, text:text, start:number?") -> NUM, "Where the needle first stands in the text, from 1; 0 when it does not. Case matters.", "FIND(\"b\", \"abc\")" => "2";
        Left "LEFT" ("text:text, count:number") -> TEXT, "The first characters of the text.", "LEFT(\"quick\", 2)" => "qu";
        Len "LEN" ("text:text") -> NUM, "How many characters the text has.", "LEN(\"quick brown fox\")" => "15";
        Lower "LOWER" ("text:text") -> TEXT, "The text in lower case.", "LOWER(\"ABC\")" => "abc";
        Mid "MID" ("text:text, start:number, count:number") -> TEXT, "Characters from the middle of the text; start counts from 1.", "MID(\"quick brown fox\", 7, 5)" => "brown";
        RegexExtract "REGEX_EXTRACT" ("text:text, pattern:pattern") -> TEXT, "The first part of the text that matches the pattern; an error when none does.", "REGEX_EXTRACT(\"Order 123\", \"[0-9]+\")" => "123";
        RegexMatch "REGEX_MATCH" ("text:text, pattern:pattern") -> BOOL, "1 when a part of the text matches the pattern.", "REGEX_MATCH(\"Order 123\", \"[0-9]+\")" => "1";
        RegexReplace "REGEX_REPLACE" ("text:text, pattern:pattern, replacement:text") -> TEXT, "The text with all matches replaced; $1 to $9 stand for groups.", "REGEX_REPLACE(\"2026-05\", \"([0-9]+)-([0-9]+)\", \"$2/$1\")" => "05/2026";
        Replace "REPLACE" ("text:text, start:number, count:number, replacement:text") -> TEXT, "The text with some characters replaced; start counts from 1.", "REPLACE(\"database\", 2, 5, \"o\")" => "dose";
        Rept "REPT" ("text:text, count:number") -> TEXT, "The text repeated.", "REPT(\"Hi! \", 3)" => "Hi! Hi! Hi! ";
        Right "RIGHT" ("text:text, count:number") -> TEXT, "The last characters of the text.", "RIGHT(\"quick\", 2)" => "ck";
        Search "SEARCH" ("needle:text, text:text, start:number?") -> NUM_OR_BLANK, "Like FIND, but blank when nothing is found, and case does not matter.", "SEARCH(\"B\", \"abc\")" => "2";
        Substitute "SUBSTITUTE" ("text:text, old:text, new:text, index:number?") -> TEXT, "The text with every old replaced by new, or only the index-th.", "SUBSTITUTE(\"gold mold\", \"old\", \"et\", 1)" => "get mold";
        T "T" ("value") -> TEXT_OR_BLANK, "The value if it is text, else blank.", "T(\"text\")" => "text";
        Trim "TRIM" ("text:text") -> TEXT, "The text without white space at its ends.", "TRIM(\" a b \")" => "a b";
        Upper "UPPER" ("text:text") -> TEXT, "The text in upper case.", "UPPER(\"abc\")" => "ABC";
        Value "VALUE" ("text:text") -> NUM, "The number in a text, without currency signs and separators.", "VALUE(\"$1,250.50\")" => "1250.5";
    }
    "Logic" {
        And "AND" ("condition:truth…") -> BOOL, "1 when all conditions hold.", "AND(1 < 2, 2 < 3)" => "1";
        Blank "BLANK" ("") -> BLANK, "Nothing.", "BLANK()" => "";
        Error "ERROR" ("") -> ERROR, "An error.", "ISERROR(ERROR())" => "1";
        False "FALSE" ("") -> BOOL, "False, which is 0.", "FALSE()" => "0";
        If "IF" ("condition:truth, then, else?") -> NONE, "The second argument when the condition holds, else the third, or blank.", "IF(2 > 1, \"yes\", \"no\")" => "yes";
        IsError "ISERROR" ("value") -> BOOL, "1 when the value is an error or not a finite number.", "ISERROR(1 / 0)" => "1";
        Not "NOT" ("condition:truth") -> BOOL, "1 when the condition does not hold.", "NOT(1 = 2)" => "1";
        Or "OR" ("condition:truth…") -> BOOL, "1 when any condition holds.", "OR(1 = 2, 2 = 2)" => "1";
        Switch "SWITCH" ("value, pattern, result, more?…") -> NONE, "The result after the first pattern equal to the value; a last lone argument is for the rest.", "SWITCH(2, 1, \"one\", 2, \"two\", \"many\")" => "two";
        True "TRUE" ("") -> BOOL, "True, which is 1.", "TRUE()" => "1";
        Xor "XOR" ("condition:truth…") -> BOOL, "1 when an odd number of conditions holds.", "XOR(1, 0, 0)" => "1";
    }
    "Numbers" {
        Abs "ABS" ("value:number") -> NUM, "The number without its sign.", "ABS(-5)" => "5";
        Average "AVERAGE" ("number…") -> NUM_OR_BLANK, "The average of the numbers; blanks are left out.", "AVERAGE(1, 2, 6)" => "3";
        Ceiling "CEILING" ("value:number, significance:number?") -> NUM, "The nearest multiple of the significance (1) that is not below the value.", "CEILING(7, 5)" => "10";
        Count "COUNT" ("value…") -> NUM, "How many of the values are numbers.", "COUNT(1, 2, 3, \"\", \"four\")" => "3";
        CountA "COUNTA" ("value…") -> NUM, "How many of the values are not empty.", "COUNTA(1, \"a\", \"\", BLANK())" => "2";
        CountAll "COUNTALL" ("value…") -> NUM, "How many values there are, empty ones included.", "COUNTALL(1, \"a\", \"\", BLANK())" => "4";
        Even "EVEN" ("value:number") -> NUM, "The next even number away from zero.", "EVEN(1.5)" => "2";
        Exp "EXP" ("power:number") -> NUM, "e to the power.", "EXP(0)" => "1";
        Floor "FLOOR" ("value:number, significance:number?") -> NUM, "The nearest multiple of the significance (1) that is not above the value.", "FLOOR(7, 5)" => "5";
        Int "INT" ("value:number") -> NUM, "The greatest integer that is not above the value.", "INT(-1.5)" => "-2";
        Log "LOG" ("number:number, base:number?") -> NUM, "The logarithm to the base (10).", "LOG(1024, 2)" => "10";
        Max "MAX" ("number…") -> NUM_OR_BLANK, "The largest number; blanks are left out.", "MAX(3, 12, 7)" => "12";
        Min "MIN" ("number…") -> NUM_OR_BLANK, "The smallest number; blanks are left out.", "MIN(3, 12, 7)" => "3";
        Mod "MOD" ("value:number, divisor:number") -> NUM, "The remainder of a division.", "MOD(7, 4)" => "3";
        Odd "ODD" ("value:number") -> NUM, "The next odd number away from zero.", "ODD(-1.1)" => "-3";
        Power "POWER" ("base:number, exponent:number") -> NUM, "The base to the exponent.", "POWER(3, 3)" => "27";
        Round "ROUND" ("value:number, precision:number?") -> NUM, "The value rounded to so many places (0); halves go up.", "ROUND(-2.5, 0)" => "-2";
        RoundDown "ROUNDDOWN" ("value:number, precision:number?") -> NUM, "The value rounded toward zero.", "ROUNDDOWN(1.29, 1)" => "1.2";
        RoundUp "ROUNDUP" ("value:number, precision:number?") -> NUM, "The value rounded away from zero.", "ROUNDUP(1.21, 1)" => "1.3";
        Sqrt "SQRT" ("value:number") -> NUM, "The square root.", "SQRT(100)" => "10";
        Sum "SUM" ("number…") -> NUM, "The sum of the numbers.", "SUM(1, 2, 3)" => "6";
    }
    "Dates" {
        CreatedTime "CREATED_TIME" ("") -> DATE, "When the record was created.", "IF(CREATED_TIME(), \"known\")" => "known";
        DateAdd "DATEADD" ("date:date, amount:number, unit:unit") -> DATE, "The date so many units later; negative amounts go back.", "DATESTR(DATEADD(\"2024-01-31\", 1, \"months\"))" => "2024-02-29";
        DateStr "DATESTR" ("date:date") -> TEXT, "The date as YYYY-MM-DD.", "DATESTR(\"02/17/2013\")" => "2013-02-17";
        DatetimeDiff "DATETIME_DIFF" ("end:date, start:date, unit:unit?") -> NUM, "Whole units from start to end, truncated; seconds without a unit.", "DATETIME_DIFF(\"2024-03-10\", \"2024-03-01\", \"days\")" => "9";
        DatetimeFormat "DATETIME_FORMAT" ("date:date, format:format?") -> TEXT, "The date in Moment's format tokens.", "DATETIME_FORMAT(\"2024-03-05\", \"D MMM YYYY\")" => "5 Mar 2024";
        DatetimeParse "DATETIME_PARSE" ("text:text, format:format?, locale:locale?") -> DATE, "The date in a text.", "DATESTR(DATETIME_PARSE(\"5 Mar 2024\", \"D MMM YYYY\"))" => "2024-03-05";
        Day "DAY" ("date:date") -> NUM, "The day of the month, 1 to 31.", "DAY(\"2024-03-05\")" => "5";
        FromNow "FROMNOW" ("date:date") -> TEXT, "The time between now and the date, in words.", "FROMNOW(DATEADD(NOW(), -25, \"days\"))" => "25 days";
        Hour "HOUR" ("date:date") -> NUM, "The hour, 0 to 23.", "HOUR(\"2024-03-05 07:08\")" => "7";
        IsAfter "IS_AFTER" ("first:date, second:date") -> BOOL, "1 when the first is later.", "IS_AFTER(\"2024-03-05\", \"2024-03-04\")" => "1";
        IsBefore "IS_BEFORE" ("first:date, second:date") -> BOOL, "1 when the first is earlier.", "IS_BEFORE(\"2024-03-05\", \"2024-03-04\")" => "0";
        IsSame "IS_SAME" ("first:date, second:date, unit:unit?") -> BOOL, "1 when both are the same down to the unit.", "IS_SAME(\"2024-03-05\", \"2024-03-31\", \"month\")" => "1";
        LastModifiedTime "LAST_MODIFIED_TIME" ("field:field?…") -> DATE_OR_BLANK, "When the record, or one of the fields, was last edited.", "ISERROR(LAST_MODIFIED_TIME())" => "0";
        Minute "MINUTE" ("date:date") -> NUM, "The minute, 0 to 59.", "MINUTE(\"2024-03-05 07:08\")" => "8";
        Month "MONTH" ("date:date") -> NUM, "The month, 1 to 12.", "MONTH(\"2024-03-05\")" => "3";
        Now "NOW" ("") -> DATE, "This moment.", "IF(NOW() > \"2020-01-01\", \"later\")" => "later";
        Second "SECOND" ("date:date") -> NUM, "The second, 0 to 59.", "SECOND(\"2024-03-05 07:08:09\")" => "9";
        SetLocale "SET_LOCALE" ("date:date, locale:locale") -> DATE, "The date, to be written in a language by DATETIME_FORMAT.", "DATETIME_FORMAT(SET_LOCALE(\"2024-05-01\", \"fr\"), \"D MMMM YYYY\")" => "1 mai 2024";
        SetTimezone "SET_TIMEZONE" ("date:date, zone:zone") -> DATE, "The date, to be written in a time zone by DATETIME_FORMAT.", "DATETIME_FORMAT(SET_TIMEZONE(\"2024-01-01T18:30:00Z\", \"Asia/Kolkata\"), \"YYYY-MM-DD HH:mm\")" => "2024-01-02 00:00";
        TimeStr "TIMESTR" ("date:date") -> TEXT, "The time as HH:mm:ss.", "TIMESTR(\"2024-03-05 07:08\")" => "07:08:00";
        ToNow "TONOW" ("date:date") -> TEXT, "The time between the date and now, in words.", "TONOW(DATEADD(NOW(), 1, \"days\"))" => "a day";
        Today "TODAY" ("") -> DATE, "Today at 00:00 GMT.", "TIMESTR(TODAY())" => "00:00:00";
        Weekday "WEEKDAY" ("date:date, first:weekday?") -> NUM, "The day of the week: 0 for Sunday, or for Monday when \"Monday\" is given.", "WEEKDAY(\"2024-03-04\")" => "1";
        Weeknum "WEEKNUM" ("date:date, first:weekday?") -> NUM, "The week of the year; the week of 1 January is week 1.", "WEEKNUM(\"02/17/2013\")" => "8";
        Workday "WORKDAY" ("date:date, days:number, holidays:text?") -> DATE, "The date so many working days later; holidays are ISO dates with commas between.", "DATESTR(WORKDAY(\"2024-03-01\", 5))" => "2024-03-08";
        WorkdayDiff "WORKDAY_DIFF" ("start:date, end:date, holidays:text?") -> NUM, "Working days from start to end, both counted.", "WORKDAY_DIFF(\"2024-03-04\", \"2024-03-08\")" => "5";
        Year "YEAR" ("date:date") -> NUM, "The year.", "YEAR(\"2024-03-05\")" => "2024";
    }
    "Lists and records" {
        ArrayCompact "ARRAYCOMPACT" ("list:list") -> LIST, "The list without empty items.", "ARRAYJOIN(ARRAYCOMPACT({Tags}), \"; \")" => "red; blue";
        ArrayFlatten "ARRAYFLATTEN" ("list:list") -> LIST, "Lists inside the list become part of it.", "ARRAYJOIN(ARRAYFLATTEN({Tags}), \"; \")" => "red; blue";
        ArraySlice "ARRAYSLICE" ("list:list, start:number, end:number?") -> LIST, "Items from start to end, both included; negative ones count from the end.", "ARRAYJOIN(ARRAYSLICE({Tags}, -1), \"; \")" => "blue";
        ArrayUnique "ARRAYUNIQUE" ("list:list") -> LIST, "The list without repeated items.", "ARRAYJOIN(ARRAYUNIQUE({Tags}), \"; \")" => "red; blue";
        RecordId "RECORD_ID" ("") -> TEXT, "The record's id.", "LEN(RECORD_ID())" => "17";
    }
}
