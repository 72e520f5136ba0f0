//! What a client process and the owner say to each other before the conversation proper.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tablewright_door::Rights;
use tablewright_toolkit::Selection;
use tablewright_toolkit::answer::Limits;

use crate::admin::Command;

/// The version of these messages; owners serve clients of the same one.
pub const PROTOCOL: u32 = 1;

/// What a background owner says once it listens.
pub const READY: &[u8] = b"ready\n";

/// The first line from a client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the messages.
    pub protocol: u32,
    /// The client's version; an older owner makes way for a newer client.
    pub version: String,
    /// What the client wants.
    pub want: Want,
}

/// The part of the first line that every version understands.
#[derive(Debug, Clone, Deserialize)]
pub struct Greeting {
    /// The client's version.
    pub version: String,
}

/// What a client wants of the owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Want {
    /// An MCP conversation with these options.
    Session {
        /// Which tools are offered.
        selection: Selection,
        /// What it may do.
        rights: Rights,
        /// Bounds of its answers.
        limits: Limits,
    },
    /// One command.
    Admin {
        /// The command.
        command: Command,
    },
    /// That the owner ends, so that a foreground server can take its place.
    MakeWay,
}

/// The owner's first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Welcome {
    /// Go ahead.
    Ready {
        /// The owner's version.
        version: String,
    },
    /// The owner is ending; try again when its lock is free.
    MakingWay,
    /// No.
    Refused {
        /// Why, and what to do.
        message: String,
    },
}

/// A line from the owner while a command runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Report {
    /// How far it is.
    Progress {
        /// Of what; empty for everything.
        #[serde(default)]
        what: String,
        /// Records done.
        done: u64,
        /// Records in all.
        total: u64,
    },
    /// It is done.
    Done {
        /// What it gave.
        result: Value,
    },
    /// It failed.
    Failed {
        /// Why.
        message: String,
    },
}

/// Whether version `a` is newer than version `b`.
pub fn newer(a: &str, b: &str) -> bool {
    let parts = |v: &str| -> Vec<u64> { v.split(['.', '-', '+']).map_while(|p| p.parse().ok()).collect() };
    parts(a) > parts(b)
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_compare_as_numbers() {
        assert!(super::newer("0.10.0", "0.9.3"));
        assert!(!super::newer("0.9.3", "0.9.3"));
        assert!(!super::newer("0.9.3", "1.0.0"));
    }
}
