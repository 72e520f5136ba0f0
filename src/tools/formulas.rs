//! Formulas: checked, tried out, explained.

mod evaluate;
mod impact;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::{FieldType, Table};
use tablewright_core::{Code, Fault};
use tablewright_door::TableView;
use tablewright_engine::compute::with_names;
use tablewright_formula::{Problem, Program, Scope, compile, explain, resolve, syntax};
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

pub use evaluate::EvaluateFormula;
pub use impact::AssessFormulaImpact;

/// Lines of an explanation.
const MAX_LINES: usize = 200;

fn answer(result: impl Serialize) -> Answer {
    Answer::Structured(serde_json::to_value(result).unwrap_or_default())
}

/// Any JSON value, in a schema every client takes.
struct Anything;

impl JsonSchema for Anything {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean", "object", "array"] })
    }
}

/// A problem and the part of the formula it is about.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    code: String,
    /// "error": Airtable would refuse the formula; "warning": it hardly does what is meant.
    severity: String,
    /// The part it is about.
    part: String,
    /// Where that part stands, in bytes.
    start: u32,
    end: u32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

fn found(problems: &[Problem], formula: &str) -> Vec<Found> {
    problems
        .iter()
        .map(|problem| Found {
            code: problem.code.as_str().to_owned(),
            severity: if problem.is_error() { "error" } else { "warning" }.to_owned(),
            part: problem.span.of(formula).chars().take(120).collect(),
            start: problem.span.start,
            end: problem.span.end,
            message: problem.message.clone(),
            fix: problem.fix.clone(),
        })
        .collect()
}

/// A formula that compiles, or the fault that says what is wrong with it.
fn compiled(formula: &str, scope: &Scope) -> Result<(Program, Vec<Problem>), Fault> {
    compile(formula, scope).map_err(|problems| {
        Fault::new(Code::InvalidArguments, format!("formula: {}", Problem::joined(&problems)))
    })
}

/// Runs something that may take long where it keeps no other call waiting.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Fault::new(Code::Internal, e.to_string()))?
}

/// `check_formula`
pub struct CheckFormula;

/// Arguments of `check_formula`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckArgs {
    /// Name, id or URL.
    base: String,
    /// The table whose fields it names.
    table: String,
    formula: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Checked {
    /// False when Airtable would refuse to save it.
    valid: bool,
    /// The type of its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    problems: Vec<Found>,
    /// The fields it reads.
    fields: Vec<String>,
}

impl Tool for CheckFormula {
    const NAME: &'static str = "check_formula";
    type Args = CheckArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Checked>())
    }

    async fn run(context: &mut CallContext, args: CheckArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        aside(move || Ok(answer(checked(&view, &args.formula)))).await
    }
}

fn checked(view: &TableView, formula: &str) -> Checked {
    let table = view.schema();
    match compile(formula, &view.scope()) {
        Ok((program, warnings)) => Checked {
            valid: true,
            result: Some(program.result().as_str().to_owned()),
            problems: found(&warnings, formula),
            fields: program.fields().iter().map(|at| table.fields[*at].name.clone()).collect(),
        },
        Err(problems) => {
            Checked { valid: false, result: None, problems: found(&problems, formula), fields: Vec::new() }
        }
    }
}

/// `explain_formula`
pub struct ExplainFormula;

/// Arguments of `explain_formula`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// A formula; or give field.
    formula: Option<String>,
    /// A field that has a formula.
    field: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Explanation {
    /// The formula, laid out, fields by name.
    formula: String,
    /// What it does, a part a line, indented by depth.
    says: String,
    /// The fields it reads.
    depends_on: Vec<String>,
    /// The type of its result.
    result: String,
    problems: Vec<Found>,
}

impl Tool for ExplainFormula {
    const NAME: &'static str = "explain_formula";
    type Args = ExplainArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Explanation>())
    }

    async fn run(context: &mut CallContext, args: ExplainArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let (formula, scope, names) = source(&view, &args)?;
        let (program, warnings) = compiled(&formula, &scope)?;
        let (tree, mut problems) = syntax::parse(&formula);
        let facts = resolve(&tree, &scope, &mut problems);
        Ok(answer(Explanation {
            formula: syntax::pretty(&tree),
            says: explain(&tree, &facts).lines(MAX_LINES),
            depends_on: program.fields().iter().filter_map(|at| names.get(*at).cloned()).collect(),
            result: program.result().as_str().to_owned(),
            problems: found(&warnings, &formula),
        }))
    }
}

/// The formula that is meant, what it may name, and the names of those fields.
fn source(view: &TableView, args: &ExplainArgs) -> Result<(String, Scope, Vec<String>), Fault> {
    let table = view.schema();
    let all = || table.fields.iter().map(|f| f.name.clone()).collect();
    let bad = |message: String| Fault::new(Code::InvalidArguments, message);
    match (&args.formula, &args.field) {
        (Some(formula), None) => Ok((formula.clone(), view.scope(), all())),
        (None, Some(name)) => {
            let field = table.field(name)?;
            match &field.kind {
                FieldType::Formula { formula, .. } => Ok((with_names(table, formula), view.scope(), all())),
                FieldType::Rollup(link, _) => match &link.formula {
                    Some(formula) => {
                        Ok((formula.clone(), Scope::of_rollup(None), vec![linked(view, table, link)]))
                    }
                    None => Err(bad(format!("the rollup {:?} came without its formula.", field.name))),
                },
                _ => Err(bad(format!(
                    "field {:?} has no formula; its type is {}.",
                    field.name, field.type_name
                ))),
            }
        }
        _ => Err(bad("give either formula or field.".into())),
    }
}

/// The values of a rollup in words: `Deals: Amount`.
fn linked(view: &TableView, table: &Table, link: &tablewright_core::model::field::ThroughLink) -> String {
    let through = link.record_link_field_id.and_then(|id| table.field_by_id(id));
    let other =
        through.and_then(|f| f.link()).and_then(|l| view.base().schema().table_by_id(l.linked_table_id));
    let source = other.and_then(|t| t.field_by_id(link.field_id_in_linked_table?));
    match (through, source) {
        (Some(through), Some(source)) => format!("{}: {}", through.name, source.name),
        _ => "values".to_owned(),
    }
}
