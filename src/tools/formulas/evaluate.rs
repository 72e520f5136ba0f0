//! Trying a formula out.

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tablewright_core::{Code, Fault};
use tablewright_door::TableView;
use tablewright_formula::given::Given;
use tablewright_formula::{Program, ResultType, Span, Value, Work};
use tablewright_toolkit::Answer;
use tablewright_toolkit::answer::MAX_ROWS;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

use super::{Anything, Found, answer, aside, compiled, found};
use crate::filter::{FilterArg, filter};
use crate::freshness::{self, Freshness, Origin};
use crate::records::record_id;

/// Rows of a sample unless the caller names another number.
const SAMPLE: usize = 10;
/// Bars of a histogram.
const BARS: usize = 20;
/// Different values that are counted; more are counted together.
const MAX_DISTINCT: usize = 10_000;
/// Parts of a trace.
const MAX_PARTS: usize = 100;
/// Characters of a value in an answer.
const MAX_VALUE: usize = 500;

/// `evaluate_formula`
pub struct EvaluateFormula;

/// Arguments of `evaluate_formula`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluateArgs {
    formula: String,
    /// Name, id or URL.
    base: Option<String>,
    /// The table whose fields it names.
    table: Option<String>,
    /// Values by field name instead of records: {"Price": 3}. Without a table also {"Price": {"type": "number", "value": 3}}.
    values: Option<Map<String, Json>>,
    /// Record ids; the whole table if left out.
    records: Option<Vec<String>>,
    /// As in list_records.
    filter: Option<FilterArg>,
    /// Rows to show of a table, 10 by default.
    #[schemars(range(min = 0, max = 1000))]
    sample: Option<usize>,
    /// Show the value of every part, for the first row.
    trace: Option<bool>,
    /// What NOW() means, ISO; the clock if left out.
    now: Option<String>,
    #[serde(flatten)]
    freshness: Freshness,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
struct Evaluated {
    /// The type of the result.
    result: String,
    /// For given values: the value; left out when blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Anything>")]
    value: Option<Json>,
    /// For given values: why it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failed>,
    /// For records and tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<Statistics>,
    /// Each part of the formula with its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    trace: Vec<Part>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Found>,
    #[serde(flatten)]
    origin: Origin,
    /// What else there is to know about the values.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Failed {
    code: String,
    message: String,
    /// The part that fails.
    part: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Row {
    id: String,
    /// What the record is called.
    name: String,
    /// Left out when blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Anything>")]
    value: Option<Json>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
struct Statistics {
    rows: usize,
    blank: usize,
    errors: usize,
    /// Of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average: Option<f64>,
    /// Most frequent values, or ranges of numbers.
    histogram: Vec<Bar>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Bar {
    value: String,
    count: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    part: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Anything>")]
    value: Option<Json>,
}

impl Tool for EvaluateFormula {
    const NAME: &'static str = "evaluate_formula";
    type Args = EvaluateArgs;

    fn output_schema() -> Option<Map<String, Json>> {
        Some(schema_of::<Evaluated>())
    }

    async fn run(context: &mut CallContext, args: EvaluateArgs) -> Result<Answer, Fault> {
        args.freshness.ask(context);
        let bad = |message: &str| Fault::new(Code::InvalidArguments, message);
        let now = match &args.now {
            None => context.call.now(),
            Some(text) => context
                .call
                .moment(text)
                .ok_or_else(|| bad("now must be an ISO time such as \"2026-01-31T12:00:00Z\"."))?,
        };
        let view = match (&args.base, &args.table) {
            (Some(base), Some(table)) => Some(context.call.table(base, table).await?),
            (None, None) => None,
            _ => return Err(bad("base and table go together.")),
        };
        if args.values.is_some() && (args.records.is_some() || args.filter.is_some()) {
            return Err(bad("give values, or records and filter, not both."));
        }
        if args.records.is_some() && args.filter.is_some() {
            return Err(bad("give records or filter, not both."));
        }
        if args.sample.is_some_and(|sample| sample > MAX_ROWS) {
            return Err(Fault::new(Code::InvalidArguments, format!("sample must be 0 to {MAX_ROWS}.")));
        }
        let Some(view) = view.clone().filter(|_| args.values.is_none()) else {
            return aside(move || {
                let values = args.values.clone().unwrap_or_default();
                let given = given(view.as_ref(), &values, now)?;
                computed_without_value(view.as_ref(), &values, &given, &args.formula)?;
                Ok(answer(on_values(&given, &args, now)?))
            })
            .await;
        };
        let there = view.clone();
        let (mut result, fields) = aside(move || over_table(&there, &args, now)).await?;
        result.origin = Origin::of(context, view.base());
        let notes = freshness::why_old(context, view.base()).into_iter();
        let notes: Vec<String> = notes.chain(freshness::computed(context, &view, &fields)).collect();
        result.note = (!notes.is_empty()).then(|| notes.join(" "));
        Ok(answer(result))
    }
}

/// The values as a row: of the table's fields, or of fields described with them.
fn given(view: Option<&TableView>, values: &Map<String, Json>, now: i64) -> Result<Given, Fault> {
    let Some(view) = view else {
        let typed: Map<String, Json> =
            values.iter().map(|(name, value)| (name.clone(), described(value))).collect();
        return Given::read(&typed, now)
            .map_err(|e| Fault::new(Code::InvalidArguments, format!("values: {e}")));
    };
    let table = view.schema();
    let mut by_field: FxHashMap<String, Json> = FxHashMap::default();
    for (name, value) in values {
        by_field.insert(table.field(name)?.name.clone(), value.clone());
    }
    let mut fields = Map::new();
    for field in &table.fields {
        let mut described = Map::new();
        described.insert("type".into(), Json::from(field.type_name.as_str()));
        described.insert("options".into(), field.options.clone().map_or(Json::Null, Json::Object));
        described.insert("value".into(), by_field.remove(&field.name).unwrap_or(Json::Null));
        fields.insert(field.name.clone(), Json::Object(described));
    }
    Given::read(&fields, now).map_err(|e| Fault::new(Code::InvalidArguments, format!("values: {e}")))
}

/// Refuses a formula that reads a computed field no value was given for: it would count as blank.
fn computed_without_value(
    view: Option<&TableView>,
    values: &Map<String, Json>,
    given: &Given,
    formula: &str,
) -> Result<(), Fault> {
    let Some(table) = view.map(TableView::schema) else { return Ok(()) };
    let (program, _) = compiled(formula, &given.scope)?;
    for field in program.fields().iter().filter_map(|at| table.fields.get(*at)) {
        let named = values.keys().any(|name| table.field(name).is_ok_and(|found| found.id == field.id));
        if field.kind.is_computed() && !named {
            return Err(Fault::new(
                Code::InvalidArguments,
                format!(
                    "{:?} is computed and is not worked out from values: give it a value too, or name records.",
                    field.name
                ),
            ));
        }
    }
    Ok(())
}

/// A bare value with the type it looks like.
fn described(value: &Json) -> Json {
    let is_described =
        value.as_object().is_some_and(|map| map.contains_key("type") || map.contains_key("value"));
    let type_name = match value {
        _ if is_described => return value.clone(),
        Json::Number(_) => "number",
        Json::Bool(_) => "checkbox",
        Json::Array(_) => "multipleLookupValues",
        _ => "singleLineText",
    };
    json!({ "type": type_name, "value": value })
}

fn part(span: Span, formula: &str) -> String {
    span.of(formula).chars().take(120).collect()
}

/// A value for an answer; nothing when it is blank, long texts cut.
fn shown(value: Json) -> Option<Json> {
    match value {
        Json::Null => None,
        Json::String(text) if text.chars().count() > MAX_VALUE => {
            let cut = text.chars().count() - MAX_VALUE;
            Some(Json::String(format!(
                "{}… [{cut} more characters]",
                text.chars().take(MAX_VALUE).collect::<String>()
            )))
        }
        other => Some(other),
    }
}

fn as_number(value: Value<'_>) -> Json {
    match value {
        // A formula's own conditions show as numbers.
        Value::Bool(truth) => Json::from(u8::from(truth)),
        value => value.json(),
    }
}

fn on_values(given: &Given, args: &EvaluateArgs, now: i64) -> Result<Evaluated, Fault> {
    let (program, warnings) = compiled(&args.formula, &given.scope)?;
    let arena = tablewright_formula::Bump::new();
    let work = Work::new(&arena, now);
    let mut result = Evaluated {
        result: program.result().as_str().to_owned(),
        problems: found(&warnings, &args.formula),
        ..Evaluated::default()
    };
    match program.row(&given.row, 0, &work) {
        Value::Error(fault) => {
            let span = program.blame(&given.row, 0, &work);
            result.error = Some(Failed {
                code: fault.code().to_owned(),
                message: fault.message().to_owned(),
                part: part(span, &args.formula),
            });
        }
        value => result.value = shown(as_number(value)),
    }
    if args.trace == Some(true) {
        let parts = program.trace(&given.row, 0, &work, MAX_PARTS);
        result.trace = parts
            .into_iter()
            .map(|(span, value)| Part { part: part(span, &args.formula), value: shown(as_number(value)) })
            .collect();
    }
    Ok(result)
}

/// What a formula gives over a table, and the fields it reads.
fn over_table(view: &TableView, args: &EvaluateArgs, now: i64) -> Result<(Evaluated, Vec<usize>), Fault> {
    let (program, warnings) = compiled(&args.formula, &view.scope())?;
    let sample = args.sample.unwrap_or(SAMPLE).min(MAX_ROWS);
    let slots = match &args.records {
        Some(ids) if ids.is_empty() || ids.len() > MAX_ROWS => {
            return Err(Fault::new(
                Code::InvalidArguments,
                format!("records must have 1 to {MAX_ROWS} ids."),
            ));
        }
        Some(ids) => Some(
            ids.iter()
                .map(|text| {
                    let id = record_id(text)?;
                    view.slot(&id).ok_or_else(|| {
                        Fault::new(
                            Code::UnknownRecord,
                            format!("table {:?} has no record {id}.", view.schema().name),
                        )
                    })
                })
                .collect::<Result<Vec<usize>, Fault>>()?,
        ),
        None => {
            filter(view, args.filter.as_ref(), None, now)?.map(|filter| view.matching(&filter)).transpose()?
        }
    };
    let shown_rows = if args.records.is_some() { MAX_ROWS } else { sample };
    let mut rows: Vec<Row> = Vec::new();
    let mut counts = Counts::default();
    let mut first = None;
    view.evaluate(&program, slots.as_deref(), now, &mut |slot, value| {
        first.get_or_insert(slot);
        if rows.len() < shown_rows {
            rows.push(Row {
                id: view.row(slot).id.to_string(),
                name: name(view, slot),
                value: shown(as_number(value)),
            });
        }
        counts.add(value);
    })?;
    let mut result = Evaluated {
        result: program.result().as_str().to_owned(),
        rows: Some(rows),
        problems: found(&warnings, &args.formula),
        ..Evaluated::default()
    };
    if args.records.is_none() {
        result.statistics = Some(counts.finish(&program));
    }
    if args.trace == Some(true)
        && let Some(slot) = first
    {
        let parts = view.trace(&program, slot, now, MAX_PARTS);
        result.trace = parts
            .into_iter()
            .map(|(span, value)| Part { part: part(span, &args.formula), value: shown(value.json()) })
            .collect();
    }
    Ok((result, program.fields().to_vec()))
}

fn name(view: &TableView, slot: usize) -> String {
    let table = view.schema();
    let at = table.field_index(table.primary_field_id).unwrap_or_default();
    let mut text = String::new();
    view.push_text(&mut text, &table.fields[at], &view.cell(slot, at));
    text.chars().take(80).collect()
}

/// What the results of a table come to.
#[derive(Default)]
struct Counts {
    statistics: Statistics,
    values: FxHashMap<String, usize>,
    others: usize,
    numbers: Vec<f64>,
}

impl Counts {
    fn add(&mut self, value: Value<'_>) {
        self.statistics.rows += 1;
        match value {
            Value::Blank => self.statistics.blank += 1,
            Value::Error(_) => self.statistics.errors += 1,
            Value::Number(number) if !number.is_finite() => self.statistics.errors += 1,
            Value::Number(number) => self.numbers.push(number),
            value => {
                let mut text = String::new();
                // Errors inside of lists read as nothing here.
                let _ = value.push_text(&mut text);
                let key: String = text.chars().take(80).collect();
                if self.values.len() < MAX_DISTINCT || self.values.contains_key(&key) {
                    *self.values.entry(key).or_default() += 1;
                } else {
                    self.others += 1;
                }
            }
        }
    }

    fn finish(mut self, program: &Program) -> Statistics {
        let number = matches!(program.result(), ResultType::Number | ResultType::Truth | ResultType::Any);
        if !self.numbers.is_empty() && number {
            self.numbers();
        } else {
            for number in std::mem::take(&mut self.numbers) {
                *self.values.entry(number.to_string()).or_default() += 1;
            }
        }
        let mut bars: Vec<Bar> = self.values.into_iter().map(|(value, count)| Bar { value, count }).collect();
        bars.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        let rest: usize = bars.iter().skip(BARS).map(|bar| bar.count).sum::<usize>() + self.others;
        bars.truncate(BARS);
        if rest > 0 {
            bars.push(Bar { value: "(other values)".into(), count: rest });
        }
        self.statistics.histogram.extend(bars);
        self.statistics
    }

    /// Numbers: each value by itself when they are few, otherwise ranges of equal width.
    fn numbers(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        let (low, high) = numbers
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), n| (low.min(*n), high.max(*n)));
        self.statistics.min = Some(low);
        self.statistics.max = Some(high);
        self.statistics.average = Some(numbers.iter().sum::<f64>() / numbers.len() as f64);
        let mut distinct: FxHashMap<u64, usize> = FxHashMap::default();
        for number in &numbers {
            if distinct.len() <= BARS {
                *distinct.entry(number.to_bits()).or_default() += 1;
            }
        }
        if distinct.len() <= BARS {
            for (bits, count) in distinct {
                self.values.insert(f64::from_bits(bits).to_string(), count);
            }
            return;
        }
        let bars = BARS / 2;
        let width = (high - low) / bars as f64;
        let mut counts = vec![0usize; bars];
        for number in &numbers {
            let at = ((number - low) / width) as usize;
            counts[at.min(bars - 1)] += 1;
        }
        for (at, count) in counts.into_iter().enumerate() {
            let from = low + width * at as f64;
            self.statistics.histogram.push(Bar { value: format!("{from} to {}", from + width), count });
        }
    }
}
