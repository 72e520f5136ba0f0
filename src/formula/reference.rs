//! The formula reference as a page, made from the tables of the code.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::dialect::CHOICES;
use crate::function::Function;
use crate::given::{Given, Outcome};

/// The page: every function with its meaning and an example, and how open questions are read.
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    let mut group = "";
    for function in Function::all() {
        let signature = function.signature();
        if signature.group != group {
            group = signature.group;
            let _ = write!(
                page,
                "\n## {group}\n\n| function | meaning | example | result |\n|---|---|---|---|\n"
            );
        }
        let _ = writeln!(
            page,
            "| `{}` | {} | `{}` | {} |",
            signature.shape(),
            cell(signature.meaning),
            cell(signature.example),
            if signature.result.is_empty() {
                "blank".to_owned()
            } else {
                format!("`{}`", cell(signature.result))
            },
        );
    }
    page.push_str(CLOSING);
    page
}

/// Checks that every example of the reference gives the result beside it; the first that does not.
pub fn verify() -> Result<(), String> {
    let fields = json!({"Tags": {"type": "multipleLookupValues", "value": ["red", "blue"]}});
    let given = Given::read(fields.as_object().unwrap_or(&Map::new()), SOME_DAY)?;
    for function in Function::all() {
        let signature = function.signature();
        let shown = match given.evaluate(signature.example, SOME_DAY) {
            Outcome::Value(Value::String(text)) => text,
            Outcome::Value(Value::Null) => String::new(),
            Outcome::Value(other) => other.to_string(),
            other => format!("{other:?}"),
        };
        if shown.trim_end_matches(".0") != signature.result || !signature.example.contains(signature.name) {
            return Err(format!(
                "{} gives {shown}, and the reference says {}",
                signature.example, signature.result
            ));
        }
    }
    Ok(())
}

/// What NOW() means in examples: 2026-11-23T12:00:00Z.
const SOME_DAY: i64 = 1_795_435_200_000;

/// How open questions of the language are read here, as a table.
pub fn choices() -> String {
    let mut table = String::from("| question | here | why | to change it |\n|---|---|---|---|\n");
    for choice in CHOICES {
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} |",
            cell(choice.question),
            cell(choice.reading),
            cell(choice.reason),
            cell(choice.place)
        );
    }
    table
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

const INTRODUCTION: &str = "\
# Formula reference

Fields: `{Field name}`; braces may be left out for one word. Text: `\"…\"` or `'…'`, with `\\\"`, `\\'`, `\\\\`, `\\n`, `\\t`.
Operators: `+ - * /`, `&` joins texts, `= != < <= > >=` compare. There is no `==`, `<>`, `&&`, `||`, `!`, `%` or `^`, and there are no comments.
Conditions give 1 or 0. A blank cell counts as 0 in arithmetic and as \"\" in text. Errors spread to whatever uses them; ISERROR() stops them.
Links read as the names of their records, multiple choices as names, both joined with `, `; files as `name (url)`; dates as ISO texts in GMT.
";

const CLOSING: &str = "
## Dates

Units: milliseconds, seconds, minutes, hours, days, weeks, months, quarters, years, or `ms s m h d w M Q y` (`m` is minutes, `M` months).
Formats: `YYYY YY`, `Q`, `M MM MMM MMMM`, `D DD Do`, `DDD DDDD`, `d dd ddd dddd`, `w ww W WW`, `H HH h hh k kk`, `m mm`, `s ss`, `SSS`, `A a`, `Z ZZ z`, `X x`, `L LL LLL LLLL LT LTS`; text in `[brackets]` stays.

## Regular expressions

RE2: no look-around and no back-references. `\\d \\w \\s \\b` mean ASCII; `\\p{L}` and the like are Unicode.
";
