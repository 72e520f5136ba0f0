//! The tools: each one verb, from typed arguments to a typed answer.

pub mod admin;
pub mod attachments;
pub mod bulk;
pub mod changes;
pub mod comments;
mod cursor;
pub mod design;
mod filter;
pub mod formulas;
mod freshness;
pub mod records;
mod rows;
pub mod schema;
pub mod sync;
pub mod write;
mod written;

use tablewright_toolkit::catalogue::{Catalogue, Error};
use tablewright_toolkit::registry::Registry;

/// Every tool with its wording.
pub fn registry() -> Result<Registry, Error> {
    let catalogue = Catalogue::parse(&[
        ("schema.toml", include_str!("../../tools/schema.toml")),
        ("records.toml", include_str!("../../tools/records.toml")),
        ("formulas.toml", include_str!("../../tools/formulas.toml")),
        ("attachments.toml", include_str!("../../tools/attachments.toml")),
        ("design.toml", include_str!("../../tools/design.toml")),
        ("comments.toml", include_str!("../../tools/comments.toml")),
        ("sync.toml", include_str!("../../tools/sync.toml")),
        ("changes.toml", include_str!("../../tools/changes.toml")),
        ("admin.toml", include_str!("../../tools/admin.toml")),
    ])?;
    Registry::builder()
        .with::<admin::ExplainAccess>()
        .with::<admin::ListMembers>()
        .with::<admin::InviteMember>()
        .with::<admin::CreateToken>()
        .with::<admin::RevokeToken>()
        .with::<admin::ConnectAirtable>()
        .with::<schema::ListBases>()
        .with::<schema::DescribeBase>()
        .with::<records::ListRecords>()
        .with::<records::GetRecords>()
        .with::<records::SearchRecords>()
        .with::<write::CreateRecords>()
        .with::<write::UpdateRecords>()
        .with::<write::UpsertRecords>()
        .with::<write::DeleteRecords>()
        .with::<formulas::CheckFormula>()
        .with::<formulas::EvaluateFormula>()
        .with::<formulas::ExplainFormula>()
        .with::<formulas::AssessFormulaImpact>()
        .with::<attachments::UploadAttachment>()
        .with::<attachments::GetAttachment>()
        .with::<design::CreateBase>()
        .with::<design::CreateTable>()
        .with::<design::UpdateTable>()
        .with::<design::CreateField>()
        .with::<design::UpdateField>()
        .with::<design::CreateView>()
        .with::<design::UpdateView>()
        .with::<design::DeleteView>()
        .with::<design::DeleteField>()
        .with::<design::DeleteTable>()
        .with::<design::DeleteBase>()
        .with::<comments::ListComments>()
        .with::<comments::AddComment>()
        .with::<sync::GetSyncStatus>()
        .with::<sync::SyncBase>()
        .with::<sync::WaitForChanges>()
        .with::<changes::ApplyPlan>()
        .with::<changes::GetPlan>()
        .with::<changes::ListChanges>()
        .with::<changes::GetRecordHistory>()
        .with::<changes::UndoChanges>()
        .with::<changes::QueryAuditLog>()
        .build(catalogue)
}
