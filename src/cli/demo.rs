//! `demo`: real data, a real client, and what to paste into yours.

use std::path::Path;
use std::time::Instant;

use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, service};
use serde_json::{Value, json};
use tablewright_core::secret::Secret;
use tablewright_engine::base_file::{self, beside};

use super::args::{Demo, Global};
use super::progress::bars;
use crate::admin;
use crate::http::Server;
use crate::output::say;

/// The demo bases, in the program itself.
const BASES: [&[u8]; 4] = [
    include_bytes!("../../examples/bases/films.json"),
    include_bytes!("../../examples/bases/packages.json"),
    include_bytes!("../../examples/bases/sales.json"),
    include_bytes!("../../examples/bases/content.json"),
];

/// The files that lie beside them.
const FILES: [(&str, &[u8]); 4] = [
    ("sales-files/proposal-1.txt", include_bytes!("../../examples/bases/sales-files/proposal-1.txt")),
    ("sales-files/proposal-2.txt", include_bytes!("../../examples/bases/sales-files/proposal-2.txt")),
    ("sales-files/proposal-3.txt", include_bytes!("../../examples/bases/sales-files/proposal-3.txt")),
    ("sales-files/proposal-4.txt", include_bytes!("../../examples/bases/sales-files/proposal-4.txt")),
];

/// The name of the token the demo makes for itself.
const TOKEN_NAME: &str = "demo";

type Client = RunningService<RoleClient, ClientConfig>;

/// Runs the demo.
pub async fn run(global: &Global, demo: Demo) -> anyhow::Result<()> {
    let flags = json!({"allow": {"write": true, "delete": true}});
    let mut loaded = global.load(flags.as_object().cloned().unwrap_or_default())?;
    if global.data_dir.is_none() {
        // A directory of its own: the demo never touches your bases.
        loaded.config.data_dir =
            crate::config::default_data_dir().map(|d| d.with_file_name("tablewright-demo"));
    }
    // Its own client knows no certificates, and nothing leaves this machine.
    (loaded.config.http.tls_certificate, loaded.config.http.tls_key) = (None, None);
    if loaded.config.tools.toolsets.is_empty() {
        loaded.config.tools.toolsets = ["default", "formulas"].map(String::from).to_vec();
    }
    let directory = crate::app::data_dir(&loaded.config)?;
    say(format_args!("Data directory: {}", directory.display()))?;
    let address = ([127, 0, 0, 1], demo.port).into();
    let server = Server::start(loaded.config, &directory, address, false).await?;
    import(&server, &directory).await?;
    let token = token(&server).await?;
    let url = format!("{}/mcp", server.url);
    say(format_args!("Serving MCP on {url}\n"))?;
    tour(&url, &token).await?;
    if demo.once {
        say("\nThe tour is over. Without --once the server goes on, for your own client.")?;
        return server.end().await;
    }
    say(configuration(&url, &token, &directory))?;
    say("Press Ctrl-C to end.")?;
    server.until_told().await
}

async fn import(server: &Server, directory: &Path) -> anyhow::Result<()> {
    let app = &server.owned.app;
    let folder = directory.join("demo-files");
    for (path, bytes) in FILES {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap_or(&folder))?;
        std::fs::write(file, bytes)?;
    }
    for bytes in BASES {
        let loaded = base_file::read(bytes, app.engine.clock().now_ms())?;
        let base_name = loaded.snapshot.schema.name.clone();
        if app.engine.bases().iter().any(|(id, _)| *id == loaded.snapshot.schema.id) {
            continue;
        }
        let started = Instant::now();
        let (bar, progress) = bars();
        let now = app.engine.clock().now_ms();
        let (snapshot, _) = beside::take_in(loaded.snapshot, &app.files, &folder, now).await?;
        let loaded = base_file::Loaded { snapshot, ..loaded };
        let done = admin::take_in(app, loaded, progress).await?;
        bar.finish_and_clear();
        say(format_args!(
            "Imported {base_name}: {} tables, {} records ({} ms)",
            done["tables"],
            done["records"],
            started.elapsed().as_millis()
        ))?;
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

async fn token(server: &Server) -> anyhow::Result<Secret> {
    let tokens = &server.owned.app.tokens;
    if tokens.list().iter().any(|t| t.name == TOKEN_NAME && t.revoked_at.is_none()) {
        // Only its hash is kept, so an earlier one cannot be shown again.
        tokens.revoke(TOKEN_NAME).await?;
    }
    let scopes = ["data.records:read", "data.records:write", "schema.bases:read"].map(String::from).to_vec();
    Ok(tokens
        .create(tablewright_door::tokens::NewToken {
            name: TOKEN_NAME.to_owned(),
            scopes,
            ..Default::default()
        })
        .await?
        .1)
}

async fn connect(url: &str, token: &Secret) -> anyhow::Result<Client> {
    let about = ClientConfig::new(
        ClientCapabilities::default(),
        Implementation::new("tablewright-demo", env!("CARGO_PKG_VERSION")),
    );
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token.reveal());
    let transport = StreamableHttpClientTransport::from_config(config);
    let lifecycle = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    Ok(service::serve_client_with_lifecycle(about, transport, lifecycle).await?)
}

/// Calls a tool and shows the call, the answer and its time.
async fn step(client: &Client, what: &str, tool: &'static str, arguments: Value) -> anyhow::Result<Value> {
    let given = arguments.as_object().cloned().unwrap_or_default();
    let started = Instant::now();
    let result = client.call_tool(CallToolRequestParams::new(tool).with_arguments(given)).await?;
    let elapsed = started.elapsed();
    let text = result.content.first().and_then(|c| c.as_text()).map_or("", |t| t.text.as_str());
    say(format_args!("── {what}\n→ {tool} {arguments}\n{}", excerpt(text)))?;
    say(format_args!("  {:.1} ms, {} characters\n", elapsed.as_secs_f64() * 1e3, text.chars().count()))?;
    if result.is_error == Some(true) {
        anyhow::bail!("the tour failed at {tool}: {text}");
    }
    Ok(result.structured_content.unwrap_or_default())
}

/// The first lines of an answer, short enough for a terminal.
fn excerpt(text: &str) -> String {
    const LINES: usize = 9;
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| match line.char_indices().nth(150) {
            Some((end, _)) => format!("  {}…", &line[..end]),
            None => format!("  {line}"),
        })
        .collect();
    if lines.len() > LINES {
        let last = lines.pop().unwrap_or_default();
        lines.truncate(LINES - 2);
        lines.push("  ⋮".into());
        lines.push(last);
    }
    lines.join("\n")
}

async fn tour(url: &str, token: &Secret) -> anyhow::Result<()> {
    let client = connect(url, token).await?;
    step(&client, "Which bases are there?", "list_bases", json!({})).await?;
    step(&client, "What is in the films?", "describe_base", json!({"base": "Films", "detail": "tables"}))
        .await?;
    step(
        &client,
        "The longest films, a few fields of each",
        "list_records",
        json!({"base": "Films", "table": "Films", "fields": ["Title", "Year", "Minutes", "Directors"],
               "sort": [{"field": "Minutes", "direction": "desc"}], "limit": 5}),
    )
    .await?;
    step(
        &client,
        "Open deals above 50,000, by a formula; Expected is a formula field",
        "list_records",
        json!({"base": "Sales", "table": "Deals", "fields": ["Deal", "Stage", "Amount", "Expected"],
               "filter": "AND({Amount} > 50000, {Stage} != 'Won', {Stage} != 'Lost')", "limit": 5}),
    )
    .await?;
    step(
        &client,
        "Try a formula out on the whole table before saving it",
        "evaluate_formula",
        json!({"base": "Sales", "table": "Deals", "sample": 2,
               "formula": "SWITCH({Stage}, 'Won', 'closed', 'Lost', 'closed', IF({Amount} > 50000, 'large', 'small'))"}),
    )
    .await?;
    let found = step(
        &client,
        "Find a director by name, anywhere in the base",
        "search_records",
        json!({"base": "films", "query": "kurosawa", "limit": 4, "format": "json"}),
    )
    .await?;
    if let Some(person) = found["records"].as_array().and_then(|r| r.iter().find(|r| r["table"] == "People"))
    {
        step(
            &client,
            "That person, with the films they are linked to",
            "get_records",
            json!({"base": "Films", "table": "People", "records": [person["id"]], "expand": ["Directed"]}),
        )
        .await?;
    }
    let made = step(
        &client,
        "Add three companies; one of them is wrong on purpose",
        "create_records",
        json!({"base": "Sales", "table": "Companies", "records": [
            {"Name": "Nordlys Instruments", "Industry": "Manufacturing", "Employees": 140},
            {"Name": "Kestrel & Daughters", "Industry": "Retail", "Employees": "forty"},
            {"Name": "Harbour Analytics", "Industry": "Software", "Employees": 35}]}),
    )
    .await?;
    let ids = made["ids"].clone();
    step(
        &client,
        "Change one of the new ones",
        "update_records",
        json!({"base": "Sales", "table": "Companies",
               "records": [{"id": ids[0], "fields": {"Employees": 150, "Website": "https://nordlys.example"}}]}),
    )
    .await?;
    step(
        &client,
        "Take them out again",
        "delete_records",
        json!({"base": "Sales", "table": "Companies", "records": ids}),
    )
    .await?;
    client.cancel().await?;
    Ok(())
}

/// What to paste into a client.
fn configuration(url: &str, token: &Secret, directory: &std::path::Path) -> String {
    let secret = token.reveal();
    let program = std::env::current_exe().map_or("tablewright".into(), |p| p.display().to_string());
    let pretty = |value: Value| serde_json::to_string_pretty(&value).unwrap_or_default();
    let header = format!("Bearer {secret}");
    let stdio = json!({"mcpServers": {"tablewright": {"command": program, "args": ["serve", "--data-dir", directory]}}});
    let vscode = json!({"servers": {"tablewright": {"type": "http", "url": url, "headers": {"Authorization": header}}}});
    let cursor = json!({"mcpServers": {"tablewright": {"url": url, "headers": {"Authorization": header}}}});
    format!(
        "── Claude Code\nclaude mcp add --transport http tablewright {url} --header \"Authorization: {header}\"\n\n\
         ── VS Code (.vscode/mcp.json)\n{}\n\n── Cursor (~/.cursor/mcp.json)\n{}\n\n\
         ── Claude Desktop (claude_desktop_config.json; over standard input and output)\n{}\n",
        pretty(vscode),
        pretty(cursor),
        pretty(stdio)
    )
}
