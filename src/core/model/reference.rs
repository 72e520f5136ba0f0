//! What a person may paste where a name is asked for: a name, an id, or an Airtable URL.

use super::id::{BaseId, FieldId, RecordId, TableId, ViewId};

/// The ids found in a pasted URL; all empty for anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reference {
    /// `app…`
    pub base: Option<BaseId>,
    /// `tbl…`
    pub table: Option<TableId>,
    /// `viw…`
    pub view: Option<ViewId>,
    /// `rec…`
    pub record: Option<RecordId>,
    /// `fld…`
    pub field: Option<FieldId>,
}

impl Reference {
    /// Reads the ids out of `https://airtable.com/app…/tbl…/viw…/rec…` and the like.
    pub fn from_url(text: &str) -> Option<Self> {
        let (_, rest) = text.trim().split_once("://")?;
        let mut found = Self::default();
        for part in rest.split(['/', '?', '#', '&', '=']) {
            found.base = found.base.or_else(|| part.parse().ok());
            found.table = found.table.or_else(|| part.parse().ok());
            found.view = found.view.or_else(|| part.parse().ok());
            found.record = found.record.or_else(|| part.parse().ok());
            found.field = found.field.or_else(|| part.parse().ok());
        }
        (found != Self::default()).then_some(found)
    }

    /// The record id in `text`: an id or a URL with one.
    pub fn record(text: &str) -> Option<RecordId> {
        text.trim().parse().ok().or_else(|| Self::from_url(text)?.record)
    }

    /// The link a person can open for a record.
    pub fn link(base: BaseId, table: TableId, record: RecordId) -> String {
        format!("https://airtable.com/{base}/{table}/{record}")
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn reads_ids_from_urls() {
        let url = "https://airtable.com/appA1b2C3d4E5f6G7/tblA1b2C3d4E5f6G7/viwA1b2C3d4E5f6G7/recA1b2C3d4E5f6G7?blocks=hide";
        let found = Reference::from_url(url).unwrap();
        assert!(found.base.is_some() && found.table.is_some() && found.view.is_some());
        assert_eq!(Reference::record(url), found.record);
        assert!(Reference::from_url("Deals").is_none());
        assert!(Reference::from_url("https://example.org/x").is_none());
    }
}
