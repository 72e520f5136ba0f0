//! Bases, tables and views, and finding them by what a caller wrote.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::field::Field;
use super::id::{BaseId, FieldId, Id, Kind, TableId, ViewId};
use super::reference::Reference;
use crate::fault::{Code, Fault};
use crate::suggest::{did_you_mean, nearest};

/// One step of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sort {
    /// The field.
    #[serde(alias = "fieldId")]
    pub field: FieldId,
    /// True for descending.
    #[serde(default, with = "direction", rename = "direction")]
    #[schemars(with = "Direction")]
    pub descending: bool,
}

/// How a direction is written.
#[derive(schemars::JsonSchema, Serialize, Default)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Direction {
    #[default]
    Asc,
    Desc,
}

mod direction {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(descending: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if *descending { "desc" } else { "asc" })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        match std::borrow::Cow::<'de, str>::deserialize(deserializer)?.as_ref() {
            "asc" => Ok(false),
            "desc" => Ok(true),
            other => {
                Err(serde::de::Error::custom(format!("direction must be \"asc\" or \"desc\", not {other:?}")))
            }
        }
    }
}

/// A saved way of looking at a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Its id; made when left out.
    #[serde(default = "ViewId::random")]
    #[schemars(!default, with = "Option<ViewId>")]
    pub id: ViewId,
    /// What people see.
    pub name: String,
    /// `grid`, `form`, `kanban`, …
    #[serde(rename = "type", default = "grid")]
    pub kind: String,
    /// The fields shown, in order; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_field_ids: Option<Vec<FieldId>>,
    /// The rows shown, as a formula.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_formula: Option<String>,
    /// The order of the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sorts: Vec<Sort>,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn grid() -> String {
    "grid".to_owned()
}

/// A table: its fields and views. The first field is not always the primary one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawTable")]
pub struct Table {
    /// Its id.
    pub id: TableId,
    /// What people see; unique within the base, ignoring case.
    pub name: String,
    /// What its author wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The field that names a record.
    pub primary_field_id: FieldId,
    /// The fields, in order.
    pub fields: Vec<Field>,
    /// The views, in order.
    pub views: Vec<View>,
    /// Keys this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RawTable {
    /// Made when left out.
    #[serde(default = "TableId::random")]
    #[schemars(!default, with = "Option<TableId>")]
    id: TableId,
    /// Unique within the base, ignoring case.
    name: String,
    description: Option<String>,
    /// The first field when absent.
    primary_field_id: Option<FieldId>,
    fields: Vec<Field>,
    #[serde(default)]
    views: Vec<View>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl schemars::JsonSchema for Table {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Table".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawTable::json_schema(generator)
    }
}

impl TryFrom<RawTable> for Table {
    type Error = Fault;
    fn try_from(raw: RawTable) -> Result<Self, Fault> {
        let first = raw.fields.first().map(|f| f.id);
        let primary_field_id = raw.primary_field_id.or(first).ok_or_else(|| {
            Fault::new(
                Code::InvalidFile,
                format!("table {:?} has no fields; it needs at least one", raw.name),
            )
        })?;
        Ok(Self {
            id: raw.id,
            name: raw.name,
            description: raw.description,
            primary_field_id,
            fields: raw.fields,
            views: raw.views,
            other: raw.other,
        })
    }
}

/// A base: its name and tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// Its id.
    pub id: BaseId,
    /// What people see.
    pub name: String,
    /// The tables, in order.
    pub tables: Vec<Table>,
}

/// Finds one item by id, exact name, name in another case, or pasted URL.
fn find<'a, T, K: Kind>(
    items: &'a [T],
    wanted: &str,
    from_url: impl Fn(&Reference) -> Option<Id<K>>,
    id: impl Fn(&T) -> Id<K>,
    name: impl Fn(&T) -> &str,
    missing: impl FnOnce(String) -> Fault,
) -> Result<&'a T, Fault> {
    let trimmed = wanted.trim();
    let by_id = trimmed.parse().ok().or_else(|| Reference::from_url(trimmed).and_then(|r| from_url(&r)));
    if let Some(found) = by_id.and_then(|wanted| items.iter().find(|item| id(item) == wanted)) {
        return Ok(found);
    }
    let lower = trimmed.to_lowercase();
    let exact: Vec<&T> = items.iter().filter(|item| name(item) == wanted).collect();
    let same: Vec<&T> = items.iter().filter(|item| name(item).trim().to_lowercase() == lower).collect();
    match (exact.as_slice(), same.as_slice()) {
        ([found], _) | ([], [found]) => Ok(found),
        ([], []) => Err(missing(did_you_mean(&nearest(trimmed, items.iter().map(name))))),
        (several, others) => {
            let twins = if several.is_empty() { others } else { several };
            let ids: Vec<String> = twins.iter().take(10).map(|item| id(item).to_string()).collect();
            let mut fault = missing(String::new());
            fault.message =
                format!("{} have the name {:?}; use an id: {}.", twins.len(), shown(wanted), ids.join(", "));
            Err(fault)
        }
    }
}

fn shown(wanted: &str) -> String {
    wanted.chars().take(80).collect()
}

impl Table {
    /// The field named `wanted`: id, name (case ignored when that is unambiguous) or URL.
    pub fn field(&self, wanted: &str) -> Result<&Field, Fault> {
        find(
            &self.fields,
            wanted,
            |r| r.field,
            |f| f.id,
            |f| &f.name,
            |near| {
                let hint = if near.is_empty() {
                    let names: Vec<&str> = self.fields.iter().take(12).map(|f| f.name.as_str()).collect();
                    format!(
                        " Fields: {}{}.",
                        names.join(", "),
                        if self.fields.len() > 12 { ", …" } else { "" }
                    )
                } else {
                    near
                };
                Fault::new(
                    Code::UnknownField,
                    format!("table {:?} has no field {:?}.{hint}", self.name, shown(wanted)),
                )
                .about(wanted)
            },
        )
    }

    /// The field with this id.
    pub fn field_by_id(&self, id: FieldId) -> Option<&Field> {
        self.fields.iter().find(|f| f.id == id)
    }

    /// The position of the field with this id among the table's fields.
    pub fn field_index(&self, id: FieldId) -> Option<usize> {
        self.fields.iter().position(|f| f.id == id)
    }

    /// The field that names a record.
    pub fn primary(&self) -> &Field {
        self.field_by_id(self.primary_field_id).unwrap_or(&self.fields[0])
    }

    /// The view named `wanted`: id, name or URL.
    pub fn view(&self, wanted: &str) -> Result<&View, Fault> {
        find(
            &self.views,
            wanted,
            |r| r.view,
            |v| v.id,
            |v| &v.name,
            |near| {
                Fault::new(
                    Code::UnknownView,
                    format!("table {:?} has no view {:?}.{near}", self.name, shown(wanted)),
                )
                .about(wanted)
            },
        )
    }

    /// Checks what serde cannot: unique ids and names, a primary field that exists.
    pub fn validate(&self) -> Result<(), Fault> {
        let bad = |message: String| Err(Fault::new(Code::InvalidFile, message));
        if self.name.trim().is_empty() {
            return bad(format!("table {} has an empty name", self.id));
        }
        let (mut ids, mut names) = (std::collections::HashSet::new(), std::collections::HashSet::new());
        for field in &self.fields {
            if field.name.trim().is_empty() {
                return bad(format!("table {:?}: field {} has an empty name", self.name, field.id));
            }
            if !ids.insert(field.id) {
                return bad(format!("table {:?}: field id {} is there twice", self.name, field.id));
            }
            if !names.insert(field.name.to_lowercase()) {
                return bad(format!("table {:?}: field name {:?} is there twice", self.name, field.name));
            }
        }
        if !ids.contains(&self.primary_field_id) {
            return bad(format!(
                "table {:?}: primaryFieldId {} is not one of its fields",
                self.name, self.primary_field_id
            ));
        }
        Ok(())
    }
}

impl Base {
    /// The table named `wanted`: id, name (case ignored when that is unambiguous) or URL.
    pub fn table(&self, wanted: &str) -> Result<&Table, Fault> {
        find(
            &self.tables,
            wanted,
            |r| r.table,
            |t| t.id,
            |t| &t.name,
            |near| {
                let hint = if near.is_empty() {
                    let names: Vec<&str> = self.tables.iter().take(20).map(|t| t.name.as_str()).collect();
                    format!(" Tables: {}.", names.join(", "))
                } else {
                    near
                };
                Fault::new(
                    Code::UnknownTable,
                    format!("base {:?} has no table {:?}.{hint}", self.name, shown(wanted)),
                )
                .about(wanted)
            },
        )
    }

    /// The table with this id.
    pub fn table_by_id(&self, id: TableId) -> Option<&Table> {
        self.tables.iter().find(|t| t.id == id)
    }

    /// Checks ids, names and that links lead to tables of this base.
    pub fn validate(&self) -> Result<(), Fault> {
        let bad = |message: String| Err(Fault::new(Code::InvalidFile, message));
        let (mut ids, mut names) = (std::collections::HashSet::new(), std::collections::HashSet::new());
        for table in &self.tables {
            table.validate()?;
            if !ids.insert(table.id) || !names.insert(table.name.to_lowercase()) {
                return bad(format!("table {:?} ({}) is there twice", table.name, table.id));
            }
        }
        for table in &self.tables {
            for field in &table.fields {
                let Some(link) = field.link() else { continue };
                let Some(other) = self.table_by_id(link.linked_table_id) else {
                    return bad(format!(
                        "table {:?}, field {:?}: linkedTableId {} is not a table of this base",
                        table.name, field.name, link.linked_table_id
                    ));
                };
                let Some(inverse) = link.inverse_link_field_id else { continue };
                let back = other.field_by_id(inverse).and_then(Field::link);
                if back.is_none_or(|back| back.linked_table_id != table.id) {
                    return bad(format!(
                        "table {:?}, field {:?}: inverseLinkFieldId {inverse} is not a link field of table {:?} that leads back",
                        table.name, field.name, other.name
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Finds a base among `(id, name)` pairs by id, name or URL.
pub fn find_base<'a>(bases: &'a [(BaseId, String)], wanted: &str) -> Result<&'a (BaseId, String), Fault> {
    find(
        bases,
        wanted,
        |r| r.base,
        |b| b.0,
        |b| &b.1,
        |near| {
            let hint = if near.is_empty() {
                match bases.len() {
                    0 => {
                        " There are no bases yet; import one with `tablewright base import FILE`.".to_owned()
                    }
                    _ => {
                        let names: Vec<&str> = bases.iter().take(20).map(|b| b.1.as_str()).collect();
                        format!(" Bases: {}.", names.join(", "))
                    }
                }
            } else {
                near
            };
            Fault::new(Code::UnknownBase, format!("there is no base {:?}.{hint}", shown(wanted)))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        serde_json::from_value(serde_json::json!({
            "id": "tblA1b2C3d4E5f6G7", "name": "Deals", "primaryFieldId": "fldA1b2C3d4E5f6G7",
            "fields": [
                {"id": "fldA1b2C3d4E5f6G7", "name": "Name", "type": "singleLineText"},
                {"id": "fldB1b2C3d4E5f6G7", "name": "Amount", "type": "number"}],
            "views": [{"id": "viwA1b2C3d4E5f6G7", "name": "All", "type": "grid", "colour": "red"}]
        }))
        .unwrap()
    }

    #[test]
    fn finds_by_id_name_case_and_url() {
        let table = table();
        for wanted in
            ["Amount", "amount", " AMOUNT ", "fldB1b2C3d4E5f6G7", "https://x.org/a/fldB1b2C3d4E5f6G7"]
        {
            assert_eq!(table.field(wanted).unwrap().name, "Amount", "{wanted}");
        }
        let fault = table.field("Ammount").unwrap_err();
        assert_eq!(fault.code, Code::UnknownField);
        assert!(fault.message.contains("Did you mean \"Amount\""), "{fault}");
        assert!(table.field("zzz").unwrap_err().message.contains("Fields: Name, Amount"));
    }

    #[test]
    fn unknown_view_keys_survive_and_twins_are_refused() {
        let mut table = table();
        assert_eq!(serde_json::to_value(&table).unwrap()["views"][0]["colour"], "red");
        table.validate().unwrap();
        table.fields[1].name = "NAME".into();
        assert!(table.validate().is_err());
    }
}
