//! What a person does to a data directory: the same here and through its owner.

pub mod audit;
pub mod logins;
pub mod members;
pub mod plans;
pub mod policy;
pub mod sync;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::model::schema::find_base;
use tablewright_core::model::{BaseId, RecordId};
use tablewright_core::{Code, Fault};
use tablewright_door::{Call, Caller, Rights, TableView};
use tablewright_engine::base::changes::Author;
use tablewright_engine::base_file::{self, beside};
use tablewright_formula::Problem;

use crate::app::App;

/// Longest base file that is read, in bytes.
const MAX_FILE: u64 = 2 * 1024 * 1024 * 1024;

/// One thing to do. Paths are absolute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Take in a base file.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Write a base to a file.
    Export {
        /// Name, id or URL.
        base: String,
        /// The file; it appears when it is whole.
        file: PathBuf,
        /// Replace a file that is there.
        force: bool,
    },
    /// A table's fields and views.
    DescribeTable {
        /// Name, id or URL.
        base: String,
        /// Name, id or URL.
        table: String,
    },
    /// Work a formula out over a table.
    EvaluateFormula {
        /// Name, id or URL.
        base: String,
        /// Name, id or URL.
        table: String,
        /// The formula.
        formula: String,
        /// What NOW() means, in milliseconds; the clock when absent.
        now: Option<i64>,
        /// How many values to give.
        limit: usize,
        /// Measure it instead.
        stats: bool,
    },
    /// All bases.
    ListBases,
    /// Delete a base.
    DeleteBase {
        /// Name, id or URL.
        base: String,
    },
    /// Erase what is left of a record that is gone.
    EraseRecord {
        /// Name, id or URL of its base.
        base: String,
        /// Its id.
        record: String,
    },
    /// Something about tokens, workspaces and members.
    Members {
        /// What.
        command: members::Command,
    },
    /// Something about logins at Airtable.
    Logins {
        /// What.
        command: logins::Command,
    },
    /// Something with the audit log.
    Audit {
        /// What.
        command: audit::Command,
    },
    /// A link to the console.
    Console,
    /// Something about plans.
    Plans {
        /// What.
        command: plans::Command,
    },
    /// Something about policies.
    Policy {
        /// What.
        command: policy::Command,
    },
    /// Something about the copies of bases in Airtable.
    Sync {
        /// What.
        command: sync::Command,
    },
}

impl Command {
    /// What it is called in the audit log.
    fn name(&self) -> &'static str {
        match self {
            Self::Import { .. } => "base import",
            Self::Export { .. } => "base export",
            Self::DescribeTable { .. } => "table describe",
            Self::EvaluateFormula { .. } => "formula eval",
            Self::ListBases => "base list",
            Self::DeleteBase { .. } => "base delete",
            Self::EraseRecord { .. } => "base erase",
            Self::Members { command } => command.name(),
            Self::Logins { command } => command.name(),
            Self::Audit { command } => command.name(),
            Self::Console => "console",
            Self::Plans { command } => command.name(),
            Self::Policy { command } => command.name(),
            Self::Sync { command } => command.name(),
        }
    }
}

/// Told of what, by name or "" for everything, how many records are done of how many.
pub type Progress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

fn to_json(value: impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|e| Fault::new(Code::Internal, e.to_string()))
}

fn file_fault(path: &Path, error: impl std::fmt::Display) -> Fault {
    Fault::new(Code::InvalidFile, format!("{}: {error}", path.display()))
}

/// Does it, and writes it down. The answer is what `--json` prints.
pub async fn run(app: &App, command: Command, progress: Progress) -> Result<Value, Fault> {
    let mut call = app.door.call(Caller::local("cli", Rights::ALL), command.name());
    let result = carry_out(app, &mut call, command, progress).await;
    call.finish(result.as_ref().err().map(|fault| fault.code));
    result
}

async fn carry_out(app: &App, call: &mut Call, command: Command, progress: Progress) -> Result<Value, Fault> {
    match command {
        Command::Import { file } => import(app, call, file, progress).await,
        Command::Export { base, file, force } => export(app, call, &base, file, force).await,
        Command::DescribeTable { base, table } => {
            let view = call.table(&base, &table).await?;
            to_json(view.schema())
        }
        Command::EvaluateFormula { base, table, formula, now, limit, stats } => {
            let view = call.table(&base, &table).await?;
            let now = now.unwrap_or_else(|| call.now());
            tokio::task::spawn_blocking(move || evaluate(&view, &formula, now, limit, stats))
                .await
                .map_err(|e| Fault::new(Code::Internal, e.to_string()))?
        }
        Command::ListBases => {
            let mut listed = Vec::new();
            for (id, name) in app.engine.bases().iter() {
                let snapshot = app.engine.snapshot(*id).await?;
                let tables = snapshot.schema.tables.len();
                let mut base =
                    json!({"id": id, "name": name, "tables": tables, "records": snapshot.records()});
                match app.replica.login_of(*id) {
                    Some(login) => {
                        base["lives"] = json!("airtable");
                        base["profile"] = json!(login);
                    }
                    None => base["lives"] = json!("here"),
                }
                listed.push(base);
            }
            Ok(Value::Array(listed))
        }
        Command::DeleteBase { base } => {
            let (id, name) = find_base(&app.engine.bases(), &base)?.clone();
            call.about(id);
            if app.replica.holds(id) {
                let message = format!(
                    "{name:?} lives in Airtable and is deleted there; `tablewright base forget {id}` removes the copy that is here"
                );
                return Err(Fault::new(Code::InvalidArguments, message));
            }
            app.engine.delete(id, Author::of("local", "cli")).await?;
            Ok(json!({"deleted": id, "name": name}))
        }
        Command::Members { command } => members::run(app, call, command).await,
        Command::Logins { command } => logins::run(app, command).await,
        Command::Audit { command } => audit::run(app, command).await,
        Command::EraseRecord { base, record } => erase_record(app, call, &base, &record).await,
        Command::Console => Ok(json!({ "link": app.console.link()? })),
        Command::Plans { command } => plans::run(app, call, command).await,
        Command::Policy { command } => policy::run(app, command).await,
        Command::Sync { command } => sync::run(app, call, command, progress).await,
    }
}

/// Runs of which the median counts.
const RUNS: usize = 5;
/// Most values of an evaluation that are given.
const MAX_VALUES: usize = 10_000;

fn evaluate(view: &TableView, formula: &str, now: i64, limit: usize, stats: bool) -> Result<Value, Fault> {
    let (program, _) = tablewright_formula::compile(formula, &view.scope())
        .map_err(|problems| Fault::new(Code::InvalidArguments, Problem::joined(&problems)))?;
    if stats {
        let mut seconds = Vec::with_capacity(RUNS);
        let mut rows = 0;
        for _ in 0..=RUNS {
            let started = Instant::now();
            rows = view.rehearse(&program, now)?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        // The first run warms up.
        seconds.remove(0);
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        return Ok(json!({"rows": rows, "seconds": median, "rowsPerSecond": (rows as f64 / median).round()}));
    }
    let mut values = Vec::new();
    view.evaluate(&program, None, now, &mut |slot, value| {
        if values.len() < limit.min(MAX_VALUES) {
            values.push(json!({"id": view.row(slot).id, "value": value.json()}));
        }
    })?;
    Ok(json!({"rows": view.len(), "result": program.result().as_str(), "values": values}))
}

async fn import(app: &App, call: &mut Call, file: PathBuf, progress: Progress) -> Result<Value, Fault> {
    let size = std::fs::metadata(&file).map_err(|e| file_fault(&file, e))?.len();
    if size > MAX_FILE {
        return Err(file_fault(
            &file,
            format_args!("the file has {size} bytes; at most {MAX_FILE} can be read"),
        ));
    }
    let now = app.engine.clock().now_ms();
    let path = file.clone();
    let loaded = tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(&path).map_err(|e| file_fault(&path, e))?;
        base_file::read(&bytes, now).map_err(|f| f.within(path.display()))
    })
    .await
    .map_err(|e| Fault::new(Code::Internal, e.to_string()))??;
    let base = loaded.snapshot.schema.id;
    call.about(base);
    if app.engine.bases().iter().any(|(id, _)| *id == base) {
        return Err(base_file::is_here(base));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    let (snapshot, moved) = beside::take_in(loaded.snapshot, &app.files, folder, now).await?;
    let mut done = take_in(app, base_file::Loaded { snapshot, ..loaded }, progress).await?;
    report_files(&mut done, moved);
    Ok(done)
}

/// Adds to a result what became of the files of a base.
fn report_files(done: &mut Value, moved: beside::Moved) {
    done["files"] = json!(moved.count);
    done["filesMissing"] = json!(moved.missing_count);
    done["missing"] = json!(moved.missing);
}

/// Takes in a base that was read.
pub async fn take_in(app: &App, loaded: base_file::Loaded, progress: Progress) -> Result<Value, Fault> {
    let (id, name) = (loaded.snapshot.schema.id, loaded.snapshot.schema.name.clone());
    let (tables, records) = (loaded.snapshot.schema.tables.len(), loaded.snapshot.records() as u64);
    // Their cells stay as they came.
    let not_computed: Vec<String> = loaded
        .snapshot
        .schema
        .tables
        .iter()
        .flat_map(|table| table.fields.iter().map(move |field| (table, field)))
        .filter(|(_, field)| {
            field.options.as_ref().is_some_and(|options| options.get("isValid") == Some(&json!(false)))
        })
        .map(|(table, field)| format!("{}.{}", table.name, field.name))
        .collect();
    progress("", 0, records);
    app.engine
        .import(loaded, Author::of("local", "cli"), Box::new(move |done| progress("", done, records)))
        .await?;
    Ok(json!({"id": id, "name": name, "tables": tables, "records": records, "notComputed": not_computed}))
}

/// Where to write: the file a link leads to, and only a regular file or a new one.
fn target(file: &Path, force: bool) -> Result<PathBuf, Fault> {
    match std::fs::metadata(file) {
        Err(_) => Ok(file.to_owned()),
        Ok(found) if !found.is_file() => Err(file_fault(file, "this is no regular file; name another one")),
        Ok(_) if !force => Err(Fault::new(
            Code::Conflict,
            format!("{} is there already; say --force to replace it", file.display()),
        )),
        Ok(_) => file.canonicalize().map_err(|e| file_fault(file, e)),
    }
}

async fn export(app: &App, call: &mut Call, base: &str, file: PathBuf, force: bool) -> Result<Value, Fault> {
    let file = target(&file, force)?;
    let (id, name): (BaseId, String) = find_base(&app.engine.bases(), base)?.clone();
    call.about(id);
    let snapshot = app.engine.snapshot(id).await?;
    let comments = app.engine.store().comments(id).await.map_err(Fault::from)?;
    let (names, moved) = beside::write_files(&snapshot, &app.files, &file).await?;
    let path = file.clone();
    let records = snapshot.records();
    tokio::task::spawn_blocking(move || {
        // The file appears whole or not at all.
        let part = path.with_added_extension("part");
        let result = std::fs::File::create(&part)
            .and_then(|out| {
                let mut out = std::io::BufWriter::new(out);
                base_file::write(&snapshot, &comments, &names, &mut out)?;
                let out = out.into_inner().map_err(|e| e.into_error())?;
                if let Ok(before) = std::fs::metadata(&path) {
                    out.set_permissions(before.permissions())?;
                }
                out.sync_all()
            })
            .and_then(|()| std::fs::rename(&part, &path));
        if result.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        result.map_err(|e| file_fault(&path, e))
    })
    .await
    .map_err(|e| Fault::new(Code::Internal, e.to_string()))??;
    let mut done = json!({"id": id, "name": name, "records": records, "file": file});
    report_files(&mut done, moved);
    Ok(done)
}

/// A record that is there, here or in Airtable, has to be deleted first.
async fn erase_record(app: &App, call: &mut Call, base: &str, record: &str) -> Result<Value, Fault> {
    let id: RecordId = record.trim().parse().map_err(|_| {
        Fault::new(
            Code::InvalidArguments,
            format!("{record:?} is no record; give its id, which begins with rec"),
        )
    })?;
    let held = call.base(base).await?;
    let base = held.schema().id;
    call.about_records([id]);
    if held.tables().any(|table| table.slot(&id).is_some()) {
        let message =
            format!("record {id} is there; delete it first. Deleting keeps what it was, erasing does not");
        return Err(Fault::new(Code::Conflict, message));
    }
    let erased = app.engine.store().erase_record(base, id).await.map_err(Fault::from)?;
    to_json(json!({ "record": id, "base": base, "erased": erased }))
}
