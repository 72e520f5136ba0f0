//! Looking at bases and their schemas.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::{Field, FieldType};
use tablewright_core::{Code, Fault};
use tablewright_door::TableView;
use tablewright_engine::compute::with_names;
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tablewright_toolkit::text::CUT_MARK;

use crate::freshness::{self, Freshness, Origin};

/// Choices of a field that are listed unless everything is asked for.
const CHOICES_SHOWN: usize = 20;

fn answer(result: impl Serialize) -> Answer {
    Answer::Structured(serde_json::to_value(result).unwrap_or_default())
}

/// `list_bases`
pub struct ListBases;

/// Arguments of `list_bases`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListBasesArgs {}

#[derive(Debug, Serialize, JsonSchema)]
struct Bases {
    bases: Vec<ListedBase>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ListedBase {
    id: String,
    name: String,
    /// "local": lives here; "cloud": in Airtable.
    kind: &'static str,
}

impl Tool for ListBases {
    const NAME: &'static str = "list_bases";
    type Args = ListBasesArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Bases>())
    }

    async fn run(context: &mut CallContext, _: ListBasesArgs) -> Result<Answer, Fault> {
        let bases = context.call.bases();
        let replica = context.call.replica();
        let kind = |id| if replica.holds(id) { "cloud" } else { "local" };
        let listed = bases
            .iter()
            .map(|(id, name)| ListedBase { id: id.to_string(), name: name.clone(), kind: kind(*id) })
            .collect();
        Ok(answer(Bases { bases: listed }))
    }
}

/// `describe_base`
pub struct DescribeBase;

/// How much to tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// Names and counts.
    Tables,
    /// Names and types of fields.
    #[default]
    Fields,
    /// Everything.
    Full,
}

/// Arguments of `describe_base`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeArgs {
    /// Name, id or URL.
    base: String,
    /// One table; all if left out.
    table: Option<String>,
    /// "tables": names and counts; "fields" (default): names and types; "full": ids, options, views.
    #[serde(default)]
    #[schemars(extend("default" = Value::Null))]
    detail: Detail,
    /// With table: fields to pass over, when an answer was full.
    skip: Option<usize>,
    #[serde(flatten)]
    freshness: Freshness,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Described {
    id: String,
    name: String,
    tables: Vec<DescribedTable>,
    #[serde(flatten)]
    origin: Origin,
    /// What is not shown, and how to see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DescribedTable {
    name: String,
    records: usize,
    /// Not all of its records are here yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    copying: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The field that names a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Map<String, Value>>>,
    /// Fields after those, for which there was no room.
    #[serde(rename = "moreFields", skip_serializing_if = "Option::is_none")]
    more_fields: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    views: Option<Vec<Map<String, Value>>>,
}

impl Tool for DescribeBase {
    const NAME: &'static str = "describe_base";
    type Args = DescribeArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Described>())
    }

    async fn run(context: &mut CallContext, args: DescribeArgs) -> Result<Answer, Fault> {
        args.freshness.ask(context);
        let base = context.call.base(&args.base).await?;
        let tables = match &args.table {
            Some(name) => vec![base.table(name)?],
            None if args.skip.is_some() => {
                let message = "skip needs table: it counts fields of one table.";
                return Err(Fault::new(Code::InvalidArguments, message));
            }
            None => base.tables().collect(),
        };
        let all = context.limits.characters;
        let mut room = Room { left: all, part: all / 4, untouched: true };
        let skip = args.skip.unwrap_or_default();
        let mut described: Vec<_> =
            tables.iter().map(|view| describe(view, args.detail, skip, &mut room)).collect();
        let missing = freshness::missing(context, tables.iter());
        for table in described.iter_mut().filter(|table| missing.contains(&table.name)) {
            table.copying = Some(true);
        }
        let more: usize = described.iter().filter_map(|table| table.more_fields).sum();
        let note = (more > 0).then(|| match described.as_slice() {
            [only] => {
                let seen = skip + only.fields.as_ref().map_or(0, Vec::len);
                format!(
                    "The answer is full: {more} fields are not shown; for them, ask again with skip: {seen}."
                )
            }
            _ => format!("The answer is full: {more} fields are not shown; ask for one table at a time."),
        });
        let missing = freshness::still_copied(&missing);
        let notes: Vec<String> =
            note.into_iter().chain(freshness::why_old(context, &base)).chain(missing).collect();
        let note = (!notes.is_empty()).then(|| notes.join(" "));
        let schema = base.schema();
        Ok(answer(Described {
            origin: Origin::of(context, &base),
            id: schema.id.to_string(),
            name: schema.name.clone(),
            tables: described,
            note,
        }))
    }
}

/// How much more an answer may hold.
struct Room {
    /// Characters left.
    left: usize,
    /// The most characters of one field or text.
    part: usize,
    /// No field has been told yet.
    untouched: bool,
}

impl Room {
    /// Whether there is room for `value`, which is then taken.
    fn takes(&mut self, value: &impl Serialize) -> bool {
        let left = length(value).and_then(|length| self.left.checked_sub(length));
        self.left = left.unwrap_or_default();
        left.is_some()
    }

    /// A text, cut with its mark where it is too long.
    fn cut(&self, text: &str) -> String {
        let all = text.chars().count();
        if all <= self.part {
            return text.to_owned();
        }
        let kept: String = text.chars().take(self.part).collect();
        format!("{kept}{CUT_MARK}{} more characters]", all - self.part)
    }
}

fn length(value: &impl Serialize) -> Option<usize> {
    serde_json::to_string(value).ok().map(|json| json.chars().count())
}

/// A table; names and counts are always told, the rest as far as there is room.
fn describe(view: &TableView, detail: Detail, skip: usize, room: &mut Room) -> DescribedTable {
    let table = view.schema();
    let full = detail == Detail::Full;
    let description = table.description.as_deref().map(|text| room.cut(text));
    let mut described = DescribedTable {
        name: table.name.clone(),
        records: view.len(),
        copying: None,
        description: description.filter(|text| room.takes(text)),
        id: full.then(|| table.id.to_string()),
        primary: (detail != Detail::Tables).then(|| table.primary().name.clone()),
        fields: None,
        more_fields: None,
        views: None,
    };
    if detail == Detail::Tables {
        return described;
    }
    let mut shown: Vec<Map<String, Value>> = Vec::new();
    for wanted in table.fields.iter().skip(skip) {
        let field = field(view, wanted, full, room);
        // The first one is told in any case, or asking again would lead nowhere.
        if !room.takes(&field) && !std::mem::take(&mut room.untouched) {
            break;
        }
        room.untouched = false;
        shown.push(field);
    }
    let more = table.fields.len().saturating_sub(skip) - shown.len();
    described.more_fields = (more > 0).then_some(more);
    described.fields = Some(shown);
    if full && more == 0 {
        let views: Vec<_> = table.views.iter().filter_map(object).collect();
        described.views = room.takes(&views).then_some(views);
    }
    described
}

fn object(value: impl Serialize) -> Option<Map<String, Value>> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// A field; a very long one is told in short, with its id when everything is asked for.
fn field(view: &TableView, field: &Field, full: bool, room: &Room) -> Map<String, Value> {
    let mut shown = Map::new();
    if full {
        let whole = object(field).unwrap_or_default();
        if length(&whole).is_some_and(|length| length <= room.part) {
            return whole;
        }
        shown.insert("id".into(), Value::from(field.id.to_string()));
    }
    shown.insert("name".into(), Value::from(field.name.as_str()));
    shown.insert("type".into(), Value::from(field.type_name.as_str()));
    if let Some(description) = &field.description {
        shown.insert("description".into(), Value::from(room.cut(description)));
    }
    if let Some(choices) = field.kind.choices() {
        let names: Vec<&str> = choices.iter().take(CHOICES_SHOWN).map(|c| c.name.as_str()).collect();
        shown.insert("choices".into(), Value::from(names));
        if choices.len() > CHOICES_SHOWN {
            shown.insert("moreChoices".into(), Value::from(choices.len() - CHOICES_SHOWN));
        }
    }
    if let Some(link) = field.link()
        && let Some(other) = view.base().schema().table_by_id(link.linked_table_id)
    {
        shown.insert("linksTo".into(), Value::from(other.name.as_str()));
    }
    if let FieldType::Formula { formula, .. } = &field.kind {
        shown.insert("formula".into(), Value::from(room.cut(&with_names(view.schema(), formula))));
    }
    if field.kind.is_computed() {
        shown.insert("computed".into(), Value::from(true));
    }
    shown
}
