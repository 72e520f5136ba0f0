//! Which login at Airtable is a member's own.

use tablewright_core::Fault;

use super::{Directory, Member};

impl Directory {
    /// The login at Airtable that is a member's own.
    pub fn login_of(&self, principal: &str) -> Option<String> {
        self.held().own_logins.get(principal).cloned()
    }

    /// Says which login at Airtable is a member's own; with `None` what is done for them is done with
    /// the login of the base again.
    pub async fn set_login(&self, member: &Member, login: Option<&str>) -> Result<(), Fault> {
        let _one = self.0.edits.lock().await;
        let store = self.0.engine.store();
        match login {
            Some(login) => store.set_own_login(&member.principal, login).await,
            None => store.forget_own_login(&member.principal).await,
        }
        .map_err(Fault::from)?;
        self.refresh().await
    }

    /// Own logins of those who are members of nothing any more, each with whose it was. They are
    /// forgotten; what is sealed of them is left to whoever asks.
    pub async fn forget_logins_of_strangers(&self) -> Result<Vec<(String, String)>, Fault> {
        let _one = self.0.edits.lock().await;
        let held = self.held();
        let gone: Vec<(String, String)> = held
            .own_logins
            .iter()
            .filter(|(principal, _)| !held.members.contains_key(*principal))
            .map(|(principal, login)| (principal.clone(), login.clone()))
            .collect();
        for (principal, _) in &gone {
            self.0.engine.store().forget_own_login(principal).await.map_err(Fault::from)?;
        }
        self.refresh().await?;
        Ok(gone)
    }
}
