//! The MCP face: both eras of the protocol over the toolkit.

pub mod handler;
pub mod pipe;
pub mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use tablewright_door::{Door, Rights};
use tablewright_toolkit::answer::Limits;
use tablewright_toolkit::catalogue::Error;
use tablewright_toolkit::registry::{Entry, Registry};
use tablewright_toolkit::{Selection, Surface};

/// What every session needs. One per set of session options.
pub struct Parts {
    pub(crate) door: Door,
    pub(crate) limits: Limits,
    surfaces: HashMap<Rights, (Arc<Surface>, Vec<Tool>)>,
}

impl Parts {
    /// The tools `selection` names, for callers with any rights within `most`.
    pub fn new(
        door: Door,
        registry: &Registry,
        selection: &Selection,
        most: Rights,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut surfaces = HashMap::new();
        for rights in most.combinations() {
            let surface = Surface::of(registry, selection, rights)?;
            let tools = surface.tools().iter().map(|entry| wire_tool(entry)).collect();
            surfaces.insert(rights, (Arc::new(surface), tools));
        }
        Ok(Self { door, limits, surfaces })
    }

    /// The tools a caller with these rights sees, as they go over the wire.
    pub fn tools(&self, rights: Rights) -> &[Tool] {
        self.surfaces.get(&rights).map_or(&[], |(_, tools)| tools)
    }

    pub(crate) fn surface(&self, rights: Rights) -> Option<&Arc<Surface>> {
        self.surfaces.get(&rights).map(|(surface, _)| surface)
    }
}

/// A tool as `tools/list` shows it.
pub fn wire_tool(entry: &Entry) -> Tool {
    let wording = &entry.wording;
    let annotations = ToolAnnotations::new()
        .read_only(!wording.scope.changes())
        .destructive(wording.scope.changes() && entry.name != "create_records")
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
