//! The one way to a base: who asks, what they may see and do, and what is written down about it.

pub mod access;
pub mod attachments;
pub mod call;
mod changes;
mod comments;
pub mod design;
mod people;
pub mod plan;
pub mod tasks;
pub mod tokens;
pub mod view;
pub mod webhooks;

pub use access::{Caller, Rights};
pub use attachments::FailedFile;
pub use call::{Call, Door};
pub use changes::{Changed, Follow, LogPlace, News};
pub use design::Edited;
pub use plan::{Plan, WriteOptions};
pub use tablewright_engine::base::changes::{Change, ChangeKind, SchemaChange};
pub use tablewright_engine::files::{self, Files};
pub use tasks::Tasks;
pub use tokens::Tokens;
pub use view::{BaseView, TableView};
pub use webhooks::Webhooks;
