//! The MCP face: both eras of the protocol over the toolkit.

mod address;
mod ask;
mod completion;
mod documents;
pub mod handler;
mod pages;
pub mod pipe;
mod progress;
pub mod prompts;
mod refusals;
mod resources;
mod subscriptions;
mod tasks;
mod unread;
mod watch;
pub mod wire;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rmcp::model::{Tool, ToolAnnotations};
use tablewright_door::access::Need;
use tablewright_door::{Door, Rights, Tasks};
use tablewright_toolkit::answer::Limits;
use tablewright_toolkit::catalogue::Error;
use tablewright_toolkit::prompts::Prompt;
use tablewright_toolkit::registry::{Entry, Registry};
use tablewright_toolkit::{Selection, Surface};
use tokio_util::sync::CancellationToken;
use watch::Watch;

/// What all sessions of the program share.
pub struct Shared {
    door: Door,
    tasks: Tasks,
    prompts: Vec<Prompt>,
    watch: Watch,
    stop: CancellationToken,
}

impl Shared {
    /// For sessions over what is behind `door`. Once `stop` is cancelled, listeners are let go.
    pub fn new(door: Door, tasks: Tasks, stop: CancellationToken) -> Result<Self, prompts::Error> {
        let watch = Watch::start(door.clone(), stop.clone());
        Ok(Self { door, tasks, prompts: prompts::all()?, watch, stop })
    }
}

/// What every session needs. One per set of session options.
pub struct Parts {
    shared: Arc<Shared>,
    pub(crate) limits: Limits,
    registry: Arc<Registry>,
    selection: Selection,
    offers: RwLock<HashMap<Rights, Arc<Offer>>>,
}

/// What callers with the same rights are offered.
pub struct Offer {
    pub(crate) surface: Arc<Surface>,
    /// The tools as they go over the wire.
    pub tools: Vec<Tool>,
}

impl Parts {
    /// The tools that `selection` names.
    pub fn new(
        shared: Arc<Shared>,
        registry: Arc<Registry>,
        selection: &Selection,
        limits: Limits,
    ) -> Result<Self, Error> {
        selection.check(&registry)?;
        Ok(Self { shared, limits, registry, selection: selection.clone(), offers: RwLock::default() })
    }

    /// The right that a tool of this name needs; `None` when nobody with `most` is offered it.
    pub fn need(&self, tool: &str, most: Rights) -> Option<Need> {
        self.offer(most).surface.get(tool).map(|entry| entry.wording.scope)
    }

    /// What a caller with these rights is offered; worked out once for each set of rights.
    pub fn offer(&self, rights: Rights) -> Arc<Offer> {
        let held = self.offers.read().unwrap_or_else(PoisonError::into_inner).get(&rights).cloned();
        held.unwrap_or_else(|| {
            let surface = Surface::of(&self.registry, &self.selection, rights);
            let tools = surface.tools().iter().map(|entry| wire_tool(entry)).collect();
            let offer = Arc::new(Offer { surface: Arc::new(surface), tools });
            let mut offers = self.offers.write().unwrap_or_else(PoisonError::into_inner);
            offers.insert(rights, offer.clone());
            offer
        })
    }

    pub(crate) fn door(&self) -> &Door {
        &self.shared.door
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.shared.tasks
    }

    /// Cancelled when the program is to end.
    pub fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }

    fn watch(&self) -> &Watch {
        &self.shared.watch
    }

    pub(crate) fn prompts(&self) -> &[Prompt] {
        &self.shared.prompts
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
