//! Commands about who may come in: tokens, workspaces and their members.

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tablewright_door::Role;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it, this once.
    Create {
        /// What you call it.
        #[arg(long)]
        name: String,
        /// What it may do; all that the role of a member allows, or reading for a token that is nobody's,
        /// when left out.
        #[arg(long, value_delimiter = ',')]
        scopes: Option<Vec<String>>,
        /// Whose it is: the address of a member, or the name of a service account.
        #[arg(long = "for", value_name = "MEMBER")]
        owner: Option<String>,
        /// See the bases of this one of their workspaces alone: name or id.
        #[arg(long, value_name = "NAME", requires = "owner")]
        workspace: Option<String>,
        /// Days until it is refused on its own; it lasts when left out.
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        /// See the bases of this login at Airtable alone.
        #[arg(long, value_name = "NAME", conflicts_with = "owner")]
        profile: Option<String>,
    },
    /// List the tokens.
    List,
    /// Take a token back.
    Revoke {
        /// Name or id.
        token: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Workspace {
    /// Make a workspace.
    Create {
        /// What people call it.
        name: String,
    },
    /// List the workspaces with the bases and members in them.
    List,
    /// Give a workspace another name.
    Rename {
        /// Name or id.
        workspace: String,
        /// The new name.
        name: String,
    },
    /// Put a base in a workspace; a base that lives in Airtable goes with its login and all its bases.
    Move {
        /// Name, id or URL.
        base: String,
        /// Name or id.
        workspace: String,
    },
    /// Put a login at Airtable in a workspace, with all bases that are read with it.
    Login {
        /// The login's name.
        login: String,
        /// Name or id.
        workspace: String,
    },
    /// Delete a workspace that nothing is in. Its members are members of it no more.
    Delete {
        /// Name or id.
        workspace: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Member {
    /// Print a link that makes one person a member of a workspace, once.
    Invite {
        /// Their address. The link is yours to send.
        email: String,
        #[command(flatten)]
        place: Place,
        /// Days until the link is refused (1 to 90).
        #[arg(long, default_value_t = 7, value_name = "N")]
        days: u32,
    },
    /// List the invitations that wait.
    Invitations,
    /// Take an invitation back.
    Withdraw {
        /// Its id.
        invitation: String,
    },
    /// Make an account for a program, with a role in a workspace.
    Service {
        /// What it is called.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List people and service accounts with their roles.
    List {
        /// Those of this workspace alone: name or id.
        #[arg(long, value_name = "NAME")]
        workspace: Option<String>,
    },
    /// Give a member a role in a workspace, or another one.
    Role {
        /// Their address, or a service account's name.
        member: String,
        #[command(flatten)]
        place: Place,
    },
    /// Change what is known of a member.
    Set {
        /// Their address, or a service account's name.
        member: String,
        /// What people see.
        #[arg(long)]
        name: Option<String>,
        /// The time zone dates are shown and read in, as Europe/Berlin; empty for none.
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// How dates are written, as de or en-gb; empty for none.
        #[arg(long, value_name = "TAG")]
        locale: Option<String>,
    },
    /// Say with which login at Airtable things are done for a member there.
    Login {
        /// Their address, or a service account's name.
        member: String,
        /// The login's name; that of the base is used when left out.
        login: Option<String>,
    },
    /// End a membership. Tokens that are of no use without it are refused from now on.
    Remove {
        /// Their address, or a service account's name.
        member: String,
        /// Name or id.
        #[arg(long, value_name = "NAME")]
        workspace: Option<String>,
    },
}

/// A role in a workspace.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Name or id; the first one when left out.
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// What they may do there.
    #[arg(long, value_parser = role())]
    pub role: Role,
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
        .map(|text| Role::named(&text).unwrap_or(Role::Reader))
}
