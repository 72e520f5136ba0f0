//! The tools one caller sees: chosen toolsets, within their rights.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tablewright_door::Rights;

use crate::catalogue::Error;
use crate::registry::{Entry, Registry};

/// Which tools to offer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Toolsets by name; `all` for every one, `default` (or none) for the usual ones.
    pub toolsets: Vec<String>,
    /// Tools by name, beside the toolsets.
    pub tools: Vec<String>,
    /// Tools by name that are left out in any case.
    pub exclude_tools: Vec<String>,
}

/// The tools one caller sees, in a fixed order.
pub struct Surface {
    tools: Vec<Arc<Entry>>,
    names: HashMap<String, usize>,
}

impl Surface {
    /// The tools of `registry` that `selection`, which was checked, names and `rights` allow.
    pub fn of(registry: &Registry, selection: &Selection, rights: Rights) -> Self {
        let toolset_chosen = |name: &str| {
            let usual = registry.catalogue().toolsets.iter().any(|t| t.toolset == name && t.default);
            let named = |wanted: &str| selection.toolsets.iter().any(|t| t == wanted);
            named("all")
                || named(name)
                || (usual
                    && (named("default") || selection.toolsets.is_empty() && selection.tools.is_empty()))
        };
        let tools: Vec<Arc<Entry>> = registry
            .entries()
            .iter()
            .filter(|e| toolset_chosen(&e.toolset) || selection.tools.iter().any(|t| t == e.name))
            .filter(|e| !selection.exclude_tools.iter().any(|t| t == e.name))
            .filter(|e| rights.require(e.wording.scope).is_ok())
            .cloned()
            .collect();
        let names = tools
            .iter()
            .enumerate()
            .flat_map(|(at, e)| {
                e.wording.aliases.iter().cloned().chain([e.name.to_owned()]).map(move |name| (name, at))
            })
            .collect();
        Self { tools, names }
    }

    /// The tools, in a fixed order.
    pub fn tools(&self) -> &[Arc<Entry>] {
        &self.tools
    }

    /// The tool with this name or former name.
    pub fn get(&self, name: &str) -> Option<&Arc<Entry>> {
        self.names.get(name).map(|at| &self.tools[*at])
    }
}

impl Selection {
    /// Refuses names that are no toolset or tool.
    pub fn check(&self, registry: &Registry) -> Result<(), Error> {
        let toolsets: Vec<&str> = registry.catalogue().toolsets.iter().map(|t| t.toolset.as_str()).collect();
        if let Some(name) =
            self.toolsets.iter().find(|t| !toolsets.contains(&t.as_str()) && *t != "all" && *t != "default")
        {
            let known = format!("all, default, {}", toolsets.join(", "));
            return Err(Error::Unknown { kind: "toolset", name: name.clone(), known });
        }
        let tools: Vec<&str> = registry.entries().iter().map(|e| e.name).collect();
        match self.tools.iter().chain(&self.exclude_tools).find(|t| !tools.contains(&t.as_str())) {
            Some(name) => Err(Error::Unknown { kind: "tool", name: name.clone(), known: tools.join(", ") }),
            None => Ok(()),
        }
    }
}
