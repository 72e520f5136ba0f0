//! Whether records that were found are those of a create whose answer was lost. Nothing here
//! waits or sends.

use serde_json::{Map, Value};
use tablewright_core::model::{Cell, Field, FieldType, RecordId, Table};

use crate::airtable::Record;
use crate::local::natural_cell;

/// A cell as it was sent, where it can be told apart from others when it is read again.
#[derive(Debug, Clone, PartialEq)]
enum Sent {
    /// A text, without white space at its end.
    Text(String),
    /// A number, and how far it may be off.
    Number(f64, f64),
    Checked,
    /// A time, and how far it may be off, in milliseconds.
    Instant(i64, i64),
    /// Choices or linked records, in no order.
    Names(Vec<String>),
}

/// The cells of one record that was sent, by field id.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look(Vec<(String, Sent)>);

/// What records that were found say about a create.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It was carried out: its records, in the order sent.
    Done(Vec<RecordId>),
    /// Nothing like it is there.
    NotDone,
    /// Some of it is there, or more than was sent, or it cannot be told: these may be it.
    Unclear(Vec<RecordId>),
}

impl Look {
    /// What a record that was sent looks like. Cells that may have been converted, that can look
    /// different when read, or that are empty say nothing.
    pub(super) fn of(table: &Table, cells: &Map<String, Value>) -> Self {
        let known = |(id, value): (&String, &Value)| {
            let field = table.field(id).ok()?;
            Some((id.clone(), sent(field, value)?))
        };
        Self(cells.iter().filter_map(known).collect())
    }

    fn fits(&self, table: &Table, record: &Record) -> bool {
        self.0.iter().all(|(id, sent)| {
            let (Some(value), Ok(field)) = (record.fields.get(id), table.field(id)) else { return false };
            sent.is(field, value)
        })
    }
}

fn sent(field: &Field, value: &Value) -> Option<Sent> {
    match &field.kind {
        FieldType::SingleSelect(_) => {
            let name = choice(field, value)?;
            return (!name.is_empty()).then(|| Sent::Names(vec![name]));
        }
        FieldType::MultipleSelects(_) => {
            let names = value.as_array()?.iter().map(|item| choice(field, item));
            return Sent::names(names.collect::<Option<_>>()?);
        }
        FieldType::Links(_) => {
            let ids = value.as_array()?.iter().map(|item| item.as_str()?.parse::<RecordId>().ok());
            return Sent::names(ids.map(|id| Some(id?.to_string())).collect::<Option<_>>()?);
        }
        _ => {}
    }
    match natural_cell(field, value)? {
        Cell::Text(text) => Some(Sent::Text(plain(&text))).filter(|sent| *sent != Sent::Text(String::new())),
        Cell::Number(number) => Some(Sent::Number(number, tolerance(field))),
        Cell::Checked => Some(Sent::Checked),
        Cell::Instant(ms) => Some(Sent::Instant(ms, if field.kind == FieldType::Date { 0 } else { 60_000 })),
        _ => None,
    }
}

impl Sent {
    fn names(mut names: Vec<String>) -> Option<Self> {
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then_some(Self::Names(names))
    }

    /// Whether a cell that was read is this one.
    fn is(&self, field: &Field, value: &Value) -> bool {
        match self {
            Self::Text(text) => value.as_str().is_some_and(|read| plain(read) == *text),
            Self::Number(number, off) => value.as_f64().is_some_and(|read| (read - number).abs() <= *off),
            Self::Checked => *value == Value::Bool(true),
            Self::Instant(ms, off) => match Cell::from_json(field, value) {
                Cell::Instant(read) => (read - ms).abs() <= *off,
                _ => false,
            },
            Self::Names(names) => {
                let read = match value {
                    Value::String(name) => vec![name.trim().to_owned()],
                    Value::Array(items) => {
                        items.iter().filter_map(|item| Some(item.as_str()?.trim().to_owned())).collect()
                    }
                    _ => return false,
                };
                Self::names(read).as_ref() == Some(self) && !names.is_empty()
            }
        }
    }
}

/// A choice may be given by id; it is read by name.
fn choice(field: &Field, value: &Value) -> Option<String> {
    let given = value.as_str()?;
    let choices = field.kind.choices().unwrap_or_default();
    let by_id = choices.iter().find(|choice| choice.name != given && choice.id.to_string() == given);
    Some(by_id.map_or(given, |choice| choice.name.as_str()).trim().to_owned())
}

/// Line ends and white space at the end may be changed on the way.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end().to_owned()
}

/// A number may be rounded to the digits its field shows.
fn tolerance(field: &Field) -> f64 {
    match &field.kind {
        FieldType::Number { precision } | FieldType::Currency { precision, .. } => {
            0.5 * 10f64.powi(-i32::from(*precision)) + 1e-9
        }
        FieldType::Percent { precision } => 0.5 * 10f64.powi(-i32::from(*precision) - 2) + 1e-9,
        FieldType::Duration { .. } => 0.5,
        _ => 1e-9,
    }
}

/// Whether `found`, records that are new, are those of a create that sent `looks`. A create is
/// carried out whole or not at all. `twins` creates that sent the same are just as lost: their
/// records are as good as these.
pub(super) fn judge(table: &Table, looks: &[Look], found: &[Record], twins: usize) -> Verdict {
    let fits: Vec<Vec<usize>> = found
        .iter()
        .map(|record| (0..looks.len()).filter(|at| looks[*at].fits(table, record)).collect())
        .collect();
    let fitting: Vec<usize> = (0..found.len()).filter(|at| !fits[*at].is_empty()).collect();
    if fitting.is_empty() {
        return Verdict::NotDone;
    }
    let ids = |places: &[usize]| places.iter().map(|at| found[*at].id).collect();
    let times = fitting.len() / looks.len().max(1);
    let whole = fitting.len() == times * looks.len() && (1..=twins + 1).contains(&times);
    let told = looks.iter().all(|look| !look.0.is_empty());
    match assign(looks.len(), &fitting, &fits) {
        Some(places) if whole && told => Verdict::Done(ids(&places)),
        _ => Verdict::Unclear(ids(&fitting)),
    }
}

/// For each look a record of its own that fits it: places among the found.
fn assign(looks: usize, fitting: &[usize], fits: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut taken: Vec<Option<usize>> = vec![None; looks];
    for at in fitting {
        place(*at, fits, &mut taken, &mut vec![false; looks]);
    }
    taken.into_iter().collect()
}

/// Finds a place for one record; others move over when they can.
fn place(at: usize, fits: &[Vec<usize>], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for look in &fits[at] {
        if std::mem::replace(&mut tried[*look], true) {
            continue;
        }
        let free = match taken[*look] {
            None => true,
            Some(other) => place(other, fits, taken, tried),
        };
        if free {
            taken[*look] = Some(at);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        serde_json::from_value(json!({"id": "tblJudge000000001", "name": "T",
            "primaryFieldId": "fldJudge000000001", "fields": [
            {"id": "fldJudge000000001", "name": "Name", "type": "singleLineText"},
            {"id": "fldJudge000000002", "name": "Size", "type": "number", "options": {"precision": 2}},
            {"id": "fldJudge000000003", "name": "Kind", "type": "singleSelect",
             "options": {"choices": [{"id": "selJudge000000001", "name": "big"}]}},
            {"id": "fldJudge000000004", "name": "Day", "type": "date", "options": {}},
            {"id": "fldJudge000000005", "name": "Done", "type": "checkbox", "options": {}},
            {"id": "fldJudge000000006", "name": "Tags", "type": "multipleSelects", "options": {"choices": []}}
        ]}))
        .unwrap()
    }

    fn look(cells: Value) -> Look {
        let table = table();
        let by_id = cells.as_object().unwrap().iter();
        let cells = by_id.map(|(name, value)| (table.field(name).unwrap().id.to_string(), value.clone()));
        Look::of(&table, &cells.collect())
    }

    fn record(at: usize, cells: Value) -> Record {
        let table = table();
        let by_id = cells.as_object().unwrap().iter();
        let fields = by_id.map(|(name, value)| (table.field(name).unwrap().id.to_string(), value.clone()));
        Record { id: id(at), created: 0, fields: fields.collect() }
    }

    fn id(at: usize) -> RecordId {
        format!("recJudge00000{at:04}").parse().unwrap()
    }

    #[test]
    fn all_of_it_none_of_it_part_of_it_or_more() {
        let looks = [look(json!({"Name": "a"})), look(json!({"Name": "b"}))];
        let (a, b, c) = (json!({"Name": "a"}), json!({"Name": "b"}), json!({"Name": "c"}));
        let judged = |found: &[&Value]| {
            let found: Vec<Record> =
                found.iter().enumerate().map(|(at, cells)| record(at, (*cells).clone())).collect();
            judge(&table(), &looks, &found, 0)
        };
        assert_eq!(judged(&[&c, &b, &a]), Verdict::Done(vec![id(2), id(1)]));
        assert_eq!(judged(&[&c]), Verdict::NotDone);
        assert_eq!(judged(&[&a, &c]), Verdict::Unclear(vec![id(0)]));
        assert_eq!(judged(&[&a, &a]), Verdict::Unclear(vec![id(0), id(1)]));
        assert_eq!(judged(&[&a, &b, &b]), Verdict::Unclear(vec![id(0), id(1), id(2)]));
    }

    #[test]
    fn a_record_that_fits_several_goes_where_it_is_needed() {
        let looks = [look(json!({"Name": "a"})), look(json!({"Name": "a", "Size": 2}))];
        let found = [record(0, json!({"Name": "a", "Size": 2})), record(1, json!({"Name": "a"}))];
        assert_eq!(judge(&table(), &looks, &found, 0), Verdict::Done(vec![id(1), id(0)]));
    }

    #[test]
    fn records_without_a_cell_to_compare_are_told_by_nobody_being_there() {
        let looks = [look(json!({"Name": "", "Done": false}))];
        assert_eq!(judge(&table(), &looks, &[], 0), Verdict::NotDone);
        let found = [record(0, json!({"Name": "x"}))];
        assert_eq!(judge(&table(), &looks, &found, 0), Verdict::Unclear(vec![id(0)]));
    }

    #[test]
    fn creates_that_sent_the_same_share_what_is_found() {
        let looks = [look(json!({"Name": "a"}))];
        let found = [record(0, json!({"Name": "a"})), record(1, json!({"Name": "a"}))];
        assert!(matches!(judge(&table(), &looks, &found, 0), Verdict::Unclear(_)));
        assert!(matches!(judge(&table(), &looks, &found, 1), Verdict::Done(ids) if ids.len() == 1));
    }

    #[test]
    fn cells_are_compared_as_they_come_back() {
        let sent = json!({"Name": "a \r\nb ", "Size": 1.234, "Kind": "selJudge000000001", "Day": "2026-03-01",
            "Done": true, "Tags": ["y", "x"]});
        let read = json!({"Name": "a \nb", "Size": 1.23, "Kind": "big", "Day": "2026-03-01", "Done": true,
            "Tags": ["x", "y"]});
        let looks = [look(sent)];
        assert_eq!(judge(&table(), &looks, &[record(0, read.clone())], 0), Verdict::Done(vec![id(0)]));
        for (name, other) in [
            ("Name", json!("a")),
            ("Size", json!(1.3)),
            ("Kind", json!("small")),
            ("Day", json!("2026-03-02")),
            ("Tags", json!(["x"])),
        ] {
            let mut read = read.clone();
            read[name] = other;
            assert_eq!(judge(&table(), &looks, &[record(0, read)], 0), Verdict::NotDone, "{name}");
        }
        // What typecast may have converted says nothing.
        assert_eq!(look(json!({"Size": "12", "Day": "March 1, 2026"})), look(json!({})));
    }
}
