//! Bases that live in Airtable, held here as copies.

pub mod outbox;
