//! Each tool: what it answers, what it refuses.

mod comments;
mod copied;
mod design;
mod formulas;
mod records;
mod schema;
mod sync;
mod wait;
mod write;

use crate::support::{Client, Data};

/// A client that may do everything, on the shop.
pub(crate) fn shop() -> (Data, Client) {
    let data = Data::with_shop();
    let client =
        data.serve(&["--allow-write", "--allow-delete", "--allow-schema", "--no-daemon"]).initialize();
    (data, client)
}

/// The same with every toolset.
pub(crate) fn everything() -> (Data, Client) {
    let data = Data::with_shop();
    let flags = ["--allow-write", "--allow-delete", "--allow-schema", "--no-daemon", "--toolsets", "all"];
    let client = data.serve(&flags).initialize();
    (data, client)
}
