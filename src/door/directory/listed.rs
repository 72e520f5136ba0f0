//! Members as people and models read them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tablewright_core::model::WorkspaceId;

use super::{Directory, Role};

/// Somebody as they are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// `person:ADDRESS` or `service:NAME`.
    pub member: String,
    /// What people see.
    pub name: String,
    /// Their roles.
    pub roles: Vec<ListedRole>,
    /// An IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// A language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// A role as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedRole {
    /// The workspace's name.
    pub workspace: String,
    /// The role in it.
    pub role: Role,
}

impl Directory {
    /// Everybody, or the members of one workspace, as they are listed.
    pub fn listed(&self, only: Option<WorkspaceId>) -> Vec<Listed> {
        let names = self.workspaces();
        let named = |id: WorkspaceId| names.iter().find(|(known, _)| *known == id).map(|(_, name)| name);
        let members = self.members().into_iter();
        let members = members.filter(|member| only.is_none_or(|only| member.role_in(only).is_some()));
        let listed = members.map(|member| Listed {
            member: member.principal.to_string(),
            name: member.name.clone(),
            roles: member
                .roles
                .iter()
                .filter(|(id, _)| only.is_none_or(|only| *id == only))
                .filter_map(|(id, role)| Some(ListedRole { workspace: named(*id)?.clone(), role: *role }))
                .collect(),
            time_zone: member.time_zone.clone(),
            locale: member.locale.clone(),
        });
        listed.collect()
    }
}
