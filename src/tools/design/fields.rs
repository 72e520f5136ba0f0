//! Fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{Base, Field};
use tablewright_engine::local::schema::SchemaEdit;
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

use super::options::{ChoiceSpec, Given, by_id};
use super::plan::{self, FieldSpec};
use super::{Elsewhere, Named, accepted, answer};

/// Choices an answer lists.
const MAX_CHOICES: usize = 100;

/// `create_field`
pub struct CreateField;

/// Arguments of `create_field`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFieldArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    field: FieldSpec,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MadeField {
    id: String,
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    /// Of a computed field: the type of its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// Of a select: the first 100 choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<Vec<Named>>,
    /// Of a link: its other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_side: Option<Elsewhere>,
    /// Number in the change log.
    change: i64,
}

impl MadeField {
    fn of(base: &Base, field: &Field, change: i64) -> Self {
        let result = field.options.as_ref().and_then(|o| o.get("result")?.get("type")?.as_str());
        let choices = field.kind.choices().map(|all| {
            let named =
                |c: &tablewright_core::model::Choice| Named { id: c.id.to_string(), name: c.name.clone() };
            all.iter().take(MAX_CHOICES).map(named).collect()
        });
        let other_side = field.link().and_then(|link| {
            let table = base.table_by_id(link.linked_table_id)?;
            let back = table.field_by_id(link.inverse_link_field_id?)?;
            Some(Elsewhere { table: table.name.clone(), id: back.id.to_string(), name: back.name.clone() })
        });
        Self {
            id: field.id.to_string(),
            name: field.name.clone(),
            type_name: field.type_name.clone(),
            result: result.map(str::to_owned),
            choices,
            other_side,
            change,
        }
    }
}

fn made(done: &tablewright_door::Edited) -> Answer {
    let schema = done.base.schema();
    let table = done.table.and_then(|id| schema.table_by_id(id));
    let field = table.and_then(|table| table.field_by_id(done.field?));
    answer(field.map(|field| MadeField::of(schema, field, done.change)))
}

impl Tool for CreateField {
    const NAME: &'static str = "create_field";
    type Args = CreateFieldArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<MadeField>())
    }

    async fn run(context: &mut CallContext, args: CreateFieldArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let (schema, table) = (view.base().schema(), view.schema().id);
        let field = plan::field(schema.clone(), table, args.field)?;
        let edit = SchemaEdit::CreateField { table, field };
        Ok(made(&context.call.edit_schema(schema.id, edit).await?))
    }
}

/// `update_field`
pub struct UpdateField;

/// Arguments of `update_field`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateFieldArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Name, id or URL.
    field: String,
    /// The new name.
    name: Option<String>,
    /// The new description; "" takes it away.
    description: Option<String>,
    /// All choices of a select in their new order: names, or {id, name, color} to rename one.
    choices: Option<Vec<ChoiceSpec>>,
    /// Of a formula or rollup.
    formula: Option<String>,
    /// Of a lookup, rollup or count: the link field of this table.
    through: Option<String>,
    /// Of a lookup or rollup: the field of the linked table.
    source: Option<String>,
    /// Other options of the type, as in Airtable's API; those left out stay.
    options: Option<Map<String, Value>>,
}

impl Tool for UpdateField {
    const NAME: &'static str = "update_field";
    type Args = UpdateFieldArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<MadeField>())
    }

    async fn run(context: &mut CallContext, args: UpdateFieldArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let (schema, table) = (view.base().schema(), view.schema());
        let field = table.field(&args.field)?;
        let UpdateFieldArgs { choices, formula, through, source, options, .. } = args;
        let given = Given { choices, formula, links_to: None, through, source, options };
        let (name, description) = (accepted(args.name)?, accepted(args.description)?);
        let options = if given.is_empty() {
            if name.is_none() && description.is_none() {
                return Err(super::nothing("name, description, choices, formula or options"));
            }
            None
        } else {
            let mut options = given.options(&field.type_name)?;
            by_id(&mut options, schema, table, &field.type_name, Some(field))?;
            Some(options)
        };
        let edit = SchemaEdit::UpdateField { table: table.id, field: field.id, name, description, options };
        Ok(made(&context.call.edit_schema(schema.id, edit).await?))
    }
}
