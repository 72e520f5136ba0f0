//! Reading the audit log.

use tablewright_core::Fault;
use tablewright_core::model::BaseId;
use tablewright_engine::store::audit::{Asked, Line};

use crate::access::Need;
use crate::call::Call;

impl Call {
    /// The newest lines of the audit log that are asked for.
    pub async fn audit_lines(&self, asked: &Asked, most: u32) -> Result<Vec<Line>, Fault> {
        self.caller().rights.require(Need::Audit)?;
        // Lines of others name records that may not be there for somebody whom a policy binds.
        let sees_all = |(id, _): &(BaseId, String)| !self.policies().binds(self.caller(), self.action(), *id);
        let bound = self.caller().member.is_some()
            || (self.policies().concern(self.caller()) && !self.engine().bases().iter().all(sees_all));
        let own = self.caller().principal.to_string();
        let mut asked = asked.clone();
        if bound && asked.principal.replace(own.clone()).is_some_and(|wanted| wanted != own) {
            return Ok(Vec::new());
        }
        self.engine().settle_audit().await?;
        self.engine().store().audit_lines(&asked, most).await.map_err(Fault::from)
    }
}
