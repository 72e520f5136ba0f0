//! Logins at Airtable. The real gateway stands for Airtable, a scripted server for its OAuth.

mod door;
mod members;
mod oauth;
mod server;
mod tokens;
mod vault;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Data, HttpServer, serve_http};

/// A gateway in the place of Airtable.
pub struct Upstream {
    pub data: Data,
    pub server: HttpServer,
}

impl Upstream {
    pub fn new() -> Self {
        let data = Data::with_shop();
        let server = serve_http(&data, &["--allow-write"]);
        Self { data, server }
    }

    /// A token that Airtable would accept.
    pub fn token(&self, name: &str) -> String {
        let scopes = "data.records:read,schema.bases:read,user.email:read";
        self.data.ok(&["token", "create", "--name", name, "--scopes", scopes]).trim().to_owned()
    }
}

/// A data directory of which Airtable is at `address`.
pub struct Here {
    pub data: Data,
    address: String,
    variables: Vec<(&'static str, String)>,
}

impl Here {
    pub fn new(address: &str) -> Self {
        Self { data: Data::new(), address: format!("http://{address}"), variables: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.data.command(args);
        command.env("TABLEWRIGHT_AIRTABLE_ENDPOINT_URL", &self.address);
        command.env("TABLEWRIGHT_AIRTABLE_PATIENCE_SECONDS", "5");
        command.env("TABLEWRIGHT_LOG_LEVEL", "debug,sqlx=info");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        serde_json::from_str(&self.ok(&all)).unwrap()
    }

    /// A command that fails; what it says.
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
        said(&output)
    }

    /// Runs a command with `input` on its standard input.
    pub fn fed(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Keeps a token under a name.
    pub fn connect(&self, name: &str, token: &str) -> String {
        let output = self.fed(&["connect", "--name", name, "--token-stdin"], &format!("{token}\n"));
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    }

    /// No file of the data directory holds the text.
    pub fn assert_nowhere(&self, secret: &str) {
        assert!(secret.len() >= 8, "{secret}");
        look_through(self.data.path(), secret);
    }
}

fn look_through(folder: &Path, secret: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_through(&path, secret);
        } else if let Ok(bytes) = std::fs::read(&path) {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{}", path.display());
        }
    }
}

/// Everything a command printed.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
