//! Reading the audit log.

use tablewright_core::Fault;
use tablewright_engine::store::audit::{Asked, Line};

use crate::access::Need;
use crate::call::Call;

impl Call {
    /// The newest lines of the audit log that are asked for.
    pub async fn audit_lines(&self, asked: &Asked, most: u32) -> Result<Vec<Line>, Fault> {
        self.caller().rights.require(Need::Audit)?;
        self.engine().settle_audit().await?;
        self.engine().store().audit_lines(asked, most).await.map_err(Fault::from)
    }
}
