//! What a webhook wants to hear, in the words of the Web API.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;
use tablewright_core::model::{Base, Field, FieldId, Table, TableId, ViewId};
use tablewright_core::{Code, Fault};

/// Longest specification, in bytes of JSON.
const MAX_BYTES: usize = 100_000;

/// A specification, read and found to be well formed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Specification {
    options: SpecificationOptions,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecificationOptions {
    filters: Filters,
    #[serde(default)]
    includes: Includes,
}

/// Which changes count. An absent or empty list lets all through.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Filters {
    /// At least one.
    pub(super) data_types: Vec<DataType>,
    /// The table or view changes have to be in.
    #[serde(default)]
    pub(super) record_change_scope: Option<Place>,
    #[serde(default)]
    change_types: Option<Vec<ChangeType>>,
    #[serde(default)]
    from_sources: Option<Vec<Source>>,
    #[serde(default, rename = "sourceOptions")]
    _source_options: Option<SourceOptions>,
    #[serde(default)]
    watch_data_in_field_ids: Option<Vec<FieldId>>,
    #[serde(default)]
    watch_schemas_of_field_ids: Option<Vec<FieldId>>,
}

/// What payloads hold beside the change itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct Includes {
    /// Cells that did not change.
    pub(super) include_cell_values_in_field_ids: Option<Fields>,
    /// Changed cells as they were.
    pub(super) include_previous_cell_values: bool,
    /// Changed fields as they were.
    pub(super) include_previous_field_definitions: bool,
}

/// Kinds of data a webhook follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::enum_variant_names, reason = "the names are Airtable's")]
pub(super) enum DataType {
    /// Records and their cells.
    TableData,
    /// Fields.
    TableFields,
    /// Names and descriptions of tables.
    TableMetadata,
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ChangeType {
    /// It is new.
    Add,
    /// It is gone.
    Remove,
    /// It is another.
    Update,
}

/// Where a change came from, as the Web API tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Source {
    Client,
    PublicApi,
    FormSubmission,
    FormPageSubmission,
    Automation,
    System,
    Sync,
    AnonymousUser,
    Unknown,
}

/// Forms, of which there are none here: checked for their shape alone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SourceOptions {
    #[serde(default, rename = "formSubmission")]
    _form_submission: Option<FormSubmission>,
    #[serde(default, rename = "formPageSubmission")]
    _form_page_submission: Option<FormPageSubmission>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormSubmission {
    #[serde(rename = "viewId")]
    _view_id: ViewId,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormPageSubmission {
    #[serde(rename = "pageId")]
    _page_id: String,
}

/// A table or a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Table(TableId),
    View(ViewId),
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let table = text.parse().map(Self::Table);
        table.or_else(|_| text.parse().map(Self::View)).map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            D::Error::custom(format!("recordChangeScope must be the id of a table or view, not {shown:?}"))
        })
    }
}

/// Some fields, or all.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fields {
    All,
    Some(Vec<FieldId>),
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(all) if all == "all" => Ok(Self::All),
            list @ Value::Array(_) => serde_json::from_value(list).map(Self::Some).map_err(D::Error::custom),
            _ => Err(D::Error::custom("includeCellValuesInFieldIds must be \"all\" or a list of field ids")),
        }
    }
}

/// The part of a specification that names something that is not there, and what.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Missing {
    Filters(String),
    Includes(String),
}

impl Source {
    /// What stands for the face a commit came through. Agents and the command line are a person's
    /// own tools, as Airtable's client is; what comes over REST is a program's.
    pub(super) fn of_face(face: &str) -> Self {
        match face {
            "rest" => Self::PublicApi,
            "mcp" | "cli" => Self::Client,
            _ => Self::Unknown,
        }
    }

    /// Its name in payloads.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::PublicApi => "publicApi",
            Self::FormSubmission => "formSubmission",
            Self::FormPageSubmission => "formPageSubmission",
            Self::Automation => "automation",
            Self::System => "system",
            Self::Sync => "sync",
            Self::AnonymousUser => "anonymousUser",
            Self::Unknown => "unknown",
        }
    }
}

/// True when there is no list, or an empty one, or `item` is on it.
fn lets<T: PartialEq>(list: Option<&[T]>, item: &T) -> bool {
    list.is_none_or(|list| list.is_empty() || list.contains(item))
}

fn non_empty(list: Option<&Vec<FieldId>>) -> Option<&[FieldId]> {
    list.map(Vec::as_slice).filter(|list| !list.is_empty())
}

impl Specification {
    /// Reads a specification; the fault says what is wrong with it.
    pub(super) fn read(value: &Value) -> Result<Self, Fault> {
        let bad = |why: String| Fault::new(Code::InvalidArguments, format!("specification: {why}"));
        if value.to_string().len() > MAX_BYTES {
            return Err(bad(format!("it is longer than {MAX_BYTES} bytes; name fewer fields")));
        }
        let read = Self::deserialize(value).map_err(|e| bad(e.to_string()))?;
        if read.options.filters.data_types.is_empty() {
            return Err(bad(
                "filters.dataTypes needs at least one of tableData, tableFields, tableMetadata".into()
            ));
        }
        Ok(read)
    }

    /// Which changes count.
    pub(super) fn filters(&self) -> &Filters {
        &self.options.filters
    }

    /// What payloads hold beside.
    pub(super) fn includes(&self) -> &Includes {
        &self.options.includes
    }

    /// Looks for everything it names among what there is.
    pub(super) fn check(&self, base: &Base) -> Result<(), Missing> {
        let Filters {
            record_change_scope: place, watch_data_in_field_ids, watch_schemas_of_field_ids, ..
        } = &self.options.filters;
        let within = match place {
            None => None,
            Some(place) => Some(place.table(base).ok_or_else(|| {
                let id = match place {
                    Place::Table(id) => id.to_string(),
                    Place::View(id) => id.to_string(),
                };
                Missing::Filters(format!("filters.recordChangeScope: the base has no {id}"))
            })?),
        };
        let missing = |ids: &Vec<FieldId>| {
            let is_in = |id: &FieldId| match within {
                Some(table) => table.field_by_id(*id).is_some(),
                None => base.tables.iter().any(|table| table.field_by_id(*id).is_some()),
            };
            let at = within.map_or("the base".to_owned(), |table| format!("table {}", table.id));
            ids.iter().find(|id| !is_in(id)).map(|id| format!("{at} has no field {id}"))
        };
        for (key, list) in [
            ("watchDataInFieldIds", watch_data_in_field_ids),
            ("watchSchemasOfFieldIds", watch_schemas_of_field_ids),
        ] {
            if let Some(what) = list.as_ref().and_then(missing) {
                return Err(Missing::Filters(format!("filters.{key}: {what}")));
            }
        }
        match &self.options.includes.include_cell_values_in_field_ids {
            Some(Fields::Some(ids)) => missing(ids).map_or(Ok(()), |what| {
                Err(Missing::Includes(format!("includes.includeCellValuesInFieldIds: {what}")))
            }),
            _ => Ok(()),
        }
    }
}

impl Place {
    /// The table it is, or is a view of.
    pub(super) fn table(self, base: &Base) -> Option<&Table> {
        match self {
            Self::Table(id) => base.table_by_id(id),
            Self::View(id) => base.tables.iter().find(|table| table.views.iter().any(|view| view.id == id)),
        }
    }
}

impl Filters {
    /// True when it follows this kind of data.
    pub(super) fn wants(&self, kind: DataType) -> bool {
        self.data_types.contains(&kind)
    }

    /// True when changes of this type count.
    pub(super) fn lets_type(&self, change: ChangeType) -> bool {
        lets(self.change_types.as_deref(), &change)
    }

    /// True when changes from there count.
    pub(super) fn lets_source(&self, source: Source) -> bool {
        lets(self.from_sources.as_deref(), &source)
    }

    /// The fields whose cells count; all when absent.
    pub(super) fn watched_cells(&self) -> Option<&[FieldId]> {
        non_empty(self.watch_data_in_field_ids.as_ref())
    }

    /// The fields whose definitions count; all when absent.
    pub(super) fn watched_fields(&self) -> Option<&[FieldId]> {
        non_empty(self.watch_schemas_of_field_ids.as_ref())
    }
}

impl Includes {
    /// True when the cells of a field are shown although they did not change.
    pub(super) fn shows(&self, field: &Field) -> bool {
        match &self.include_cell_values_in_field_ids {
            None => false,
            Some(Fields::All) => true,
            Some(Fields::Some(ids)) => ids.contains(&field.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn base() -> Base {
        serde_json::from_value(json!({"id": "appA1b2C3d4E5f6G7", "name": "B", "tables": [{
            "id": "tblA1b2C3d4E5f6G7", "name": "T", "primaryFieldId": "fldA1b2C3d4E5f6G7",
            "fields": [{"id": "fldA1b2C3d4E5f6G7", "name": "N", "type": "singleLineText"}],
            "views": [{"id": "viwA1b2C3d4E5f6G7", "name": "V"}]}]}))
        .unwrap()
    }

    fn read(filters: Value, includes: Value) -> Result<Specification, Fault> {
        Specification::read(&json!({"options": {"filters": filters, "includes": includes}}))
    }

    #[test]
    fn what_the_reference_shows_is_read() {
        let full = read(
            json!({"dataTypes": ["tableData", "tableFields", "tableMetadata"],
                   "recordChangeScope": "viwA1b2C3d4E5f6G7", "changeTypes": ["add", "remove", "update"],
                   "fromSources": ["client", "publicApi", "formSubmission", "formPageSubmission", "automation",
                                   "system", "sync", "anonymousUser", "unknown"],
                   "sourceOptions": {"formSubmission": {"viewId": "viwA1b2C3d4E5f6G7"},
                                     "formPageSubmission": {"pageId": "pbdA1b2C3d4E5f6G7"}},
                   "watchDataInFieldIds": ["fldA1b2C3d4E5f6G7"], "watchSchemasOfFieldIds": []}),
            json!({"includeCellValuesInFieldIds": "all", "includePreviousCellValues": true,
                   "includePreviousFieldDefinitions": true}),
        )
        .unwrap();
        assert_eq!(full.check(&base()), Ok(()));
        assert!(full.filters().watched_fields().is_none() && full.filters().watched_cells().is_some());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (filters, includes, word) in [
            (json!({}), json!({}), "dataTypes"),
            (json!({"dataTypes": []}), json!({}), "dataTypes"),
            (json!({"dataTypes": ["rows"]}), json!({}), "rows"),
            (json!({"dataTypes": ["tableData"], "changeTypes": "add"}), json!({}), "add"),
            (
                json!({"dataTypes": ["tableData"], "recordChangeScope": "Table 1"}),
                json!({}),
                "recordChangeScope",
            ),
            (json!({"dataTypes": ["tableData"], "watchDataInFieldIds": ["Name"]}), json!({}), "Name"),
            (json!({"dataTypes": ["tableData"], "colour": 1}), json!({}), "colour"),
            (json!({"dataTypes": ["tableData"]}), json!({"includeCellValuesInFieldIds": 7}), "all"),
            (json!({"dataTypes": ["tableData"]}), json!({"includePreviousCellValues": "yes"}), "boolean"),
        ] {
            let fault = read(filters.clone(), includes).unwrap_err();
            assert!(fault.message.contains(word), "{filters}: {fault}");
        }
        assert!(Specification::read(&json!(["x"])).is_err());
    }

    #[test]
    fn what_is_not_there_is_found() {
        let gone = "fldZ1b2C3d4E5f6G7";
        let scope = json!({"dataTypes": ["tableData"], "recordChangeScope": "tblZ1b2C3d4E5f6G7"});
        let watch = json!({"dataTypes": ["tableData"], "watchDataInFieldIds": [gone]});
        for filters in [scope, watch] {
            let found = read(filters, json!({})).unwrap().check(&base());
            assert!(matches!(found, Err(Missing::Filters(_))), "{found:?}");
        }
        let include =
            read(json!({"dataTypes": ["tableData"]}), json!({"includeCellValuesInFieldIds": [gone]}));
        assert!(matches!(include.unwrap().check(&base()), Err(Missing::Includes(_))));
    }
}
