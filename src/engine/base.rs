//! Held data: immutable snapshots of tables as typed columns, and questions about them.

mod before;
pub mod changes;
pub mod chunks;
pub mod column;
pub mod filter;
pub mod lens;
pub mod query;
pub mod search;
pub mod snapshot;
pub mod table;

pub use before::before;
pub use changes::{Change, RowChange, SchemaChange, TableChanges};
pub use column::Column;
pub use filter::Filter;
pub use lens::{Lens, Sight, TableSight};
pub use query::{Page, Query};
pub use snapshot::Snapshot;
pub use table::{Row, TableData};
