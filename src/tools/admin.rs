//! Who may see and do what.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_door::policy::Explained;
use tablewright_door::policy::file::Verb;
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

/// `explain_access`
pub struct ExplainAccess;

/// Arguments of `explain_access`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// What to do.
    verb: Verb,
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: Option<String>,
    /// Name or id; needs table.
    field: Option<String>,
    /// With this tool.
    tool: Option<String>,
}

impl Tool for ExplainAccess {
    const NAME: &'static str = "explain_access";
    type Args = Args;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Explained>())
    }

    async fn run(context: &mut CallContext, args: Args) -> Result<Answer, Fault> {
        let Args { verb, base, table, field, tool } = args;
        let explained =
            context.call.explain_access(verb, &base, table.as_deref(), field.as_deref(), tool).await?;
        Ok(Answer::Structured(serde_json::to_value(explained).unwrap_or_default()))
    }
}
