//! Who watches what, by place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tablewright_core::model::BaseId;
use tablewright_door::{Change, ChangeKind, SchemaChange};

use super::super::address::Place;
use super::{MAX_BASES, MAX_LISTENERS, MAX_PLACES, Mailbox};

/// Listeners and what they watch.
#[derive(Default)]
pub(super) struct Index {
    last: u64,
    listeners: HashMap<u64, Arc<Mailbox>>,
    by_principal: HashMap<Arc<str>, usize>,
    /// Listeners that want to know when the list of resources changes.
    lists: HashSet<u64>,
    places: HashMap<Place, Watched>,
    /// The watched places of each base.
    of_base: HashMap<BaseId, HashSet<Place>>,
    /// When each base changed last, since the server began.
    pub(super) changed: HashMap<BaseId, i64>,
}

#[derive(Default)]
struct Watched {
    /// The listeners, each with the address as it gave it.
    by: Vec<(u64, Arc<str>)>,
    /// Stands for the document that was last seen there; `None` while none was.
    digest: Option<u64>,
}

impl Index {
    /// Adds a listener; `None` when `principal` has too many.
    pub(super) fn open(&mut self, principal: &Arc<str>, mailbox: Arc<Mailbox>, list: bool) -> Option<u64> {
        let held = self.by_principal.entry(principal.clone()).or_default();
        if *held >= MAX_LISTENERS {
            return None;
        }
        *held += 1;
        self.last += 1;
        self.listeners.insert(self.last, mailbox);
        if list {
            self.lists.insert(self.last);
        }
        Some(self.last)
    }

    /// Forgets a listener that watches nothing any more.
    pub(super) fn close(&mut self, number: u64, principal: &Arc<str>) {
        self.listeners.remove(&number);
        self.lists.remove(&number);
        if let Some(held) = self.by_principal.get_mut(principal) {
            *held -= 1;
            if *held == 0 {
                self.by_principal.remove(principal);
            }
        }
    }

    /// Has a listener watch a place; false when there are too many places.
    pub(super) fn add(&mut self, number: u64, uri: &Arc<str>, place: Place) -> bool {
        if self.places.len() >= MAX_PLACES && !self.places.contains_key(&place) {
            return false;
        }
        self.places.entry(place).or_default().by.push((number, uri.clone()));
        if let Some(base) = place.base() {
            self.of_base.entry(base).or_default().insert(place);
        }
        true
    }

    /// Undoes [`Index::add`].
    pub(super) fn forget(&mut self, number: u64, uri: &Arc<str>, place: &Place) {
        let Some(watched) = self.places.get_mut(place) else { return };
        watched.by.retain(|(by, given)| *by != number || given != uri);
        if !watched.by.is_empty() {
            return;
        }
        self.places.remove(place);
        if let Some(base) = place.base()
            && let Some(places) = self.of_base.get_mut(&base)
        {
            places.remove(place);
            if places.is_empty() {
                self.of_base.remove(&base);
            }
        }
    }

    /// True while something of a base is watched.
    pub(super) fn is_watched(&self) -> bool {
        !self.of_base.is_empty()
    }

    /// The bases of which something is watched.
    pub(super) fn bases(&self) -> Vec<BaseId> {
        self.of_base.keys().copied().collect()
    }

    /// Notes what is at a place that is watched from now on, unless that is known.
    pub(super) fn begin(&mut self, place: &Place, digest: u64) {
        if let Some(watched) = self.places.get_mut(place) {
            watched.digest.get_or_insert(digest);
        }
    }

    /// Notes what is at a place; true when it is another thing than before.
    pub(super) fn settle(&mut self, place: &Place, digest: u64) -> bool {
        self.places.get_mut(place).is_some_and(|watched| watched.digest.replace(digest) != Some(digest))
    }

    /// Tells everyone who watches a place.
    pub(super) fn tell(&self, place: &Place) {
        let Some(watched) = self.places.get(place) else { return };
        for (number, uri) in &watched.by {
            if let Some(mailbox) = self.listeners.get(number) {
                mailbox.put(|letters| {
                    letters.updated.insert(uri.clone());
                });
            }
        }
    }

    /// Tells of a base whose resources came or went; of whatever base without one.
    fn tell_list(&self, base: Option<BaseId>) {
        for mailbox in self.lists.iter().filter_map(|number| self.listeners.get(number)) {
            mailbox.put(|letters| match base {
                Some(base) if letters.lists.len() < MAX_BASES => drop(letters.lists.insert(base)),
                _ => letters.all = true,
            });
        }
    }

    /// Tells everyone of everything, because changes went by unseen.
    pub(super) fn tell_all(&mut self) {
        self.places.values_mut().for_each(|watched| watched.digest = None);
        self.places.keys().for_each(|place| self.tell(place));
        self.tell_list(None);
    }

    /// Tells of the places that a commit names. Gives these, and the places whose document is to
    /// be looked at: those, and the ones the commit may have reached through computed fields,
    /// names and settings.
    pub(super) fn sort(&mut self, change: &Change) -> (HashSet<Place>, Vec<Place>) {
        let base = change.base;
        if change.kind == ChangeKind::BaseDeleted {
            self.changed.remove(&base);
        } else {
            self.changed.insert(base, change.at);
        }
        let mut told = HashSet::new();
        if changes_sizes(change) {
            told.insert(Place::Bases);
        }
        if changes_list(change) {
            self.tell_list(Some(base));
        }
        let mut check = Vec::new();
        if let Some(watched) = self.of_base.get(&base)
            && change.kind != ChangeKind::Comments
        {
            let rows = change.tables.iter().flat_map(|t| t.rows.iter().map(|row| (t.table, row.id)));
            let written = rows.map(|(table, id)| Place::Record(base, table, id));
            told.extend(written.filter(|place| watched.contains(place)));
            let rows_only = change.kind == ChangeKind::Records;
            let reached = |place: &&Place| match place {
                Place::Record(_, table, _) if rows_only => {
                    told.contains(*place) || change.recomputed.contains(table)
                }
                _ => !rows_only,
            };
            check = watched.iter().filter(reached).copied().collect();
        }
        told.iter().for_each(|place| self.tell(place));
        (told, check)
    }
}

/// Whether a name or a number in the list of bases changes.
fn changes_sizes(change: &Change) -> bool {
    match change.kind {
        ChangeKind::Comments => false,
        ChangeKind::Records => {
            let mut rows = change.tables.iter().flat_map(|t| &t.rows);
            rows.any(|row| row.before.is_none() || row.after.is_none())
        }
        ChangeKind::Schema => change.schema.iter().any(|part| {
            let named = matches!(part, SchemaChange::BaseRenamed { .. });
            named || matches!(part, SchemaChange::TableCreated { .. } | SchemaChange::TableDeleted { .. })
        }),
        ChangeKind::BaseCreated | ChangeKind::Imported | ChangeKind::BaseDeleted => true,
    }
}

/// Whether bases or tables come, go or get another name.
fn changes_list(change: &Change) -> bool {
    match change.kind {
        ChangeKind::Records | ChangeKind::Comments => false,
        ChangeKind::BaseCreated | ChangeKind::Imported | ChangeKind::BaseDeleted => true,
        ChangeKind::Schema => change.schema.iter().any(|part| match part {
            SchemaChange::BaseRenamed { .. }
            | SchemaChange::TableCreated { .. }
            | SchemaChange::TableDeleted { .. } => true,
            SchemaChange::TableChanged { before, after, .. } => before.name != after.name,
            _ => false,
        }),
    }
}
