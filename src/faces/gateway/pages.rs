//! Pages that were written a moment ago, kept as text.
//!
//! Programs ask for the same page again and again. What a page says follows from the versions of
//! its base and table, its rows and how cells are written, all of which are part of the key: no
//! page is ever out of date, and one that nobody asks for any more makes way.

use std::sync::Arc;

use quick_cache::sync::Cache;
use tablewright_core::model::{BaseId, TableId};
use tablewright_door::TableView;

use super::params::Shape;

/// Most bytes of all pages together.
const MAX_BYTES: u64 = 32 << 20;
/// About how many pages these are.
const PAGES: usize = 1_000;

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    base: BaseId,
    table: TableId,
    versions: (u64, u64),
    by_id: bool,
    link_objects: bool,
    /// The places of its fields; all when absent.
    fields: Option<Box<[usize]>>,
    slots: Box<[usize]>,
}

#[derive(Debug, Clone)]
struct Bytes;

impl quick_cache::Weighter<Key, Arc<str>> for Bytes {
    fn weight(&self, key: &Key, text: &Arc<str>) -> u64 {
        let places = key.slots.len() + key.fields.as_ref().map_or(0, |fields| fields.len());
        (text.len() + places * size_of::<usize>() + 200) as u64
    }
}

/// All pages that are kept.
pub(super) struct Pages(Cache<Key, Arc<str>, Bytes>);

impl Pages {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(PAGES, MAX_BYTES, Bytes))
    }

    /// The key of a page, when it can be kept: texts for people depend on more, and addresses of
    /// files end.
    pub(super) fn key(
        view: &TableView,
        fields: Option<&[usize]>,
        shape: Shape,
        slots: &[usize],
    ) -> Option<Key> {
        let table = view.schema();
        let has_files = |at: &usize| table.fields.get(*at).is_some_and(|field| field.kind.may_hold_files());
        let files = match fields {
            Some(fields) => fields.iter().any(has_files),
            None => (0..table.fields.len()).any(|at| has_files(&at)),
        };
        let lasts = shape.text.is_none() && !files;
        lasts.then(|| Key {
            base: view.base().schema().id,
            table: table.id,
            versions: (view.base().version(), view.version()),
            by_id: shape.by_id,
            link_objects: shape.link_objects,
            fields: fields.map(Into::into),
            slots: slots.into(),
        })
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<str>> {
        self.0.get(key)
    }

    pub(super) fn keep(&self, key: Key, text: &str) {
        self.0.insert(key, text.into());
    }
}
