//! What a person does with the audit log.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::{Code, Fault};

use crate::app::App;

/// Lines that are given at a time.
pub const PAGE: u32 = 5_000;

/// One thing to do with the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "audit", rename_all = "snake_case")]
pub enum Command {
    /// Look whether every line is as it was written.
    Verify {
        /// A line's number and hash, as an earlier look gave them.
        anchor: Option<(i64, String)>,
    },
    /// The lines after one, at most 5,000.
    Lines {
        /// The number of the last line that is known.
        after: i64,
    },
}

impl Command {
    /// What it is called in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Verify { .. } => "audit verify",
            Self::Lines { .. } => "audit export",
        }
    }
}

/// Does it. The answer is what `--json` prints.
pub async fn run(app: &App, command: Command) -> Result<Value, Fault> {
    let store = app.engine.store();
    match command {
        Command::Verify { anchor } => {
            let verified = store.verify_audit().await.map_err(Fault::from)?;
            let mut answer = serde_json::to_value(&verified).unwrap_or_default();
            if let Some((seq, hash)) = anchor {
                let line = store.audit_after(seq - 1, 1).await.map_err(Fault::from)?.into_iter().next();
                let held = line.filter(|line| line.seq == seq).and_then(|line| line.hash);
                let same = held.is_some_and(|held| tablewright_engine::store::audit::hex(&held) == hash);
                answer["anchored"] = json!(same);
                if !same && answer["broken"].is_null() {
                    answer["broken"] = json!({ "seq": seq, "what": "it is not what the anchor says" });
                }
            }
            Ok(answer)
        }
        Command::Lines { after } => {
            let lines = store.audit_after(after, PAGE).await.map_err(Fault::from)?;
            serde_json::to_value(lines).map_err(|e| Fault::new(Code::Internal, e.to_string()))
        }
    }
}
