//! Computed fields: formulas, lookups, rollups and counts of a base, kept in step with its rows.
//!
//! Their cells live in memory only; the store keeps what was written, and they are worked out
//! again when a base is read. A field whose formula cannot be used keeps the cells it came with.

mod cells;
mod define;
mod depend;
mod evaluate;
mod found;
mod impact;
mod plan;
mod run;
mod view;

pub use define::{settle, with_ids, with_names};
pub use depend::Place;
pub(crate) use depend::{needs, places};
pub(crate) use evaluate::{Effort, by_column, too_much};
pub use evaluate::{evaluate, rehearse, trace};
pub use found::Recomputed;
pub use impact::{Affected, Change, Effect, impact};
pub use plan::{Computed, Job, Plan};
pub use run::{recompute_all, recompute_changed, refresh};
pub use view::TableRows;
