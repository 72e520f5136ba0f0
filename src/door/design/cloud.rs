//! Changing the schemas of bases that live in Airtable: what its API can do is done there and then
//! looked at; the rest is refused before anything is sent.

use serde_json::{Map, Value, json};
use tablewright_core::model::{Base, BaseId, Field, FieldId, FieldType, TableId, ViewId};
use tablewright_core::{Code, Fault};
use tablewright_engine::local::fill_in;
use tablewright_engine::local::schema::{NewField, NewTable, SchemaEdit};

use super::Edited;
use crate::call::Call;

/// A request that carries out an edit.
#[derive(Debug, PartialEq)]
enum Step {
    CreateTable(Value, Vec<Side>),
    UpdateTable(TableId, Value),
    CreateField(TableId, Value, Vec<Side>),
    UpdateField(TableId, FieldId, Value),
    DeleteView(TableId, ViewId),
}

/// What the other side of a new link is to be called; Airtable makes it and names it itself.
#[derive(Debug, PartialEq)]
struct Side {
    link: String,
    name: String,
}

/// What an edit was about, and the other sides of new links with the names wanted for them.
#[derive(Debug, Default)]
struct Done {
    table: Option<TableId>,
    field: Option<FieldId>,
    view: Option<ViewId>,
    sides: Vec<(FieldId, String)>,
}

/// Refuses what Airtable's API has no way to do.
fn by_hand(what: &str) -> Fault {
    let message =
        format!("Airtable's API cannot {what}; a person can in Airtable, and the change is seen here soon.");
    Fault::new(Code::InvalidSchema, message)
}

/// A new field as the API takes it.
fn new_field(field: &NewField) -> Result<Value, Fault> {
    let NewField { name, type_name, description, .. } = field;
    let mut options = field.options.clone().unwrap_or_default();
    let kind = FieldType::parse(type_name, &options).unwrap_or(FieldType::Unknown);
    if kind.is_computed() {
        return Err(by_hand(&format!("create the field {name:?}: it makes no fields of type {type_name}")));
    }
    match &kind {
        // What is usual there is refused when it is sent.
        FieldType::Links(_) => {
            options.remove("isReversed");
            if options.remove("prefersSingleRecordLink") == Some(json!(true)) {
                return Err(by_hand(&format!("limit the links of the field {name:?} to one record")));
            }
        }
        FieldType::Attachments => options.clear(),
        _ => fill_in(type_name, &mut options),
    }
    let mut body = json!({"name": name, "type": type_name});
    if let Some(text) = description.as_ref().filter(|text| !text.is_empty()) {
        body["description"] = json!(text);
    }
    if !options.is_empty() {
        body["options"] = Value::Object(options);
    }
    Ok(body)
}

fn new_table(new: &NewTable) -> Result<Value, Fault> {
    let own = new.id.map(|id| json!(id));
    let to_itself = |field: &&NewField| {
        let to = field.options.as_ref().and_then(|options| options.get("linkedTableId"));
        to.is_some() && to == own.as_ref()
    };
    if let Some(field) = new.fields.iter().find(to_itself) {
        let message = format!(
            "field {:?}: in Airtable a table cannot link to itself when it is made; leave the field out, and make it with create_field afterwards.",
            field.name
        );
        return Err(Fault::new(Code::InvalidSchema, message));
    }
    let fields = new.fields.iter().map(new_field).collect::<Result<Vec<_>, _>>()?;
    let mut body = json!({"name": new.name, "fields": fields});
    if let Some(text) = new.description.as_ref().filter(|text| !text.is_empty()) {
        body["description"] = json!(text);
    }
    Ok(body)
}

/// The names wanted for the other sides of new links.
fn sides(fields: &[NewField]) -> Vec<Side> {
    let side = |field: &NewField| {
        Some(Side { link: field.name.trim().to_owned(), name: field.other_side.as_ref()?.name.clone() })
    };
    fields.iter().filter_map(side).collect()
}

/// The same once the links are made.
fn placed(made: &[Field], wanted: Vec<Side>) -> Vec<(FieldId, String)> {
    let place = |side: Side| {
        let link = made.iter().find(|field| field.name.trim() == side.link)?;
        Some((link.link()?.inverse_link_field_id?, side.name))
    };
    wanted.into_iter().filter_map(place).collect()
}

/// The parts of an update that are given.
fn update(name: Option<String>, description: Option<String>) -> Map<String, Value> {
    let mut body = Map::new();
    body.extend(name.map(|name| ("name".to_owned(), name.into())));
    body.extend(description.map(|text| ("description".to_owned(), text.into())));
    body
}

/// The options of an update, if they are the formula of a formula field.
fn formula(field: &Field, options: &Map<String, Value>) -> Result<Value, Fault> {
    let is_formula = matches!(field.kind, FieldType::Formula { .. });
    match options.get("formula") {
        Some(Value::String(text)) if is_formula && options.len() == 1 => Ok(json!({ "formula": text })),
        _ => {
            let what = format!(
                "change the options of the field {:?} ({}), only the formula of a formula field",
                field.name, field.type_name
            );
            Err(by_hand(&what))
        }
    }
}

impl Step {
    fn of(base: &Base, edit: SchemaEdit) -> Result<Self, Fault> {
        Ok(match edit {
            SchemaEdit::CreateTable(new) => Self::CreateTable(new_table(&new)?, sides(&new.fields)),
            SchemaEdit::UpdateTable { table, name, description } => {
                Self::UpdateTable(table, Value::Object(update(name, description)))
            }
            SchemaEdit::CreateField { table, field } => {
                Self::CreateField(table, new_field(&field)?, sides(&[field]))
            }
            SchemaEdit::UpdateField { table, field, name, description, options } => {
                let mut body = update(name, description);
                if let Some(options) = options {
                    let held = base.table_by_id(table).and_then(|held| held.field_by_id(field));
                    let unknown = || Fault::new(Code::UnknownField, format!("there is no field {field}."));
                    body.insert("options".into(), formula(held.ok_or_else(unknown)?, &options)?);
                }
                Self::UpdateField(table, field, Value::Object(body))
            }
            SchemaEdit::DeleteView { table, view } => Self::DeleteView(table, view),
            SchemaEdit::RenameBase(_) => return Err(by_hand("rename a base")),
            SchemaEdit::DeleteTable(_) => return Err(by_hand("delete a table")),
            SchemaEdit::DeleteField { .. } => return Err(by_hand("delete a field")),
            SchemaEdit::CreateView { .. } => return Err(by_hand("make a view")),
            SchemaEdit::UpdateView { .. } => return Err(by_hand("change a view")),
            SchemaEdit::PutBack { .. } => return Err(by_hand("take changes of tables back")),
        })
    }
}

impl Call {
    /// Carries an edit out in Airtable.
    pub(super) async fn edit_in_airtable(&mut self, base: BaseId, edit: SchemaEdit) -> Result<Edited, Fault> {
        let step = Step::of(&*self.schema(base).await?, edit)?;
        let done = self.carry_out(base, step).await;
        self.note_answer(&done);
        if done.as_ref().err().is_none_or(|fault| fault.code == Code::OutcomeUnknown) {
            self.follow_schema(base).await;
        }
        let Done { table, field, view, sides } = done?;
        self.name_sides(base, sides).await?;
        let base = self.held(base).await?;
        let change = base.change();
        Ok(Edited { base, table, field, view, change })
    }

    async fn carry_out(&self, base: BaseId, step: Step) -> Result<Done, Fault> {
        let (session, ask) = (self.session(base).await?, self.ask().await?);
        Ok(match step {
            Step::CreateTable(body, sides) => {
                let made = session.create_table(&ask, base, &body).await?.value;
                self.adopt(base, made.id).await?;
                Done { table: Some(made.id), sides: placed(&made.fields, sides), ..Done::default() }
            }
            Step::UpdateTable(table, body) => {
                session.update_table(&ask, base, table, &body).await?;
                Done { table: Some(table), ..Done::default() }
            }
            Step::CreateField(table, body, sides) => {
                let made = session.create_field(&ask, base, table, &body).await?.value;
                let (table, field) = (Some(table), Some(made.id));
                Done { table, field, sides: placed(&[made], sides), ..Done::default() }
            }
            Step::UpdateField(table, field, body) => {
                session.update_field(&ask, base, table, field, &body).await?;
                Done { table: Some(table), field: Some(field), ..Done::default() }
            }
            Step::DeleteView(table, view) => {
                session.delete_view(&ask, base, view).await?;
                Done { table: Some(table), view: Some(view), ..Done::default() }
            }
        })
    }

    /// Gives the other sides of new links the names wanted for them.
    async fn name_sides(&self, base: BaseId, sides: Vec<(FieldId, String)>) -> Result<(), Fault> {
        let schema = self.schema(base).await?;
        let held = |id: FieldId| {
            let mut tables = schema.tables.iter();
            tables.find_map(|table| Some((table.id, table.field_by_id(id)?)))
        };
        let mut renamed = false;
        for (id, name) in sides {
            let Some((table, side)) = held(id).filter(|(_, side)| side.name.trim() != name.trim()) else {
                continue;
            };
            let (session, ask) = (self.session(base).await?, self.ask().await?);
            let done = session.update_field(&ask, base, table, id, &json!({ "name": name })).await;
            done.map_err(|error| {
                let was = &side.name;
                let place = format!("the link was made, but its other side, {was:?}, could not be renamed");
                Fault::from(error).within(place)
            })?;
            renamed = true;
        }
        if renamed {
            self.follow_schema(base).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        serde_json::from_value(json!({"id": "appA1b2C3d4E5f6G7", "name": "B", "tables": [
            {"id": "tblA1b2C3d4E5f6G7", "name": "T", "fields": [
                {"id": "fldA1b2C3d4E5f6G7", "name": "Name", "type": "singleLineText"},
                {"id": "fldF1b2C3d4E5f6G7", "name": "F", "type": "formula", "options": {"formula": "1"}}]}]}))
        .unwrap()
    }

    fn field(type_name: &str, options: Value) -> NewField {
        let options = options.as_object().cloned();
        NewField { name: "New".into(), type_name: type_name.into(), options, ..NewField::default() }
    }

    fn options(field: &str, options: Value) -> Result<Step, Fault> {
        let (table, field) = ("tblA1b2C3d4E5f6G7".parse().unwrap(), field.parse().unwrap());
        let options = options.as_object().cloned();
        let edit = SchemaEdit::UpdateField { table, field, name: None, description: None, options };
        Step::of(&base(), edit)
    }

    #[test]
    fn fields_are_sent_as_the_api_takes_them() {
        let number = new_field(&field("number", Value::Null)).unwrap();
        assert_eq!(number, json!({"name": "New", "type": "number", "options": {"precision": 0}}));
        let text = new_field(&field("singleLineText", Value::Null)).unwrap();
        assert_eq!(text, json!({"name": "New", "type": "singleLineText"}));
        let to = json!({"linkedTableId": "tblA1b2C3d4E5f6G7", "prefersSingleRecordLink": false});
        let link = new_field(&field("multipleRecordLinks", to)).unwrap();
        assert_eq!(link["options"], json!({"linkedTableId": "tblA1b2C3d4E5f6G7"}));
    }

    #[test]
    fn what_the_api_cannot_do_is_refused_with_what_to_do() {
        let table: TableId = "tblA1b2C3d4E5f6G7".parse().unwrap();
        let refused = |edit: SchemaEdit| Step::of(&base(), edit).unwrap_err().message;
        for edit in [
            SchemaEdit::RenameBase("C".into()),
            SchemaEdit::DeleteTable(table),
            SchemaEdit::DeleteField { table, field: "fldA1b2C3d4E5f6G7".parse().unwrap() },
            SchemaEdit::CreateField { table, field: field("formula", json!({"formula": "1"})) },
            SchemaEdit::CreateField { table, field: field("autoNumber", Value::Null) },
        ] {
            let message = refused(edit);
            assert!(message.contains("a person can in Airtable"), "{message}");
        }
        assert!(options("fldA1b2C3d4E5f6G7", json!({"precision": 1})).is_err());
        assert!(options("fldF1b2C3d4E5f6G7", json!({"formula": "2", "x": 1})).is_err());
        let Step::UpdateField(_, _, body) = options("fldF1b2C3d4E5f6G7", json!({"formula": "2"})).unwrap()
        else {
            panic!("another step");
        };
        assert_eq!(body, json!({"options": {"formula": "2"}}));
        let own = NewTable {
            id: Some(table),
            name: "Own".into(),
            fields: vec![field("multipleRecordLinks", json!({ "linkedTableId": table }))],
            ..NewTable::default()
        };
        assert!(refused(SchemaEdit::CreateTable(own)).contains("create_field afterwards"));
    }
}
