//! The one way to a base: who asks, what they may see and do, and what is written down about it.

pub mod access;
pub mod approval;
pub mod attachments;
mod audit;
pub mod call;
mod careful;
mod changes;
mod comments;
pub mod design;
pub mod live;
mod people;
pub mod plan;
pub mod plans;
pub mod preview;
pub mod rehearsal;
pub mod tasks;
pub mod tokens;
pub mod undo;
pub mod view;
pub mod webhooks;

pub use access::{Caller, Rights};
pub use attachments::FailedFile;
pub use call::{Call, Door};
pub use changes::{Changed, Follow, LogPlace, News};
pub use design::Edited;
pub use plan::{Plan, WriteOptions};
pub use plans::Plans;
pub use rehearsal::Effect;
pub use tablewright_engine::base::changes::{Change, ChangeKind, SchemaChange};
pub use tablewright_engine::files::{self, Files};
pub use tasks::Tasks;
pub use tokens::Tokens;
pub use view::{BaseView, TableView};
pub use webhooks::Webhooks;
