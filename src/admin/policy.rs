//! What a person does about policies.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::Fault;
use tablewright_core::model::cell::instant_text;
use tablewright_door::policy::file::Verb;
use tablewright_door::policy::{Asked, Tested};

use crate::app::App;

/// Versions that are listed.
const MAX_VERSIONS: u32 = 1_000;

/// One thing to do about policies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum Command {
    /// Read a file and ask its tests; nothing is changed.
    Check {
        /// What it says.
        text: String,
    },
    /// Make a file the policy in force.
    Apply {
        /// What it says.
        text: String,
    },
    /// The file in force, or that of a version.
    Show {
        /// The version.
        version: Option<i64>,
    },
    /// All versions.
    History,
    /// May somebody do something, and by which rule.
    Explain {
        /// Who.
        who: String,
        /// What they do.
        verb: Verb,
        /// Name or id.
        base: String,
        /// Name or id.
        table: Option<String>,
        /// Name or id.
        field: Option<String>,
        /// The tool they use.
        tool: Option<String>,
        /// When, in milliseconds since the epoch.
        at: Option<i64>,
    },
    /// Ask the tests of the file in force.
    Test,
}

impl Command {
    /// What it is called in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Check { .. } => "policy check",
            Self::Apply { .. } => "policy apply",
            Self::Show { .. } => "policy show",
            Self::History => "policy history",
            Self::Explain { .. } => "policy explain",
            Self::Test => "policy test",
        }
    }
}

fn told(tested: &[Tested]) -> Value {
    let failed: Vec<String> = tested.iter().filter(|test| !test.passed).map(Tested::told).collect();
    json!({ "tests": tested.len(), "failed": failed, "answers": tested })
}

/// Does it. The answer is what `--json` prints.
pub async fn run(app: &App, command: Command) -> Result<Value, Fault> {
    let policies = app.door.policies();
    match command {
        Command::Check { text } => {
            let (rules, tested) = policies.check(&text).await?;
            let mut answer = told(&tested);
            answer["rules"] = json!(rules);
            Ok(answer)
        }
        Command::Apply { text } => {
            let applied = policies.apply(&text, "local").await?;
            Ok(json!({ "version": applied.version, "rules": applied.rules }))
        }
        Command::Show { version } => {
            let found = match version {
                Some(version) => Some(policies.version(version).await?),
                None => policies.last().await?,
            };
            Ok(found.map_or(Value::Null, |held| {
                json!({ "version": held.version, "at": instant_text(held.at), "by": held.by, "file": held.file })
            }))
        }
        Command::History => {
            let versions = policies.history(MAX_VERSIONS).await?.into_iter();
            let line = |(version, at, by): (i64, i64, String)| json!({ "version": version, "at": instant_text(at), "by": by });
            Ok(versions.map(line).collect())
        }
        Command::Explain { who, verb, base, table, field, tool, at } => {
            let asked = Asked { who, verb, base, table, field, tool, at };
            Ok(serde_json::to_value(policies.explain(&asked).await?).unwrap_or_default())
        }
        Command::Test => Ok(told(&policies.test().await?)),
    }
}
