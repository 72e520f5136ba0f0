//! Real clients with a real authorization server: from a refusal to a call, and to more scopes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::{Data, client_tools, listen, root, run_client};

/// An authorization server; it ends with this.
struct AuthorizationServer {
    child: Child,
    url: String,
    /// Kept open: what it says later has to go somewhere.
    _said: BufReader<ChildStdout>,
}

impl AuthorizationServer {
    fn start() -> Self {
        let mut command = Command::new(client_tools().join("node_modules/.bin/node"));
        command.arg(root().join("tests/clients/oauth_server.mjs")).env("TEST_CLIENTS_DIR", client_tools());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned(), _said: said }
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn walks(mut client: Command) {
    let server = AuthorizationServer::start();
    let data = Data::with_shop();
    let settings = [("TABLEWRIGHT_OAUTH_ISSUER", server.url.as_str()), ("TABLEWRIGHT_OAUTH_CLIENTS", "*")];
    let (_here, address) = listen(&data, &["--allow-write"], &settings);
    client.arg(format!("http://{address}/mcp"));
    let said = run_client(client);
    assert!(said.contains("walked the whole way"), "{said}");
}

fn typescript(package: &str) -> Command {
    let mut command = Command::new(client_tools().join("node_modules/.bin/node"));
    command.arg(root().join("tests/clients/oauth_client.mjs")).arg(package);
    command.env("TEST_CLIENTS_DIR", client_tools());
    command
}

#[test]
fn the_python_sdk_walks_the_whole_way() {
    let mut command = Command::new(client_tools().join("venv/bin/python"));
    command.arg("-B").arg(root().join("tests/clients/oauth_client.py"));
    walks(command);
}

#[test]
fn the_typescript_sdks_walk_the_whole_way() {
    walks(typescript("sdk"));
    walks(typescript("client"));
}
