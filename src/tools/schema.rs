//! Looking at bases and their schemas.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{Field, FieldType};
use tablewright_door::TableView;
use tablewright_engine::compute::with_names;
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

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
    /// "local": lives here.
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
        let listed = bases
            .iter()
            .map(|(id, name)| ListedBase { id: id.to_string(), name: name.clone(), kind: "local" })
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
}

#[derive(Debug, Serialize, JsonSchema)]
struct Described {
    id: String,
    name: String,
    tables: Vec<DescribedTable>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DescribedTable {
    name: String,
    records: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The field that names a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Map<String, Value>>>,
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
        let base = context.call.base(&args.base).await?;
        let tables = match &args.table {
            Some(name) => vec![base.table(name)?],
            None => base.tables().collect(),
        };
        let described = tables.iter().map(|view| describe(view, args.detail)).collect();
        let schema = base.schema();
        Ok(answer(Described { id: schema.id.to_string(), name: schema.name.clone(), tables: described }))
    }
}

fn describe(view: &TableView, detail: Detail) -> DescribedTable {
    let table = view.schema();
    let full = detail == Detail::Full;
    DescribedTable {
        name: table.name.clone(),
        records: view.len(),
        description: table.description.clone(),
        id: full.then(|| table.id.to_string()),
        primary: (detail != Detail::Tables).then(|| table.primary().name.clone()),
        fields: (detail != Detail::Tables)
            .then(|| table.fields.iter().map(|f| field(view, f, full)).collect()),
        views: full.then(|| table.views.iter().filter_map(object).collect()),
    }
}

fn object(value: impl Serialize) -> Option<Map<String, Value>> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

fn field(view: &TableView, field: &Field, full: bool) -> Map<String, Value> {
    if full {
        return object(field).unwrap_or_default();
    }
    let mut shown = Map::new();
    shown.insert("name".into(), Value::from(field.name.as_str()));
    shown.insert("type".into(), Value::from(field.type_name.as_str()));
    if let Some(description) = &field.description {
        shown.insert("description".into(), Value::from(description.as_str()));
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
        shown.insert("formula".into(), Value::from(with_names(view.schema(), formula)));
    }
    if field.kind.is_computed() {
        shown.insert("computed".into(), Value::from(true));
    }
    shown
}
