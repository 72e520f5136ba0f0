//! Commands and flags.

mod members;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use serde_json::{Map, Value, json};
use tablewright_door::policy::file::Verb;

use super::install::Client;
use crate::config::{self, Loaded};
use crate::exit::{Exit, Failed};
use crate::telemetry;
pub use members::{Member, Token, Workspace};

/// Airtable bases for AI agents: local, fast and careful.
#[derive(Debug, Parser)]
#[command(name = "tablewright", version, about, after_help = crate::exit::HELP)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// Where bases, tokens and logs are kept.
    #[arg(long, global = true, value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// A TOML file with settings.
    #[arg(long, global = true, value_name = "F", env = "TABLEWRIGHT_CONFIG")]
    pub config: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<telemetry::Format>,
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Offer {
    /// These flags as settings.
    pub fn settings(&self) -> Map<String, Value> {
        let mut tools = Map::new();
        for (key, names) in self.lists() {
            if let Some(names) = names {
                tools.insert(key.into(), json!(names));
            }
        }
        let mut allow = Map::new();
        for (_, on, rights) in self.rights() {
            if self.read_only || on {
                allow.extend(rights.iter().map(|right| ((*right).to_owned(), json!(!self.read_only))));
            }
        }
        let mut flags = Map::new();
        flags.insert("tools".into(), Value::Object(tools));
        flags.insert("allow".into(), Value::Object(allow));
        flags
    }

    /// These flags as they stand on a command line.
    pub fn words(&self) -> Vec<String> {
        let lists = self.lists().into_iter().filter_map(|(key, names)| Some((key, names.as_ref()?)));
        let mut words: Vec<String> =
            lists.map(|(key, names)| format!("--{}={}", key.replace('_', "-"), names.join(","))).collect();
        words.extend(self.rights().iter().filter(|(_, on, _)| *on).map(|(flag, ..)| (*flag).to_owned()));
        if self.read_only {
            words.push("--read-only".into());
        }
        words
    }

    fn lists(&self) -> [(&'static str, &Option<Vec<String>>); 3] {
        [("toolsets", &self.toolsets), ("tools", &self.tools), ("exclude_tools", &self.exclude_tools)]
    }

    /// The flags that allow something, whether they are given, and the rights they give.
    fn rights(&self) -> [(&'static str, bool, &'static [&'static str]); 5] {
        [
            ("--allow-write", self.allow_write, &["write", "write_comments", "webhooks"]),
            ("--allow-delete", self.allow_delete, &["delete"]),
            ("--allow-schema", self.allow_schema, &["schema"]),
            ("--allow-audit", self.allow_audit, &["audit"]),
            ("--allow-admin", self.allow_admin, &["admin"]),
        ]
    }
}

impl Global {
    /// Reads the configuration with `flags` of the command on top, and starts the log.
    pub fn load(&self, mut flags: Map<String, Value>) -> anyhow::Result<Loaded> {
        if let Some(directory) = &self.data_dir {
            flags.insert("data_dir".into(), json!(directory));
        }
        if let Some(format) = self.log_format {
            flags.insert("log".into(), json!({ "format": format }));
        }
        let variables =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let loaded = config::load(self.config.as_deref(), variables, flags)
            .map_err(|e| Failed::with(Exit::Config, e))?;
        telemetry::start(&loaded.config.log);
        Ok(loaded)
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve MCP: over standard input and output, or over HTTP.
    Serve(Serve),
    /// Import the demo bases, serve them over HTTP, and show a short tour.
    Demo(Demo),
    /// Import, export, list and delete bases.
    #[command(subcommand)]
    Base(Base),
    /// Log in at Airtable and choose bases to copy.
    Connect(Connect),
    /// Forget a login at Airtable.
    Disconnect {
        /// Its name.
        name: String,
        /// Forget the copies of the bases that are read with it too.
        #[arg(long)]
        forget: bool,
    },
    /// Make, list and revoke access tokens for HTTP.
    #[command(subcommand)]
    Token(Token),
    /// Make, list and fill workspaces: bases with people who share them.
    #[command(subcommand)]
    Workspace(Workspace),
    /// Invite people to workspaces, make service accounts, and say what they may do there.
    #[command(subcommand)]
    Member(Member),
    /// See, approve and reject writes that wait for a person.
    #[command(subcommand)]
    Plan(Plan),
    /// Say who may see and do what: check, apply and explain policies.
    #[command(subcommand)]
    Policy(Policy),
    /// Print a link that signs you in, once, to the pages where writes are approved.
    Console {
        /// Open it in the browser instead.
        #[arg(long)]
        open: bool,
    },
    /// Check and export the audit log.
    #[command(subcommand)]
    Audit(Audit),
    /// Check, evaluate, explain and lay out formulas.
    #[command(subcommand)]
    Formula(Formula),
    /// Look in Airtable for changes of the bases that are copied from there.
    Sync(Sync),
    /// Enter this program into the configuration of an MCP client.
    Install(Install),
    /// Show the settings in force and check that everything is in order.
    Doctor,
    /// Write the files that are made from the code: schemas and the table of tools.
    Generate {
        /// Write nothing; fail when a file is out of date.
        #[arg(long)]
        check: bool,
    },
    /// The background process that holds a data directory; started on demand.
    #[command(hide = true)]
    Owner,
    /// Print the text of one file; started with bounds for each file whose format is not trusted.
    #[command(hide = true)]
    ReadFile {
        /// `pdf` or `html`.
        format: String,
        /// The file.
        path: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Serve HTTP on this address instead of standard input and output.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    #[command(flatten)]
    pub offer: Offer,
    /// Refuse requests to /v0 beyond Airtable's limits, as Airtable does.
    #[arg(long, requires = "http")]
    pub emulate_limits: bool,
    /// Ask for no token (HTTP on a loopback address only).
    #[arg(long, requires = "http")]
    pub no_auth: bool,
    /// Run everything in this process, without the shared background process.
    #[arg(long, conflicts_with = "http")]
    pub no_daemon: bool,
}

/// Which tools are offered, and what callers may do with them.
#[derive(Debug, clap::Args)]
pub struct Offer {
    /// Toolsets to offer: names, `all` or `default`.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub toolsets: Option<Vec<String>>,
    /// Single tools to offer.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub tools: Option<Vec<String>>,
    /// Tools not to offer in any case.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub exclude_tools: Option<Vec<String>>,
    /// Let callers create and update records.
    #[arg(long)]
    pub allow_write: bool,
    /// Let callers delete.
    #[arg(long)]
    pub allow_delete: bool,
    /// Let callers change bases, tables and fields.
    #[arg(long)]
    pub allow_schema: bool,
    /// Let callers read the audit log.
    #[arg(long)]
    pub allow_audit: bool,
    /// Let callers manage members and tokens.
    #[arg(long)]
    pub allow_admin: bool,
    /// Let callers read only, whatever else is set.
    #[arg(long)]
    pub read_only: bool,
}

#[derive(Debug, clap::Args)]
pub struct Install {
    /// Which client.
    pub client: Client,
    /// Only for the project in this folder.
    #[arg(long, conflicts_with = "file")]
    pub project: bool,
    /// Another configuration file of that client; it is made when it is not there.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// What the client calls this server.
    #[arg(long, default_value = "tablewright", value_parser = super::install::server_name)]
    pub name: String,
    /// Show the entry and the file it belongs in, and write nothing.
    #[arg(long)]
    pub print: bool,
    /// Take the entry out.
    #[arg(long, conflicts_with = "print")]
    pub remove: bool,
    #[command(flatten)]
    pub offer: Offer,
}

/// Looking for changes in Airtable.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// Names, ids or URLs of bases; all that are copied by default.
    pub bases: Vec<String>,
    /// List every record again.
    #[arg(long, conflicts_with = "status")]
    pub full: bool,
    /// Look for nothing; show how far the copies are.
    #[arg(long)]
    pub status: bool,
    /// Go on, and print what changes.
    #[arg(long, conflicts_with = "status")]
    pub watch: bool,
}

#[derive(Debug, clap::Args)]
pub struct Demo {
    /// End after the tour.
    #[arg(long)]
    pub once: bool,
    /// The port to serve on; any free one by default.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

/// Logging in at Airtable.
#[derive(Debug, clap::Args)]
pub struct Connect {
    /// What the login is called here; `environment` is the token in AIRTABLE_API_KEY.
    #[arg(long, default_value = "default")]
    pub name: String,
    /// Read a personal access token from standard input.
    #[arg(long)]
    pub token_stdin: bool,
    /// Log in with the browser.
    #[arg(long, conflicts_with = "token_stdin")]
    pub oauth: bool,
    /// A base to copy, by id, name or URL; may be given several times.
    #[arg(long = "base", value_name = "BASE")]
    pub bases: Vec<String>,
    /// A table of that base to copy, instead of all; may be given several times.
    #[arg(long = "table", value_name = "TABLE", requires = "bases", conflicts_with = "all")]
    pub tables: Vec<String>,
    /// Copy every base the login grants.
    #[arg(long, conflicts_with = "bases")]
    pub all: bool,
    /// List the logins.
    #[arg(long, conflicts_with_all = ["token_stdin", "oauth", "bases", "all", "new_key"])]
    pub list: bool,
    /// Ask nothing.
    #[arg(long)]
    pub yes: bool,
    /// Seal this login although others were sealed with a key that is gone.
    #[arg(long)]
    pub new_key: bool,
}

#[derive(Debug, Subcommand)]
pub enum Base {
    /// Take in a base file.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Write a base to a file.
    Export {
        /// Name, id or URL.
        base: String,
        /// The file to write; the base's name with `.json` by default.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// List the bases.
    List,
    /// Delete a base and everything in it.
    Delete {
        /// Name, id or URL.
        base: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Erase what is left here of a record that was deleted: in the journal, in plans, in tasks. It
    /// cannot be taken back.
    Erase {
        /// Name, id or URL.
        base: String,
        /// The record's id.
        record: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Remove the copy of a base that lives in Airtable; nothing changes there.
    Forget {
        /// Name, id or URL.
        base: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// What to do about policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Read a policy file and ask its tests; nothing is changed.
    Check {
        /// The file; - is standard input.
        file: PathBuf,
    },
    /// Make a file the policy in force, unless a test of its own fails.
    Apply {
        /// The file; - is standard input.
        file: PathBuf,
    },
    /// Print the file in force.
    Show {
        /// That of an earlier version instead.
        #[arg(long)]
        version: Option<i64>,
    },
    /// List the versions, newest first.
    History,
    /// Say whether somebody may do something, and by which rule.
    Explain {
        /// Who: person:EMAIL, service:NAME, token:NAME, client:ID or local.
        who: String,
        /// What they do.
        #[arg(value_parser = verb())]
        verb: Verb,
        /// Name or id of the base.
        base: String,
        /// Name or id of a table.
        table: Option<String>,
        /// Name or id of a field.
        field: Option<String>,
        /// The tool they use.
        #[arg(long)]
        tool: Option<String>,
        /// When, like 2026-01-31T12:00:00Z; now when left out.
        #[arg(long)]
        at: Option<String>,
    },
    /// Ask the tests of a file, or of the policy in force.
    Test {
        /// The file; - is standard input.
        file: Option<PathBuf>,
    },
}

fn verb() -> impl TypedValueParser<Value = Verb> {
    PossibleValuesParser::new(Verb::ALL.map(Verb::as_str))
        .map(|text| Verb::ALL.into_iter().find(|verb| verb.as_str() == text).unwrap_or(Verb::Read))
}

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Look whether every line is as it was written; exit code 1 when one is not.
    Verify {
        /// What an earlier look printed, kept elsewhere: NUMBER:HASH.
        #[arg(long, value_name = "NUMBER:HASH")]
        anchor: Vec<String>,
        /// A file of such anchors, one at the start of each line, as audit.anchor_file gets them.
        #[arg(long, value_name = "FILE")]
        anchors: Option<PathBuf>,
    },
    /// Print the lines as JSON Lines, oldest first.
    Export {
        /// Only lines with a greater number.
        #[arg(long, value_name = "NUMBER")]
        since: Option<i64>,
    },
}

/// What to do about plans.
#[derive(Debug, Subcommand)]
pub enum Plan {
    /// List the plans that wait for approval.
    List {
        /// All that are kept.
        #[arg(long)]
        all: bool,
    },
    /// Show what a plan would do, record by record.
    Show {
        /// Its id.
        plan: String,
    },
    /// Approve a plan: whoever made it can carry it out.
    Approve {
        /// Its id.
        plan: String,
        /// What there is to say about it.
        #[arg(long)]
        note: Option<String>,
    },
    /// Reject a plan.
    Reject {
        /// Its id.
        plan: String,
        /// Why.
        #[arg(long)]
        note: Option<String>,
    },
}

/// What to do with a formula.
#[derive(Debug, Subcommand)]
pub enum Formula {
    /// Say what is wrong with a formula; exit code 1 when Airtable would refuse it.
    Check {
        #[command(flatten)]
        against: Against,
        /// The formula.
        formula: String,
    },
    /// Work a formula out: on given values, or over a table.
    Eval(Eval),
    /// Say in plain words what a formula does.
    Explain {
        #[command(flatten)]
        against: Against,
        /// The formula.
        formula: String,
    },
    /// Lay a formula out.
    Format {
        /// The formula.
        formula: String,
    },
    /// List the functions, or show one.
    Functions {
        /// Its name.
        name: Option<String>,
    },
    /// Read JSON lines `{"id","formula","fields":{"Name":{"type","options"?,"value"}},"now"}` on
    /// standard input and write one line each.
    Batch,
}

/// Which fields a formula may name.
#[derive(Debug, clap::Args)]
pub struct Against {
    /// Name, id or URL of the base whose fields the formula names.
    #[arg(long, requires = "table")]
    pub base: Option<String>,
    /// Its table.
    #[arg(long, requires = "base")]
    pub table: Option<String>,
    /// Fields as JSON: {"Name": {"type": "number", "value": 3}}.
    #[arg(long, value_name = "JSON", conflicts_with = "base")]
    pub fields: Option<String>,
}

/// Working a formula out.
#[derive(Debug, clap::Args)]
pub struct Eval {
    #[command(flatten)]
    pub against: Against,
    /// The formula.
    #[arg(long)]
    pub formula: String,
    /// The moment NOW() means, in ISO form; the clock's by default.
    #[arg(long, value_name = "ISO")]
    pub now: Option<String>,
    /// Over a table: print rows, rows per second and time instead of values.
    #[arg(long, requires = "base")]
    pub stats: bool,
    /// Over a table: how many values to print.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub limit: usize,
}
