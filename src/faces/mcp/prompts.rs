//! Prompts: guides for a model that works with these tools.

use std::collections::BTreeMap;

use rmcp::model::{
    CacheScope, ContentBlock, EmbeddedResource, ErrorData, GetPromptRequestParams, GetPromptResult,
    ListPromptsResult, PaginatedRequestParams, PromptArgument, PromptMessage, Role,
};
use serde_json::Value;
use tablewright_core::suggest::{did_you_mean, nearest};
use tablewright_core::{Code, Fault};
use tablewright_door::access::Need;
use tablewright_door::{BaseView, Call, Caller, TableView};
pub use tablewright_toolkit::prompts::Error;
use tablewright_toolkit::prompts::{Argument, Completes, Prompt, quoted};

use super::address::Place;
use super::handler::TTL_MS;
use super::{Parts, documents, pages, refusals, resources};

/// Every prompt of the program, by name.
pub fn all() -> Result<Vec<Prompt>, Error> {
    [
        ("build_report", include_str!("../../../prompts/mcp/build_report.md")),
        ("clean_up_table", include_str!("../../../prompts/mcp/clean_up_table.md")),
        ("design_schema", include_str!("../../../prompts/mcp/design_schema.md")),
        ("explore_base", include_str!("../../../prompts/mcp/explore_base.md")),
        ("import_data", include_str!("../../../prompts/mcp/import_data.md")),
    ]
    .into_iter()
    .map(|(name, text)| Prompt::parse(name, text))
    .collect()
}

/// Characters of a name that is given as an argument.
const MAX_NAME: usize = 500;
/// Characters of a text that is given as an argument.
const MAX_TEXT: usize = 8_000;
/// Characters of the schema that goes with a prompt.
const MAX_SCHEMA: usize = 30_000;

/// What `prompts/list` answers.
pub(super) fn list(
    parts: &Parts,
    request: Option<&PaginatedRequestParams>,
) -> Result<ListPromptsResult, ErrorData> {
    let (shown, next) = pages::page("prompts", parts.prompts(), request, |p| &p.name)?;
    let prompts = shown
        .iter()
        .map(|prompt| {
            let arguments = prompt.arguments.iter().map(|argument| {
                PromptArgument::new(argument.name.as_str())
                    .with_description(argument.description.as_str())
                    .with_required(argument.required)
            });
            rmcp::model::Prompt::new(
                prompt.name.as_str(),
                Some(prompt.description.as_str()),
                Some(arguments.collect()),
            )
            .with_title(prompt.title.as_str())
        })
        .collect();
    let mut result =
        ListPromptsResult::with_all_items(prompts).with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private);
    result.next_cursor = next;
    Ok(result)
}

/// The prompt called `name`, or what to say when there is none.
pub(super) fn find<'a>(parts: &'a Parts, name: &str) -> Result<&'a Prompt, Fault> {
    parts.prompts().iter().find(|prompt| prompt.name == name).ok_or_else(|| {
        let names: Vec<&str> = parts.prompts().iter().map(|p| p.name.as_str()).collect();
        let given: String = name.chars().take(80).collect();
        let message = format!(
            "there is no prompt {given:?}.{} Prompts: {}.",
            did_you_mean(&nearest(name, names.iter().copied())),
            names.join(", ")
        );
        Fault::new(Code::InvalidArguments, message)
    })
}

/// What `prompts/get` answers.
pub(super) async fn get(
    parts: &Parts,
    caller: Caller,
    request: GetPromptRequestParams,
) -> Result<GetPromptResult, ErrorData> {
    let mut call = parts.door().call(caller, "prompts/get");
    let result = async {
        let prompt = find(parts, &request.name)?;
        let given = arguments(prompt, request.arguments.unwrap_or_default())?;
        let known = Known::find(&mut call, prompt, &given).await?;
        let values = prompt
            .arguments
            .iter()
            .filter_map(|argument| Some((argument, given.get(argument.name.as_str())?)))
            .map(|(argument, text)| Ok((argument.name.as_str(), known.shown(argument, text)?)))
            .collect::<Result<BTreeMap<_, _>, Fault>>()?;
        let mut messages = vec![PromptMessage::new_text(Role::User, prompt.render(&values))];
        if prompt.schema
            && let Some((place, schema)) = known.schema()
        {
            let resource = EmbeddedResource::new(resources::contents(place, &schema));
            messages.push(PromptMessage::new(Role::User, ContentBlock::Resource(resource)));
        }
        Ok(GetPromptResult::new(messages).with_description(prompt.description.as_str()))
    };
    let result: Result<_, Fault> = result.await;
    call.finish(result.as_ref().err().map(|fault| fault.code));
    result.map_err(|fault| refusals::of_arguments(&fault))
}

/// The arguments as texts; an empty one counts as left out.
fn arguments(
    prompt: &Prompt,
    given: serde_json::Map<String, Value>,
) -> Result<BTreeMap<String, String>, Fault> {
    let bad = |message: String| Err(Fault::new(Code::InvalidArguments, message));
    let names: Vec<&str> = prompt.arguments.iter().map(|a| a.name.as_str()).collect();
    let mut texts = BTreeMap::new();
    for (name, value) in given {
        let Some(argument) = prompt.arguments.iter().find(|a| a.name == name) else {
            let shown: String = name.chars().take(60).collect();
            let near = did_you_mean(&nearest(&name, names.iter().copied()));
            let known = names.join(", ");
            return bad(format!("{} has no argument {shown:?}.{near} Arguments: {known}.", prompt.name));
        };
        let text = match value {
            Value::String(text) => text,
            Value::Null => continue,
            _ => return bad(format!("{name} must be a text: {}", argument.description)),
        };
        let most = if argument.completes.is_some() { MAX_NAME } else { MAX_TEXT };
        if text.chars().count() > most {
            return bad(format!("{name} is too long: at most {most} characters"));
        }
        if !text.trim().is_empty() {
            texts.insert(name, text);
        }
    }
    let missing: Vec<String> = prompt
        .arguments
        .iter()
        .filter(|a| a.required && !texts.contains_key(&a.name))
        .map(|a| format!("{} ({})", a.name, a.description))
        .collect();
    if missing.is_empty() { Ok(texts) } else { bad(format!("missing: {}.", missing.join(", "))) }
}

/// What the arguments name.
#[derive(Default)]
struct Known {
    base: Option<BaseView>,
    table: Option<TableView>,
    /// The field that choices belong to.
    field: Option<String>,
}

impl Known {
    async fn find(call: &mut Call, prompt: &Prompt, given: &BTreeMap<String, String>) -> Result<Self, Fault> {
        let text = |kind| prompt.argument_for(kind).and_then(|a| given.get(&a.name));
        let mut known = Self::default();
        if let Some(base) = text(Completes::Base) {
            call.caller().rights.require(Need::Describe)?;
            if let Some(table) = text(Completes::Table) {
                let view = call.table(base, table).await?;
                (known.base, known.table) = (Some(view.base().clone()), Some(view));
            } else {
                known.base = Some(call.base(base).await?);
            }
        }
        known.field = text(Completes::Field).cloned();
        Ok(known)
    }

    /// An argument as it goes into the text: what it names with its id, quoted.
    fn shown(&self, argument: &Argument, text: &str) -> Result<String, Fault> {
        let table = || {
            self.table.as_ref().map(TableView::schema).ok_or_else(|| {
                Fault::new(Code::InvalidArguments, format!("{} needs a table; give one too.", argument.name))
            })
        };
        let named = |name: &str, id: String| format!("{} ({id})", quoted(name));
        Ok(match argument.completes {
            None => quoted(text),
            Some(Completes::Base) => match &self.base {
                Some(base) => named(&base.schema().name, base.schema().id.to_string()),
                None => quoted(text),
            },
            Some(Completes::Table) => {
                let table = table()?;
                named(&table.name, table.id.to_string())
            }
            Some(Completes::Field) => {
                let field = table()?.field(text)?;
                named(&field.name, field.id.to_string())
            }
            Some(Completes::View) => {
                let view = table()?.view(text)?;
                named(&view.name, view.id.to_string())
            }
            Some(Completes::Choice) => self.choice(argument, text, table()?)?,
        })
    }

    fn choice(
        &self,
        argument: &Argument,
        text: &str,
        table: &tablewright_core::model::Table,
    ) -> Result<String, Fault> {
        let bad = |message: String| Fault::new(Code::InvalidArguments, message);
        let Some(field) = &self.field else {
            return Err(bad(format!("{} needs the field it is a choice of; give that too.", argument.name)));
        };
        let field = table.field(field)?;
        let choices =
            field.kind.choices().ok_or_else(|| bad(format!("the field {:?} has no choices.", field.name)))?;
        let wanted = text.trim().to_lowercase();
        let found = choices.iter().find(|c| c.name.trim().to_lowercase() == wanted);
        let choice = found.ok_or_else(|| {
            let near = did_you_mean(&nearest(text, choices.iter().map(|c| c.name.as_str())));
            let given: String = text.chars().take(80).collect();
            let names: Vec<&str> = choices.iter().take(12).map(|c| c.name.as_str()).collect();
            let more = if choices.len() > 12 { ", …" } else { "" };
            let known = names.join(", ");
            bad(format!("the field {:?} has no choice {given:?}.{near} Choices: {known}{more}.", field.name))
        })?;
        Ok(quoted(&choice.name))
    }

    /// The schema of the table, or of the base.
    fn schema(&self) -> Option<(Place, Value)> {
        if let Some(view) = &self.table {
            let (base, table) = (view.base().schema(), view.schema());
            let place = Place::Table(base.id, table.id);
            return Some((place, documents::table_schema(base, table, MAX_SCHEMA)));
        }
        let base = self.base.as_ref()?.schema();
        Some((Place::Base(base.id), documents::base_schema(base, MAX_SCHEMA)))
    }
}
