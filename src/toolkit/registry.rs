//! Tools and how one is run.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tablewright_core::model::PlanId;
use tablewright_core::{Code, Fault};
use tablewright_door::plans::digest;
use tablewright_door::{Call, Caller, Door, Tasks};
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, Limits, Reply};
use crate::arguments::{decode, schema_of, terse, without_words};
use crate::careful::{Ask, DRY_RUN};
use crate::catalogue::{Catalogue, Error, Wording};
use crate::progress::Progress;
use crate::surface::Surface;
use crate::text::Boundary;

/// What a running tool has at hand.
pub struct CallContext {
    /// The call through the door.
    pub call: Call,
    /// Bounds of the answer.
    pub limits: Limits,
    /// The fence for untrusted text in this answer.
    pub boundary: Boundary,
    /// The way to further calls, for what goes on after this one.
    pub door: Door,
    /// Cancelled when the caller does not want the answer any more.
    pub cancelled: CancellationToken,
    /// Told how far the call is.
    pub progress: Arc<dyn Progress>,
    /// Where a call can go on.
    pub tasks: Tasks,
    /// Whether the client knows what a task is.
    pub knows_tasks: bool,
    /// The person in front of the client.
    pub ask: Arc<dyn Ask>,
    /// The tools the caller sees.
    pub surface: Arc<Surface>,
}

/// What a face brings to a call.
pub struct Conditions {
    /// Bounds of the answer.
    pub limits: Limits,
    /// Cancelled when the caller does not want the answer any more.
    pub cancelled: CancellationToken,
    /// Told how far the call is.
    pub progress: Arc<dyn Progress>,
    /// Where a call can go on.
    pub tasks: Tasks,
    /// Whether the client knows what a task is.
    pub knows_tasks: bool,
    /// The person in front of the client.
    pub ask: Arc<dyn Ask>,
    /// The tools the caller sees.
    pub surface: Arc<Surface>,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Called {
    /// It is done.
    Reply(Reply),
    /// It goes on as a task with this id.
    Task(String),
    /// The client is to put this question about a plan to its user, and to call again with the answer.
    Ask(PlanId, String),
}

/// A tool: typed arguments in, an answer out.
pub trait Tool: Send + Sync + 'static {
    /// Its name, the same in `tools/*.toml`.
    const NAME: &'static str;
    /// Its arguments; doc comments are what a model reads about them.
    type Args: DeserializeOwned + JsonSchema + Send;

    /// The schema of its structured result; none for tools that answer with rows.
    fn output_schema() -> Option<Map<String, Value>> {
        None
    }

    /// Runs it.
    fn run(context: &mut CallContext, args: Self::Args)
    -> impl Future<Output = Result<Answer, Fault>> + Send;
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send + 'a>>;
type Runner = dyn for<'a> Fn(&'a mut CallContext, Map<String, Value>) -> Running<'a> + Send + Sync;

/// A tool with its wording and schemas.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// The toolset it belongs to.
    pub toolset: String,
    /// What it says of itself.
    pub wording: Wording,
    /// The schema of its arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// The schema of its structured result.
    pub output_schema: Option<Arc<Map<String, Value>>>,
    run: Box<Runner>,
}

/// All tools of the program.
#[derive(Default)]
pub struct Registry {
    entries: Vec<Arc<Entry>>,
    catalogue: Catalogue,
}

struct Coded {
    name: &'static str,
    input_schema: Arc<Map<String, Value>>,
    output_schema: Option<Arc<Map<String, Value>>>,
    run: Box<Runner>,
}

/// Collects tools before their wording is known.
#[derive(Default)]
pub struct Builder {
    tools: Vec<Coded>,
}

impl Builder {
    /// Adds a tool.
    #[must_use]
    pub fn with<T: Tool>(mut self) -> Self {
        let schema = Arc::new(terse(schema_of::<T::Args>()));
        let decoding = schema.clone();
        self.tools.push(Coded {
            name: T::NAME,
            input_schema: schema,
            output_schema: T::output_schema().map(terse).map(without_words).map(Arc::new),
            run: Box::new(move |context, given| {
                let args = decode::<T::Args>(&decoding, given);
                Box::pin(async move { T::run(context, args?).await })
            }),
        });
        self
    }

    /// Joins the tools with their wording; refuses when one lacks the other.
    pub fn build(self, catalogue: Catalogue) -> Result<Registry, Error> {
        let mut coded: HashMap<&'static str, Coded> = self.tools.into_iter().map(|t| (t.name, t)).collect();
        let mut names = std::collections::HashSet::new();
        let mut entries = Vec::with_capacity(coded.len());
        for toolset in &catalogue.toolsets {
            for (name, wording) in &toolset.tools {
                let Some(tool) = coded.remove(name.as_str()) else { return Err(Error::NoTool(name.clone())) };
                for known in wording.aliases.iter().chain([name]) {
                    if !names.insert(known.clone()) {
                        return Err(Error::Twice(known.clone()));
                    }
                }
                let (mut input_schema, mut output_schema) = (tool.input_schema, tool.output_schema);
                if wording.scope.changes() && wording.plans {
                    may_be_planned(
                        Arc::make_mut(&mut input_schema),
                        output_schema.as_mut().map(Arc::make_mut),
                    );
                }
                entries.push(Arc::new(Entry {
                    name: tool.name,
                    toolset: toolset.toolset.clone(),
                    wording: wording.clone(),
                    input_schema,
                    output_schema,
                    run: tool.run,
                }));
            }
        }
        match coded.into_keys().next() {
            Some(left) => Err(Error::NoWording(left.to_owned())),
            None => Ok(Registry { entries, catalogue }),
        }
    }
}

impl Registry {
    /// Starts collecting tools.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// All tools, by toolset and name.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The toolsets.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}

impl Entry {
    /// Runs the tool as it is.
    pub(crate) fn run<'a>(&self, context: &'a mut CallContext, given: Map<String, Value>) -> Running<'a> {
        (self.run)(context, given)
    }

    /// Runs the tool for `caller`. Faults become replies that say what to change; the call is
    /// written down once, whatever happens.
    pub async fn call(
        &self,
        door: &Door,
        caller: Caller,
        given: Map<String, Value>,
        conditions: Conditions,
    ) -> Called {
        let allowed = caller.rights.require(self.wording.scope).and_then(|()| {
            let lets_use = door.policies().lets_use(&caller, self.name);
            let message = || format!("the policy does not let you use the tool {}.", self.name);
            if lets_use { Ok(()) } else { Err(Fault::new(Code::Forbidden, message())) }
        });
        let call = door.call(caller, self.name);
        let Conditions { limits, cancelled, progress, tasks, knows_tasks, ask, surface } = conditions;
        let (boundary, door) = (Boundary::random(), door.clone());
        let stop = cancelled.clone();
        let mut context = CallContext {
            call,
            limits,
            boundary,
            door,
            cancelled,
            progress,
            tasks,
            knows_tasks,
            ask,
            surface,
        };
        if !self.wording.scope.changes() {
            context.call.only_reads();
        }
        let writes = self.wording.scope.changes() && given.get(DRY_RUN) != Some(&Value::Bool(true));
        let allowed = allowed.and_then(|()| {
            if !writes {
                return Ok(());
            }
            context.call.not_again(digest(self.name, &Value::Object(given.clone())))
        });
        let result = match allowed {
            Err(fault) => Err(fault),
            // A write stops by itself, between its parts, so that its outcome is known.
            Ok(()) if self.wording.scope.changes() && self.wording.plans => {
                self.run_carefully(&mut context, given).await
            }
            Ok(()) if self.wording.scope.changes() => self.run(&mut context, given).await,
            Ok(()) => tokio::select! {
                biased;
                result = self.run(&mut context, given) => result,
                () = stop.cancelled() => Err(Fault::new(Code::Cancelled, "the call was cancelled")),
            },
        };
        if result.is_ok() && !self.wording.scope.changes() {
            context.call.note_read();
        }
        if matches!(result, Ok(Answer::Failed(_))) {
            context.call.refused();
        }
        context.call.finish(result.as_ref().err().map(|fault| fault.code));
        match result {
            Ok(Answer::Text(text)) => Called::Reply(Reply::text(text)),
            Ok(Answer::Image(image, text)) => Called::Reply(Reply::image(image, text)),
            Ok(Answer::Structured(value)) => Called::Reply(Reply::structured(value, false)),
            Ok(Answer::Failed(value)) => Called::Reply(Reply::structured(value, true)),
            Ok(Answer::Task(id)) => Called::Task(id),
            Ok(Answer::Ask(plan, question)) => Called::Ask(plan, question),
            Err(fault) => Called::Reply(error_reply(&fault)),
        }
    }
}

/// A writing tool takes `dry_run`, and answers with a plan instead of what it would otherwise.
fn may_be_planned(input: &mut Map<String, Value>, output: Option<&mut Map<String, Value>>) {
    if let Some(Value::Object(properties)) = input.get_mut("properties") {
        properties.insert(DRY_RUN.to_owned(), json!({"type": "boolean"}));
    }
    let Some(output) = output else { return };
    output.remove("required");
    if let Some(Value::Object(properties)) = output.get_mut("properties") {
        properties.insert("plan".to_owned(), json!({"type": "object"}));
    }
}

/// How a fault looks to a model.
pub fn error_reply(fault: &Fault) -> Reply {
    // Messages may quote names and values from bases.
    let text = format!("{}: {}", fault.code.as_str(), crate::text::shown(&fault.message));
    Reply { text, image: None, structured: None, is_error: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ping;

    impl Tool for Ping {
        const NAME: &'static str = "ping";
        type Args = std::collections::BTreeMap<String, String>;
        async fn run(_: &mut CallContext, _: Self::Args) -> Result<Answer, Fault> {
            Ok(Answer::Text("pong".into()))
        }
    }

    fn build(tools: &str) -> Result<Registry, Error> {
        let text = format!("toolset = \"t\"\nsummary = \"s\"\n{tools}");
        Registry::builder().with::<Ping>().build(Catalogue::parse(&[("t.toml", &text)])?)
    }

    fn entry(name: &str, more: &str) -> String {
        format!("[tools.{name}]\ntitle = \"T\"\ndescription = \"D\"\nscope = \"read\"\n{more}\n")
    }

    #[test]
    fn code_and_wording_must_fit() {
        assert_eq!(build(&entry("ping", "")).unwrap().entries().len(), 1);
        assert!(matches!(build("[tools]"), Err(Error::NoWording(name)) if name == "ping"));
        let extra = entry("ping", "") + &entry("pong", "");
        assert!(matches!(build(&extra), Err(Error::NoTool(name)) if name == "pong"));
        assert!(
            matches!(build(&entry("ping", "aliases = [\"ping\"]")), Err(Error::Twice(name)) if name == "ping")
        );
        assert!(matches!(build(&entry("ping", "colour = 1")), Err(Error::File { .. })));
    }
}
