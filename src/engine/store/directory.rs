//! Workspaces, people and service accounts, members, invitations, and what is in which workspace.

use serde::{Deserialize, Serialize};

use super::tokens::StoredToken;
use super::{Error, Store};

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredWorkspace {
    /// `wsp…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
}

/// A person or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPerson {
    /// `person:ADDRESS` with the address in small letters, or `service:NAME`.
    pub principal: String,
    /// What people see.
    pub name: String,
    /// An IANA time zone.
    pub time_zone: Option<String>,
    /// A BCP 47 tag, such as `de-CH`.
    pub locale: Option<String>,
    /// When they came, in milliseconds since the epoch.
    pub created_at: i64,
}

/// Somebody's role in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMember {
    /// The workspace's id.
    pub workspace: String,
    /// Who.
    pub principal: String,
    /// Their role.
    pub role: String,
    /// Since when, in milliseconds since the epoch.
    pub since: i64,
}

/// An invitation: a link that makes one person a member, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredInvitation {
    /// `inv…`
    pub id: String,
    /// SHA-256 of the code in the link, hex.
    #[serde(skip)]
    pub hash: String,
    /// The workspace's id.
    pub workspace: String,
    /// Whom it is for.
    pub email: String,
    /// The role they will have.
    pub role: String,
    /// Who made it.
    pub made_by: String,
    /// When, in milliseconds since the epoch.
    pub made_at: i64,
    /// Until when it can be accepted.
    pub expires_at: i64,
    /// When it was accepted or withdrawn.
    pub ended_at: Option<i64>,
}

/// What can be put in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A base that lives here, by id.
    Base,
    /// A login at Airtable, by name, with all bases that are read with it.
    Login,
}

impl Thing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Login => "login",
        }
    }
}

/// All of it, as it is held in memory.
#[derive(Debug, Clone, Default)]
pub struct StoredDirectory {
    /// Oldest first: what is put nowhere is in the first one.
    pub workspaces: Vec<StoredWorkspace>,
    /// People and service accounts.
    pub people: Vec<StoredPerson>,
    /// Who is what in which workspace.
    pub members: Vec<StoredMember>,
    /// Ids of bases, each with its workspace.
    pub bases: Vec<(String, String)>,
    /// Names of logins, each with its workspace.
    pub logins: Vec<(String, String)>,
    /// Members, each with the login at Airtable that is their own.
    pub own_logins: Vec<(String, String)>,
}

impl Store {
    /// Everything but the invitations.
    pub async fn stored_directory(&self) -> Result<StoredDirectory, Error> {
        let mut transaction = self.pool.begin().await?;
        let workspaces: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT id, name, created_at FROM workspaces ORDER BY created_at, id")
                .fetch_all(&mut *transaction)
                .await?;
        type Person = (String, String, Option<String>, Option<String>, i64);
        let people: Vec<Person> = sqlx::query_as(
            "SELECT principal, name, time_zone, locale, created_at FROM people ORDER BY principal",
        )
        .fetch_all(&mut *transaction)
        .await?;
        let members: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT workspace, principal, role, since FROM members ORDER BY workspace, principal",
        )
        .fetch_all(&mut *transaction)
        .await?;
        let placements: Vec<(String, String, String)> =
            sqlx::query_as("SELECT kind, thing, workspace FROM placements")
                .fetch_all(&mut *transaction)
                .await?;
        let own_logins: Vec<(String, String)> =
            sqlx::query_as("SELECT principal, login FROM member_logins").fetch_all(&mut *transaction).await?;
        let of = |wanted: Thing| {
            let kind = wanted.as_str();
            let those = placements.iter().filter(|(found, ..)| found == kind);
            those.map(|(_, thing, workspace)| (thing.clone(), workspace.clone())).collect()
        };
        Ok(StoredDirectory {
            workspaces: workspaces
                .into_iter()
                .map(|(id, name, created_at)| StoredWorkspace { id, name, created_at })
                .collect(),
            people: people
                .into_iter()
                .map(|(principal, name, time_zone, locale, created_at)| StoredPerson {
                    principal,
                    name,
                    time_zone,
                    locale,
                    created_at,
                })
                .collect(),
            members: members
                .into_iter()
                .map(|(workspace, principal, role, since)| StoredMember { workspace, principal, role, since })
                .collect(),
            bases: of(Thing::Base),
            logins: of(Thing::Login),
            own_logins,
        })
    }

    /// Keeps a new workspace.
    pub async fn add_workspace(&self, workspace: &StoredWorkspace) -> Result<(), Error> {
        sqlx::query("INSERT INTO workspaces (id, name, created_at) VALUES ($1, $2, $3)")
            .bind(&workspace.id)
            .bind(&workspace.name)
            .bind(workspace.created_at)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Gives a workspace another name.
    pub async fn rename_workspace(&self, id: &str, name: &str) -> Result<(), Error> {
        sqlx::query("UPDATE workspaces SET name = $2 WHERE id = $1")
            .bind(id)
            .bind(name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Removes a workspace, its members and its invitations. Nothing may be in it any more.
    pub async fn remove_workspace(&self, id: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM workspaces WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Puts something in a workspace.
    pub async fn place(&self, kind: Thing, thing: &str, workspace: &str) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO placements (kind, thing, workspace) VALUES ($1, $2, $3)
             ON CONFLICT (kind, thing) DO UPDATE SET workspace = excluded.workspace",
        )
        .bind(kind.as_str())
        .bind(thing)
        .bind(workspace)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets what is in a workspace, where it is there no more.
    pub async fn unplace(&self, kind: Thing, thing: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM placements WHERE kind = $1 AND thing = $2")
            .bind(kind.as_str())
            .bind(thing)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Says which login at Airtable is a member's own.
    pub async fn set_own_login(&self, principal: &str, login: &str) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO member_logins (principal, login) VALUES ($1, $2)
             ON CONFLICT (principal) DO UPDATE SET login = excluded.login",
        )
        .bind(principal)
        .bind(login)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets which login is a member's own.
    pub async fn forget_own_login(&self, principal: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM member_logins WHERE principal = $1")
            .bind(principal)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Makes somebody a member, or changes their role; they are kept too when they are new.
    pub async fn put_member(&self, person: &StoredPerson, member: &StoredMember) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        put(&mut transaction, person, member).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Ends a membership. Whoever is a member of nothing any more is forgotten, and their tokens are
    /// taken back.
    pub async fn remove_member(&self, workspace: &str, principal: &str, at: i64) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM members WHERE workspace = $1 AND principal = $2")
            .bind(workspace)
            .bind(principal)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM people WHERE principal = $1
             AND NOT EXISTS (SELECT 1 FROM members WHERE principal = $1)",
        )
        .bind(principal)
        .execute(&mut *transaction)
        .await?;
        // A token for one workspace alone is of no use without it.
        sqlx::query(
            "UPDATE tokens SET revoked_at = $3 WHERE owner = $2 AND revoked_at IS NULL
             AND (workspace = $1 OR NOT EXISTS (SELECT 1 FROM people WHERE principal = $2))",
        )
        .bind(workspace)
        .bind(principal)
        .bind(at)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Changes what is known of somebody.
    pub async fn set_person(&self, person: &StoredPerson) -> Result<(), Error> {
        sqlx::query("UPDATE people SET name = $2, time_zone = $3, locale = $4 WHERE principal = $1")
            .bind(&person.principal)
            .bind(&person.name)
            .bind(&person.time_zone)
            .bind(&person.locale)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Keeps an invitation.
    pub async fn add_invitation(&self, invitation: &StoredInvitation) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO invitations (id, hash, workspace, email, role, made_by, made_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&invitation.id)
        .bind(&invitation.hash)
        .bind(&invitation.workspace)
        .bind(&invitation.email)
        .bind(&invitation.role)
        .bind(&invitation.made_by)
        .bind(invitation.made_at)
        .bind(invitation.expires_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Invitations that can be accepted at `now`, oldest first.
    pub async fn invitations(&self, now: i64) -> Result<Vec<StoredInvitation>, Error> {
        type Raw = (String, String, String, String, String, String, i64, i64, Option<i64>);
        let rows: Vec<Raw> = sqlx::query_as(
            "SELECT id, hash, workspace, email, role, made_by, made_at, expires_at, ended_at
             FROM invitations WHERE ended_at IS NULL AND expires_at > $1 ORDER BY made_at, id",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        let read = |(id, hash, workspace, email, role, made_by, made_at, expires_at, ended_at): Raw| {
            StoredInvitation { id, hash, workspace, email, role, made_by, made_at, expires_at, ended_at }
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Ends an invitation that can be accepted; false when there is none.
    pub async fn end_invitation(&self, id: &str, now: i64) -> Result<bool, Error> {
        let done = sqlx::query(END).bind(id).bind(now).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Accepts an invitation: with it ended, its person is a member and has the token. False, and
    /// nothing done, when it was accepted or withdrawn meanwhile.
    pub async fn accept_invitation(
        &self,
        id: &str,
        person: &StoredPerson,
        member: &StoredMember,
        token: &StoredToken,
    ) -> Result<bool, Error> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(END).bind(id).bind(member.since).execute(&mut *transaction).await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        put(&mut transaction, person, member).await?;
        super::tokens::insert(token, &mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

const END: &str =
    "UPDATE invitations SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL AND expires_at > $2";

async fn put(
    transaction: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
    person: &StoredPerson,
    member: &StoredMember,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO people (principal, name, time_zone, locale, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (principal) DO NOTHING",
    )
    .bind(&person.principal)
    .bind(&person.name)
    .bind(&person.time_zone)
    .bind(&person.locale)
    .bind(person.created_at)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "INSERT INTO members (workspace, principal, role, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT (workspace, principal) DO UPDATE SET role = excluded.role",
    )
    .bind(&member.workspace)
    .bind(&member.principal)
    .bind(&member.role)
    .bind(member.since)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
