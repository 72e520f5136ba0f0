//! The MCP face: both eras of the protocol over the toolkit.

pub mod handler;
pub mod pipe;
mod progress;
mod tasks;
pub mod wire;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rmcp::model::{Tool, ToolAnnotations};
use tablewright_door::{Door, Rights, Tasks};
use tablewright_toolkit::answer::Limits;
use tablewright_toolkit::catalogue::Error;
use tablewright_toolkit::registry::{Entry, Registry};
use tablewright_toolkit::{Selection, Surface};

/// What every session needs. One per set of session options.
pub struct Parts {
    pub(crate) door: Door,
    pub(crate) limits: Limits,
    pub(crate) tasks: Tasks,
    registry: Arc<Registry>,
    selection: Selection,
    offers: RwLock<HashMap<Rights, Arc<Offer>>>,
}

/// What callers with the same rights are offered.
pub struct Offer {
    pub(crate) surface: Surface,
    /// The tools as they go over the wire.
    pub tools: Vec<Tool>,
}

impl Parts {
    /// The tools that `selection` names.
    pub fn new(
        door: Door,
        registry: Arc<Registry>,
        selection: &Selection,
        limits: Limits,
        tasks: Tasks,
    ) -> Result<Self, Error> {
        selection.check(&registry)?;
        Ok(Self { door, limits, tasks, registry, selection: selection.clone(), offers: RwLock::default() })
    }

    /// What a caller with these rights is offered; worked out once for each set of rights.
    pub fn offer(&self, rights: Rights) -> Arc<Offer> {
        let held = self.offers.read().unwrap_or_else(PoisonError::into_inner).get(&rights).cloned();
        held.unwrap_or_else(|| {
            let surface = Surface::of(&self.registry, &self.selection, rights);
            let tools = surface.tools().iter().map(|entry| wire_tool(entry)).collect();
            let offer = Arc::new(Offer { surface, tools });
            let mut offers = self.offers.write().unwrap_or_else(PoisonError::into_inner);
            offers.insert(rights, offer.clone());
            offer
        })
    }
}

/// A tool as `tools/list` shows it.
pub fn wire_tool(entry: &Entry) -> Tool {
    let wording = &entry.wording;
    let annotations = ToolAnnotations::new()
        .read_only(!wording.scope.changes())
        .destructive(wording.scope.changes() && !wording.additive)
        .idempotent(wording.idempotent)
        .open_world(wording.open_world);
    let mut tool = Tool::new(entry.name, wording.description.clone(), entry.input_schema.clone())
        .with_title(wording.title.clone())
        .with_annotations(annotations);
    if let Some(schema) = &entry.output_schema {
        tool = tool.with_raw_output_schema(schema.clone());
    }
    tool
}
