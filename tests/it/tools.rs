//! Each tool: what it answers, what it refuses.

mod formulas;
mod records;
mod schema;
mod write;

use crate::support::{Client, Data};

/// A client that may do everything, on the shop.
pub(crate) fn shop() -> (Data, Client) {
    let data = Data::with_shop();
    let client =
        data.serve(&["--allow-write", "--allow-delete", "--allow-schema", "--no-daemon"]).initialize();
    (data, client)
}
