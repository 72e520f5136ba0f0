//! Bases, tables, fields, records: Airtable's model as types.

pub mod cell;
pub mod field;
pub mod id;
pub mod mask;
pub mod person;
pub mod reference;
pub mod schema;

pub use cell::Cell;
pub use field::{Choice, Field, FieldType};
pub use id::{
    AttachmentId, BaseId, CallId, ChoiceId, CommentId, FieldId, Id, PlanId, RecordId, TableId, UserId,
    ViewId, WebhookId, WorkspaceId,
};
pub use mask::Mask;
pub use person::Person;
pub use reference::Reference;
pub use schema::{Base, Sort, Table, View};
