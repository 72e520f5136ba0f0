//! Following the schema of a base.

use tablewright_core::model::{Base, TableId};
use tablewright_core::{Fault, Refused};

use super::held::{Held, Seen};
use super::state::chosen;
use super::take::Delta;
use crate::airtable::{Error, Session};

/// Fetches the schema and puts it in place of the held one.
pub(crate) async fn refresh(held: &Held, session: &Session) -> Result<(), Fault> {
    let began = held.now();
    let tables = session.schema(&held.ask(), held.base).await?.value;
    let name = held.engine.schema(held.base).await?.name.clone();
    put(held, Base { id: held.base, name, tables }, began).await
}

/// Asks what the base is called now.
pub(crate) async fn refresh_name(held: &Held, session: &Session) -> Result<(), Fault> {
    let described = session.get_base(&held.ask(), held.base, &[]).await?.value;
    let Some(name) = described.get("name").and_then(|name| name.as_str()) else { return Ok(()) };
    let schema = held.engine.schema(held.base).await?;
    if schema.name != name {
        put(held, Base { name: name.to_owned(), ..Base::clone(&schema) }, held.now()).await?;
    }
    Ok(())
}

async fn put(held: &Held, schema: Base, began: i64) -> Result<(), Fault> {
    let schema = Some(chosen(&held.cloud(), schema));
    let seen = Seen::of(0, Delta { schema, ..Delta::default() });
    let follow = |state: &mut super::state::State| {
        state.schema_due = false;
        state.schema_at = began;
    };
    held.take(seen, follow).await?;
    Ok(())
}

/// What a refusal while records of a table are read means: when the table is gone, the schema is
/// looked at again and the rest goes on without it.
pub(crate) async fn table_is_there(held: &Held, table: TableId, error: Error) -> Result<bool, Fault> {
    let gone = matches!(
        error.refused(),
        Some(Refused { status: 403 | 404, kind, .. })
            if kind == "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND" || kind.ends_with("NOT_FOUND")
    );
    if !gone {
        return Err(error.into());
    }
    let session = held.session().await?;
    refresh(held, &session).await?;
    // A table that is still there may not be read.
    if held.engine.schema(held.base).await?.table_by_id(table).is_some() {
        return Err(error.into());
    }
    Ok(false)
}
