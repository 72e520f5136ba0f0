//! What a change of a field does to the rest of a base.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::{Code, Fault};
use tablewright_engine::compute::{Change, Effect, impact};
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

use super::answer;

/// Most dependents listed.
const MAX_LISTED: usize = 200;

/// `assess_formula_impact`
pub struct AssessFormulaImpact;

/// What is to happen.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    Rename,
    Retype,
    Delete,
}

/// Arguments of `assess_formula_impact`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImpactArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Name or id.
    field: String,
    change: What,
    /// The new name, or the new type such as "singleLineText".
    to: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Impact {
    /// How many stop working, directly or through others.
    broken: usize,
    /// Worst first.
    affected: Vec<Dependent>,
    /// How many more there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Dependent {
    table: String,
    /// A field or a view.
    what: String,
    effect: Effect,
    why: String,
    /// 1 when it names the field itself.
    distance: usize,
}

impl Tool for AssessFormulaImpact {
    const NAME: &'static str = "assess_formula_impact";
    type Args = ImpactArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Impact>())
    }

    async fn run(context: &mut CallContext, args: ImpactArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let field = view.schema().field(&args.field)?.id;
        let change = match (args.change, args.to) {
            (What::Rename, Some(to)) => Change::Rename(to),
            (What::Retype, Some(to)) => Change::Retype(to),
            (What::Delete, None) => Change::Delete,
            (What::Delete, Some(_)) => {
                return Err(Fault::new(Code::InvalidArguments, "delete takes no \"to\"."));
            }
            _ => return Err(Fault::new(Code::InvalidArguments, "\"to\" is missing: the new name or type.")),
        };
        let all = impact(view.base().schema(), field, &change)?;
        let broken = all.iter().filter(|a| matches!(a.effect, Effect::Breaks | Effect::BreaksToo)).count();
        let more = all.len().saturating_sub(MAX_LISTED);
        let affected = all
            .into_iter()
            .take(MAX_LISTED)
            .map(|a| Dependent {
                table: a.table,
                what: a.what,
                effect: a.effect,
                why: a.why,
                distance: a.distance,
            })
            .collect();
        Ok(answer(Impact { broken, affected, more: (more > 0).then_some(more) }))
    }
}
