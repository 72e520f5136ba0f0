//! What a person does with the audit log.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::{Code, Fault};
use tablewright_engine::store::audit::Anchored;

use crate::app::App;

/// Lines that are given at a time.
pub const PAGE: u32 = 5_000;

/// One thing to do with the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "audit", rename_all = "snake_case")]
pub enum Command {
    /// Look whether every line is as it was written.
    Verify {
        /// Numbers of lines and their hashes, as they were written down outside.
        anchors: Vec<(i64, String)>,
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
    app.engine.settle_audit().await?;
    match command {
        Command::Verify { anchors } => {
            let verified = store.verify_audit().await.map_err(Fault::from)?;
            let mut answer = serde_json::to_value(&verified).unwrap_or_default();
            let (mut same, mut older) = (0, 0);
            for (seq, hash) in &anchors {
                match store.audit_anchored(*seq, hash).await.map_err(Fault::from)? {
                    Anchored::Same => same += 1,
                    Anchored::Older => older += 1,
                    Anchored::Other if answer["broken"].is_null() => {
                        answer["broken"] = json!({ "seq": seq, "what": "it is not what the anchor says" });
                    }
                    Anchored::Other => {}
                }
            }
            if !anchors.is_empty() {
                answer["anchors"] = json!({ "given": anchors.len(), "same": same, "older": older });
            }
            Ok(answer)
        }
        Command::Lines { after } => {
            let lines = store.audit_after(after, PAGE).await.map_err(Fault::from)?;
            serde_json::to_value(lines).map_err(|e| Fault::new(Code::Internal, e.to_string()))
        }
    }
}
