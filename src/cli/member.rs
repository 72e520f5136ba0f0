//! `member …`

use serde_json::Value;

use super::args::{Global, Member};
use super::base::administer;
use crate::admin::Command;
use crate::admin::members::Command as Asked;
use crate::output::{say, shown};

pub(super) async fn run(global: &Global, command: Member) -> anyhow::Result<()> {
    let (asked, tell): (Asked, fn(&Value) -> String) = match command {
        Member::Invite { email, place, days } => {
            let (workspace, role) = (place.workspace, place.role);
            // The link alone, so that a script can pass it on.
            (Asked::Invite { email, workspace, role, days }, |made| text(made, "link"))
        }
        Member::Invitations => (Asked::ListInvitations, |listed| lines(listed, invitation)),
        Member::Withdraw { invitation } => {
            (Asked::Withdraw { invitation }, |_| "withdrawn; its link is refused from now on".to_owned())
        }
        Member::Service { name, place } => {
            let (workspace, role) = (place.workspace, place.role);
            (Asked::CreateService { name, workspace, role }, placed)
        }
        Member::List { workspace } => (Asked::ListMembers { workspace }, |listed| lines(listed, member)),
        Member::Role { member, place } => {
            let (workspace, role) = (place.workspace, place.role);
            (Asked::SetRole { member, workspace, role }, placed)
        }
        Member::Set { member: who, name, time_zone, locale } => {
            (Asked::EditMember { member: who, name, time_zone, locale }, member)
        }
        Member::Login { member, login } => {
            (Asked::SetLogin { member, login }, |done| match done["login"].as_str() {
                Some(login) => format!("{} uses the login {}", text(done, "member"), shown(login)),
                None => format!("{} uses the logins of bases", text(done, "member")),
            })
        }
        Member::Remove { member, workspace } => (Asked::RemoveMember { member, workspace }, |done| {
            format!("{} is no member of {} any more", text(done, "removed"), text(done, "workspace"))
        }),
    };
    let answer = administer(global, Command::Members { command: asked }).await?;
    if global.json {
        return say(&answer);
    }
    let told = tell(&answer);
    if told.is_empty() { Ok(()) } else { say(told) }
}

fn text(value: &Value, key: &str) -> String {
    shown(value[key].as_str().unwrap_or_default()).to_string()
}

fn lines(listed: &Value, line: fn(&Value) -> String) -> String {
    let all: Vec<String> = listed.as_array().into_iter().flatten().map(line).collect();
    all.join("\n")
}

fn placed(done: &Value) -> String {
    format!("{} is {} in {}", text(done, "member"), text(done, "role"), text(done, "workspace"))
}

fn member(member: &Value) -> String {
    let roles = member["roles"].as_array().into_iter().flatten();
    let roles: Vec<String> =
        roles.map(|role| format!("{} in {}", text(role, "role"), text(role, "workspace"))).collect();
    let mut line = format!("{}  {}  {}", text(member, "member"), text(member, "name"), roles.join(", "));
    for key in ["time_zone", "locale"] {
        if member[key].is_string() {
            line.push_str(&format!("  {}", text(member, key)));
        }
    }
    line
}

fn invitation(invitation: &Value) -> String {
    let of = |key: &str| text(invitation, key);
    let (id, email, role) = (of("id"), of("email"), of("role"));
    format!("{id}  {email}  {role} in {}  until {}", of("workspace_name"), of("until"))
}
