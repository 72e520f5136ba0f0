//! The program's parts, each built once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tablewright_door::{
    Budgets, Circuit, Door, Egress, Limits, Notices, Passkeys, Plans, Policies, Tasks, Tokens, Webhooks,
    anchors,
};
use tablewright_engine::Engine;
use tablewright_engine::airtable::Airtable;
use tablewright_engine::airtable::profiles::Profiles;
use tablewright_engine::clock::SystemClock;
use tablewright_engine::fetch::Fetcher;
use tablewright_engine::files::Files;
use tablewright_engine::replica::Replica;
use tablewright_faces::console::Console;
use tablewright_faces::mcp::{Parts, Shared};
use tablewright_toolkit::answer;
use tablewright_toolkit::registry::Registry;
use tablewright_toolkit::{Selection, careful};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::exit::{Exit, Failed};

/// Everything that serves a data directory.
pub struct App {
    /// The settings in force.
    pub config: Config,
    /// The bases.
    pub engine: Engine,
    /// The files their attachments name.
    pub files: Files,
    /// The way to them.
    pub door: Door,
    /// Logins at Airtable.
    pub profiles: Profiles,
    /// Copies of bases that live in Airtable.
    pub replica: Replica,
    /// Access tokens.
    pub tokens: Tokens,
    /// The pages where people approve plans.
    pub console: Console,
    /// What people are told of, and which bases they may be told of.
    pub notices: (Notices, Egress),
    /// Programs that hear of changes.
    pub webhooks: Webhooks,
    /// All tools.
    pub registry: Arc<Registry>,
    /// What all MCP sessions share.
    pub mcp: Arc<Shared>,
    /// Cancelled when the program is to end.
    pub stop: CancellationToken,
}

impl App {
    /// Builds every part on the data directory `directory`.
    pub async fn open(config: Config, directory: &Path) -> anyhow::Result<Self> {
        let registry = tablewright_tools::registry().context("the tool catalogue does not fit the code")?;
        config.tools.check(&registry).map_err(|e| Failed::with(Exit::Config, e))?;
        let clock = Arc::new(SystemClock);
        let engine = Engine::open(directory.to_owned(), config.engine.clone(), clock).await?;
        let tokens = Tokens::open(engine.clone()).await?;
        let fetcher = Fetcher::new(&config.fetch)
            .map_err(|e| Failed::with(Exit::Config, format!("fetch.allowed_private: {e}")))?;
        let (store, clock) = (engine.store().clone(), engine.clock().clone());
        let files = Files::open(directory, config.attachments.clone(), fetcher, store, clock).await?;
        files.sweep_by_the_hour();
        let airtable = Airtable::new(&config.airtable, engine.clock().clone(), engine.store().clone())
            .map_err(|e| Failed::with(Exit::Config, e))?;
        let profiles = Profiles::open(
            engine.store().clone(),
            directory.to_owned(),
            engine.clock().clone(),
            &config.airtable,
            crate::config::given(|name| std::env::var(name).ok()),
            airtable.clone(),
        );
        let sync = config.sync.clone();
        let replica = Replica::new(engine.clone(), airtable, profiles.clone(), sync);
        replica.load().await?;
        files.set_reader(std::env::current_exe().context("this program does not know where it is")?);
        // Before anything is written: from now on what webhooks want to hear is noted.
        let egress = Egress::new(engine.clone(), config.egress.clone());
        let webhooks =
            Webhooks::open(engine.clone(), files.clone(), config.webhooks.clone(), egress.clone()).await?;
        let notices = Notices::default();
        let named = registry.entries().iter().map(|tool| tool.name.to_owned()).collect();
        let policies = Policies::open(engine.clone(), tokens.clone(), replica.clone(), named).await?;
        let plans = Plans::new(engine.clone(), config.approval.clone(), notices.clone());
        let limits = Limits {
            budgets: Budgets::new(engine.clone(), config.budget.clone()),
            circuit: Circuit::new(config.budget.circuit.clone(), notices.clone()),
            audit_reads: config.audit.reads,
        };
        let (registry, door, tasks) = (
            Arc::new(registry),
            Door::new(engine.clone(), files.clone(), replica.clone(), plans, policies, limits),
            Tasks::new(engine.clone()),
        );
        let going_on = tablewright_tools::bulk::go_on(&door, &tasks).await?;
        if going_on > 0 {
            tracing::info!(going_on, "tasks that were cut off go on");
        }
        let begun = careful::resume(&registry, &door, &tasks, config.answers).await?;
        if begun > 0 {
            tracing::info!(begun, "plans that were cut off go on");
        }
        let console = Console::new(door.clone(), Passkeys::new(engine.clone()));
        let stop = CancellationToken::new();
        let mcp = Shared::new(door.clone(), tasks, stop.clone());
        let mcp = mcp.context("a prompt cannot be used")?;
        Ok(Self {
            config,
            console,
            door,
            engine,
            files,
            profiles,
            replica,
            tokens,
            notices: (notices, egress),
            webhooks,
            registry,
            mcp: Arc::new(mcp),
            stop,
        })
    }

    /// Starts what works on its own, until `stop` is cancelled.
    pub fn start(&self) -> JoinHandle<()> {
        let webhooks = self.webhooks.clone().run(self.stop.clone());
        let replica = self.replica.clone().run(self.stop.clone());
        let (notices, egress) = self.notices.clone();
        let fetcher = self.files.fetcher().clone();
        let anchors =
            anchors::run(self.engine.clone(), self.config.audit.clone(), fetcher.clone(), self.stop.clone());
        let notices = notices.run(self.config.notify.clone(), egress, fetcher, self.stop.clone());
        tokio::spawn(async move {
            tokio::join!(webhooks, replica, notices, anchors);
        })
    }

    /// Ends what is counted ahead, and closes the store. Nothing may be under way any more.
    pub async fn close(&self) {
        self.profiles.settle().await;
        self.engine.close().await;
    }

    /// What an MCP session with this selection needs.
    pub fn parts(&self, selection: &Selection, limits: answer::Limits) -> anyhow::Result<Arc<Parts>> {
        Parts::new(self.mcp.clone(), self.registry.clone(), selection, limits)
            .map(Arc::new)
            .map_err(|e| Failed::with(Exit::Config, e))
    }
}

/// The data directory of `config`, made when it is not there, readable by its owner alone.
pub fn data_dir(config: &Config) -> anyhow::Result<PathBuf> {
    let directory = config.data_dir.clone().or_else(crate::config::default_data_dir).ok_or_else(|| {
        Failed::with(Exit::Config, "no data directory: set --data-dir, TABLEWRIGHT_DATA_DIR or HOME")
    })?;
    make_private(&directory).map_err(|e| {
        Failed::with(Exit::Store, format!("the data directory {} cannot be used: {e}", directory.display()))
    })?;
    directory
        .canonicalize()
        .map_err(|e| Failed::with(Exit::Store, format!("the data directory {}: {e}", directory.display())))
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
