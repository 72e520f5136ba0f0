//! Writes to a base that lives in Airtable.

mod queue;
