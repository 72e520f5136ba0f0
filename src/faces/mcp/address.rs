//! Addresses of resources: `airtable://…`, RFC 6570 templates of it, and back.

use percent_encoding::percent_decode_str;
use tablewright_core::model::{BaseId, RecordId, TableId};

/// What every address begins with.
const SCHEME: &str = "airtable://";

/// The list of bases.
pub(super) const BASES: &str = "airtable://bases";
/// The resource that holds the formula reference.
pub(super) const FORMULA_REFERENCE: &str = "airtable://formula-reference";
/// The schema of a base.
pub(super) const BASE_SCHEMA: &str = "airtable://{base}/schema";
/// The schema of a table.
pub(super) const TABLE_SCHEMA: &str = "airtable://{base}/{table}/schema";
/// A record.
pub(super) const RECORD: &str = "airtable://{base}/{table}/{record}";

/// Longest address that is read, in bytes.
pub(super) const MAX_ADDRESS: usize = 2_000;

/// What an address names, as it was given: ids or names, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    FormulaReference,
    Bases,
    BaseSchema { base: String },
    TableSchema { base: String, table: String },
    Record { base: String, table: String, record: String },
    Task { id: String },
}

impl Address {
    /// Reads an address; `None` when it is none of ours.
    pub(super) fn parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix(SCHEME).filter(|_| uri.len() <= MAX_ADDRESS)?;
        if rest.contains(['?', '#']) {
            return None;
        }
        let parts: Vec<String> = rest
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8().ok().map(String::from))
            .collect::<Option<_>>()?;
        if parts.iter().any(|part| part.trim().is_empty()) {
            return None;
        }
        let mut parts = parts.into_iter();
        match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            (only, None, ..) if only == "formula-reference" => Some(Self::FormulaReference),
            (only, None, ..) if only == "bases" => Some(Self::Bases),
            (base, Some(last), None, _) if last == "schema" => Some(Self::BaseSchema { base }),
            (only, Some(id), None, _) if only == "tasks" => Some(Self::Task { id }),
            (base, Some(table), Some(last), None) if last == "schema" => {
                Some(Self::TableSchema { base, table })
            }
            (base, Some(table), Some(record), None) => Some(Self::Record { base, table, record }),
            _ => None,
        }
    }
}

/// What an address names, found: the key under which changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Bases,
    Base(BaseId),
    Table(BaseId, TableId),
    Record(BaseId, TableId, RecordId),
}

impl Place {
    /// The base it is in.
    pub(super) fn base(&self) -> Option<BaseId> {
        match self {
            Self::Bases => None,
            Self::Base(base) | Self::Table(base, _) | Self::Record(base, ..) => Some(*base),
        }
    }

    /// Its address, with ids.
    pub(super) fn uri(&self) -> String {
        match self {
            Self::Bases => BASES.to_owned(),
            Self::Base(base) => format!("{SCHEME}{base}/schema"),
            Self::Table(base, table) => format!("{SCHEME}{base}/{table}/schema"),
            Self::Record(base, table, record) => format!("{SCHEME}{base}/{table}/{record}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_ids_and_encoded_names() {
        let text = |text: &str| text.to_owned();
        for (uri, address) in [
            ("airtable://bases", Some(Address::Bases)),
            ("airtable://formula-reference", Some(Address::FormulaReference)),
            ("airtable://My%20Shop/schema", Some(Address::BaseSchema { base: text("My Shop") })),
            ("airtable://tasks/task_1", Some(Address::Task { id: text("task_1") })),
            ("airtable://tasks/schema", Some(Address::BaseSchema { base: text("tasks") })),
            ("airtable://bases/schema", Some(Address::BaseSchema { base: text("bases") })),
            (
                "airtable://S/schema/schema",
                Some(Address::TableSchema { base: text("S"), table: text("schema") }),
            ),
            (
                "airtable://S/a%2Fb%3F/%C3%A9",
                Some(Address::Record { base: text("S"), table: text("a/b?"), record: text("é") }),
            ),
            ("airtable://S", None),
            ("airtable://S/T", None),
            ("airtable://S/T/r/x", None),
            ("airtable://S//schema", None),
            ("airtable:///T/schema", None),
            ("airtable://S/T/schema?x=1", None),
            ("airtable://S/%FF/schema", None),
            ("https://bases", None),
            ("", None),
        ] {
            assert_eq!(Address::parse(uri), address, "{uri}");
        }
        assert_eq!(Address::parse(&format!("airtable://{}/schema", "a".repeat(3_000))), None);
    }
}
