//! Values for arguments of prompts and for the variables of resource templates, as one types.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rmcp::model::{
    CompleteRequestParams, CompleteResult, CompletionContext, CompletionInfo, ErrorData,
    Reference as RefersTo,
};
use tablewright_core::model::Reference;
use tablewright_core::{Code, Fault};
use tablewright_door::access::Need;
use tablewright_door::{Call, Caller, TableView};
use tablewright_engine::replica::Want;
use tablewright_toolkit::prompts::Completes;
use tablewright_toolkit::text::is_hidden;

use super::{Parts, address, prompts, refusals};

/// Values in one answer, as the protocol has it.
const MAX_VALUES: usize = CompletionInfo::MAX_VALUES;
/// Records looked at for one answer.
const MAX_RECORDS: usize = 200_000;
/// Characters of a name that is offered; a record with a longer one is offered by its id.
const MAX_NAME: usize = 100;
/// Characters of what was typed that are looked at.
const MAX_TYPED: usize = 200;

/// What a value names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Named(Completes),
    Record,
    /// A text of any kind: nothing to offer.
    Free,
}

/// The names under which the base, table and field were given, if there are such.
struct Names {
    base: Option<String>,
    table: Option<String>,
    field: Option<String>,
}

/// What `completion/complete` answers.
pub(super) async fn complete(
    parts: &Parts,
    caller: Caller,
    request: CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let mut call = parts.door().call(caller, "completion/complete");
    let found = values(parts, &mut call, &request).await;
    call.finish(found.as_ref().err().map(|fault| fault.code));
    let found = found.map_err(|fault| refusals::of_arguments(&fault))?;
    let more = found.unseen || found.total > found.values.len();
    let total = (!found.unseen).then(|| u32::try_from(found.total).unwrap_or(u32::MAX));
    let info = CompletionInfo::with_pagination(found.values, total, more)
        .map_err(|why| ErrorData::internal_error(why, None))?;
    Ok(CompleteResult::new(info))
}

async fn values(parts: &Parts, call: &mut Call, request: &CompleteRequestParams) -> Result<Matches, Fault> {
    let (kind, names) = meaning(parts, request)?;
    let typed: String = request.argument.value.chars().take(MAX_TYPED).collect();
    let none = Matches::new("");
    match kind {
        Kind::Free => return Ok(none),
        Kind::Record => call.caller().rights.require(Need::Read)?,
        Kind::Named(_) => call.caller().rights.require(Need::Describe)?,
    }
    let mut matches = Matches::new(&typed);
    if kind == Kind::Named(Completes::Base) {
        call.bases().iter().for_each(|(id, name)| matches.offer(name, id));
        return Ok(matches.sorted());
    }
    let given = |name: &Option<String>| name.clone().filter(|name| !name.trim().is_empty());
    // Where there is only one base it goes without saying.
    let only = || match call.bases().as_slice() {
        [(id, _)] => Some(id.to_string()),
        _ => None,
    };
    let Some(base) = given(&names.base).or_else(only) else { return Ok(none) };
    // Whoever types does not wait for Airtable.
    call.want(Want::HELD);
    let base = call.base(&base).await?;
    if kind == Kind::Named(Completes::Table) {
        base.schema().tables.iter().for_each(|table| matches.offer(&table.name, table.id));
        return Ok(matches.sorted());
    }
    let Some(table) = given(&names.table) else { return Ok(none) };
    let view = base.table(&table)?;
    match kind {
        Kind::Record => {
            return tokio::task::spawn_blocking(move || records(&view, &typed))
                .await
                .map_err(|e| Fault::new(Code::Internal, e.to_string()));
        }
        Kind::Named(Completes::Field) => {
            view.schema().fields.iter().for_each(|f| matches.offer(&f.name, f.id))
        }
        Kind::Named(Completes::View) => view.schema().views.iter().for_each(|v| matches.offer(&v.name, v.id)),
        Kind::Named(Completes::Choice) => {
            let Some(field) = given(&names.field) else { return Ok(none) };
            let choices = view.schema().field(&field)?.kind.choices().unwrap_or_default();
            // Nothing else names a choice, so one with hidden characters is not offered.
            let plain = choices.iter().filter(|choice| !choice.name.contains(is_hidden));
            plain.for_each(|choice| matches.offer(&choice.name, choice.id));
        }
        Kind::Named(Completes::Base | Completes::Table) | Kind::Free => {}
    }
    Ok(matches.sorted())
}

/// What is to be completed, and what was given for what it is a part of.
fn meaning(parts: &Parts, request: &CompleteRequestParams) -> Result<(Kind, Names), Fault> {
    let wanted = request.argument.name.as_str();
    let given =
        |name: &str| request.context.as_ref().and_then(|c: &CompletionContext| c.get_argument(name).cloned());
    let unknown = |what: &str, known: &[&str]| {
        let shown: String = wanted.chars().take(60).collect();
        let message = format!("{what} has no argument {shown:?}. Arguments: {}.", known.join(", "));
        Fault::new(Code::InvalidArguments, message)
    };
    match &request.r#ref {
        RefersTo::Prompt(prompt) => {
            let prompt = prompts::find(parts, &prompt.name)?;
            let Some(argument) = prompt.arguments.iter().find(|a| a.name == wanted) else {
                let known: Vec<&str> = prompt.arguments.iter().map(|a| a.name.as_str()).collect();
                return Err(unknown(&prompt.name, &known));
            };
            let of = |kind| prompt.argument_for(kind).and_then(|a| given(&a.name));
            let names =
                Names { base: of(Completes::Base), table: of(Completes::Table), field: of(Completes::Field) };
            Ok((argument.completes.map_or(Kind::Free, Kind::Named), names))
        }
        RefersTo::Resource(template) => {
            let known: &[&str] = match template.uri.as_str() {
                address::BASE_SCHEMA => &["base"],
                address::TABLE_SCHEMA => &["base", "table"],
                address::RECORD => &["base", "table", "record"],
                other => {
                    let shown: String = other.chars().take(80).collect();
                    let message = format!(
                        "there is no resource template {shown:?}; resources/templates/list has them."
                    );
                    return Err(Fault::new(Code::InvalidArguments, message));
                }
            };
            let kind = match wanted {
                "base" => Kind::Named(Completes::Base),
                "table" => Kind::Named(Completes::Table),
                _ => Kind::Record,
            };
            if !known.contains(&wanted) {
                return Err(unknown(&template.uri, known));
            }
            Ok((kind, Names { base: given("base"), table: given("table"), field: None }))
        }
        _ => Err(Fault::new(Code::InvalidArguments, "ref must be a prompt or a resource template.")),
    }
}

/// Values that begin with what was typed, then values that contain it; case does not count.
struct Matches {
    typed: String,
    beginning: Vec<String>,
    values: Vec<String>,
    total: usize,
    /// True when not everything was looked at.
    unseen: bool,
}

impl Matches {
    fn new(typed: &str) -> Self {
        let typed = typed.trim_start().to_lowercase();
        Self { typed, beginning: Vec::new(), values: Vec::new(), total: 0, unseen: false }
    }

    /// Offers what a name names: by the name, or by its id where the name hides something.
    fn offer(&mut self, name: &str, id: impl ToString) {
        self.offer_as(name, || if name.contains(is_hidden) { id.to_string() } else { name.to_owned() });
    }

    /// Offers `value` when `name` fits, and says whether it does.
    fn offer_as(&mut self, name: &str, value: impl FnOnce() -> String) -> bool {
        let lower = name.trim_start().to_lowercase();
        let fits = lower.contains(&self.typed);
        if fits {
            self.take(lower.starts_with(&self.typed), value);
        }
        fits
    }

    fn take(&mut self, begins: bool, value: impl FnOnce() -> String) {
        self.total += 1;
        let into = if begins { &mut self.beginning } else { &mut self.values };
        if into.len() < MAX_VALUES {
            into.push(value());
        }
    }

    fn sorted(mut self) -> Self {
        self.beginning.append(&mut self.values);
        self.beginning.truncate(MAX_VALUES);
        self.values = std::mem::take(&mut self.beginning);
        self
    }
}

/// Records by their names; by their ids where the name would not lead back to the record.
fn records(view: &TableView, typed: &str) -> Matches {
    let mut matches = Matches::new(typed);
    let by_id = typed.trim().starts_with("rec");
    let (mut name, mut looked_at) = (String::new(), 0);
    let (mut once, mut twice) = (HashSet::new(), HashSet::new());
    for slot in view.slots() {
        looked_at += 1;
        if looked_at > MAX_RECORDS {
            matches.unseen = true;
            break;
        }
        let id = || view.row(slot).id.to_string();
        name.clear();
        view.push_name(&mut name, slot);
        if by_id && id().starts_with(typed.trim()) {
            matches.take(true, id);
        } else if matches.offer_as(&name, id) && !once.insert(key(&name)) {
            twice.insert(key(&name));
        }
    }
    let mut matches = matches.sorted();
    for value in &mut matches.values {
        let Some(slot) = Reference::record(value).and_then(|id| view.slot(&id)) else { continue };
        name.clear();
        view.push_name(&mut name, slot);
        let text = name.trim();
        let leads_back = !text.is_empty()
            && text.chars().count() <= MAX_NAME
            && text != "schema"
            && !text.contains(is_hidden)
            && Reference::record(text).is_none()
            && !twice.contains(&key(text));
        if leads_back && !by_id {
            *value = text.to_owned();
        }
    }
    matches
}

/// A number that stands for a name, ignoring case.
fn key(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.trim().to_lowercase().hash(&mut hasher);
    hasher.finish()
}
