//! What of which base may leave this machine, beside what Airtable itself is sent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tablewright_core::model::BaseId;
use tablewright_core::model::schema::find_base;
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;

/// Settings of what may leave. Each names bases by id or name; `*` stands for all of them.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Bases whose changes webhooks may be told of.
    pub webhooks: Vec<String>,
    /// Bases whose waiting plans the address in `notify.webhook` may be told of. What a plan would do
    /// is told in numbers; no cell leaves.
    pub notices: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { webhooks: vec!["*".to_owned()], notices: vec!["*".to_owned()] }
    }
}

/// The policy. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    options: Arc<Options>,
    engine: Engine,
}

impl Egress {
    /// The policy with these settings.
    pub fn new(engine: Engine, options: Options) -> Self {
        Self { options: Arc::new(options), engine }
    }

    fn names(&self, listed: &[String], base: BaseId) -> bool {
        let bases = self.engine.bases();
        listed
            .iter()
            .any(|wanted| wanted == "*" || find_base(&bases, wanted).is_ok_and(|held| held.0 == base))
    }

    /// Refuses webhooks of a base that may not be told of.
    pub(crate) fn require_webhooks(&self, base: BaseId) -> Result<(), Fault> {
        if self.names(&self.options.webhooks, base) {
            return Ok(());
        }
        let message = format!(
            "changes of base {base} may not be sent to webhooks; a person can allow it in the settings (egress.webhooks)."
        );
        Err(Fault::new(Code::Forbidden, message))
    }

    pub(crate) fn lets_notices_of(&self, base: BaseId) -> bool {
        self.names(&self.options.notices, base)
    }
}
