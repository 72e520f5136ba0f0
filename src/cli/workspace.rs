//! `workspace …`

use serde_json::Value;

use super::args::{Global, Workspace};
use super::base::administer;
use crate::admin::Command;
use crate::admin::members::Command as Asked;
use crate::output::{say, shown};

pub(super) async fn run(global: &Global, command: Workspace) -> anyhow::Result<()> {
    let lists = matches!(command, Workspace::List);
    let asked = match command {
        Workspace::Create { name } => Asked::CreateWorkspace { name },
        Workspace::List => Asked::ListWorkspaces,
        Workspace::Rename { workspace, name } => Asked::RenameWorkspace { workspace, name },
        Workspace::Move { base, workspace } => Asked::MoveBase { base, workspace },
        Workspace::Login { login, workspace } => Asked::MoveLogin { login, workspace },
        Workspace::Delete { workspace } => Asked::DeleteWorkspace { workspace },
    };
    let answer = administer(global, Command::Members { command: asked }).await?;
    if global.json {
        return say(&answer);
    }
    if lists {
        for workspace in answer.as_array().map_or(&[][..], Vec::as_slice) {
            say(line(workspace))?;
        }
        return Ok(());
    }
    let of = |key: &str| shown(answer[key].as_str().unwrap_or_default());
    match (answer["workspace"].as_str(), answer["login"].as_str(), answer["deleted"].as_str()) {
        (Some(workspace), Some(login), _) => {
            say(format_args!("all bases of the login {} are in {} now", shown(login), shown(workspace)))
        }
        (Some(workspace), None, _) => say(format_args!("{} is in {} now", of("name"), shown(workspace))),
        (None, _, Some(_)) => say(format_args!("{} is deleted", of("name"))),
        (None, _, None) => say(format_args!("{}  {}", of("id"), of("name"))),
    }
}

fn line(workspace: &Value) -> String {
    let of = |key: &str| shown(workspace[key].as_str().unwrap_or_default());
    let bases = workspace["bases"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let bases: Vec<String> = bases.map(|name| shown(name).to_string()).collect();
    let members = workspace["members"].as_u64().unwrap_or_default();
    let bases = if bases.is_empty() { "no bases".to_owned() } else { bases.join(", ") };
    let members = if members == 1 { "1 member".to_owned() } else { format!("{members} members") };
    format!("{}  {}  {members}  {bases}", of("id"), of("name"))
}
