//! Which records go into the next request. Nothing here waits, sends or knows the time.
//!
//! Groups are kept by caller. The caller who has waited longest begins a request with their oldest
//! group that can be sent; what is left of its room is filled one record at a time from every
//! caller's groups of the same kind. What a record touches is claimed in the order of arrival: the
//! next in line is sent only when the one before it is settled, so that no record is in two
//! requests, or twice in one, and writes to one record keep their order.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tablewright_core::model::{FieldId, RecordId, TableId};

/// Most records of one request, as Airtable has it.
pub(super) const BATCH: usize = 10;
/// How many records of a group are looked at for one that can be sent. The first record of the
/// oldest group waits only for what is in flight, so this stops nobody for good.
const LOOK_AHEAD: usize = 64;

/// A group of the queue.
pub(super) type GroupId = u64;

/// What is done to records.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    Create,
    Update,
    Replace,
    /// Merged on these fields; `replace` empties what is not named in records that are updated.
    Upsert {
        on: Vec<FieldId>,
        replace: bool,
    },
    Delete,
}

/// What the records of one request have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) table: TableId,
    pub(super) verb: Verb,
    pub(super) typecast: bool,
    /// The login it is sent with; that of the base when absent.
    pub(super) login: Option<Arc<str>>,
}

impl Kind {
    /// True when records may come into being.
    pub(super) fn makes(&self) -> bool {
        matches!(self.verb, Verb::Create | Verb::Upsert { .. })
    }

    /// Matching is on the state before a request: what two callers merge never shares one.
    fn shares(&self) -> bool {
        !matches!(self.verb, Verb::Upsert { .. })
    }
}

/// What only one record in flight may be about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Touch {
    /// A record that is there.
    Record(RecordId),
    /// The values a record is merged on, in a table.
    Key(TableId, Arc<str>),
}

/// Records of a group that are sent together or not at all: one, or all of an atomic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) group: GroupId,
    /// Places in the group.
    pub(super) items: Vec<usize>,
}

/// What goes into one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) kind: Kind,
    pub(super) units: Vec<Unit>,
}

struct Group {
    by: Arc<str>,
    kind: Kind,
    atomic: bool,
    /// What each record touches, by its place.
    touches: Vec<Option<Touch>>,
    /// Places that are not sent yet, in order.
    waiting: VecDeque<usize>,
    flying: usize,
}

/// The writes to one base that wait for their turn.
#[derive(Default)]
pub(super) struct Queue {
    groups: FxHashMap<GroupId, Group>,
    /// Callers with something waiting, the next one first.
    turn: VecDeque<Arc<str>>,
    /// The groups of each caller with something waiting, oldest first.
    of: FxHashMap<Arc<str>, VecDeque<GroupId>>,
    /// Who claims what, the next in line first.
    claims: FxHashMap<Touch, VecDeque<(GroupId, usize)>>,
    /// Tables to which nothing that may make records is sent, and how often each is held.
    held: FxHashMap<TableId, usize>,
    next: GroupId,
}

impl Queue {
    /// Takes in a group: who sends it, what is done, and what each of its records touches.
    pub(super) fn add(
        &mut self,
        by: Arc<str>,
        kind: Kind,
        atomic: bool,
        touches: Vec<Option<Touch>>,
    ) -> GroupId {
        let id = self.next;
        self.next += 1;
        if touches.is_empty() {
            return id;
        }
        for (at, touch) in touches.iter().enumerate() {
            let Some(touch) = touch else { continue };
            let line = self.claims.entry(touch.clone()).or_default();
            // An atomic group is sent as it is, even with a record that is named twice.
            if !(atomic && line.back().is_some_and(|(group, _)| *group == id)) {
                line.push_back((id, at));
            }
        }
        if !self.of.contains_key(&by) {
            self.turn.push_back(by.clone());
        }
        self.of.entry(by.clone()).or_default().push_back(id);
        let waiting = (0..touches.len()).collect();
        self.groups.insert(id, Group { by, kind, atomic, touches, waiting, flying: 0 });
        id
    }

    /// The next request, and it is in flight from now on; `None` when nothing can be sent.
    pub(super) fn choose(&mut self) -> Option<Batch> {
        let kind = self.turn.iter().find_map(|by| self.first_of(by, None))?.1;
        let mut batch = Batch { kind, units: Vec::new() };
        let mut room = BATCH;
        // Round by round, one unit of each caller, until nobody has any that fits.
        let mut order: Vec<Arc<str>> = self.turn.iter().cloned().collect();
        let mut served: Vec<Arc<str>> = Vec::new();
        while room > 0 && !order.is_empty() {
            order.retain(|by| {
                let alone = (!batch.kind.shares()).then(|| batch.units.first().map(|u| u.group)).flatten();
                let Some(unit) = self.unit_of(by, &batch.kind, room, alone) else { return false };
                room -= unit.items.len();
                self.take(&unit);
                if !served.contains(by) {
                    served.push(by.clone());
                }
                batch.units.push(unit);
                room > 0
            });
        }
        self.turn.retain(|by| !served.contains(by));
        for by in served {
            if self.of.contains_key(&by) {
                self.turn.push_back(by);
            }
        }
        Some(batch)
    }

    /// True when [`Queue::choose`] would give something.
    pub(super) fn can_choose(&self) -> bool {
        self.turn.iter().any(|by| self.first_of(by, None).is_some())
    }

    /// Who is next.
    pub(super) fn next_caller(&self) -> Option<Arc<str>> {
        self.turn.iter().find(|by| self.first_of(by, None).is_some()).cloned()
    }

    /// Groups taken in from now on have this number or a larger one.
    pub(super) fn mark(&self) -> GroupId {
        self.next
    }

    /// The records of a unit are settled: whoever claims the same is next.
    pub(super) fn settle(&mut self, unit: &Unit) {
        for at in &unit.items {
            self.unclaim(unit.group, *at);
        }
        let Some(group) = self.groups.get_mut(&unit.group) else { return };
        group.flying -= unit.items.len();
        self.drop_if_done(unit.group);
    }

    /// Takes out what is not sent yet of a group: the places of its records.
    pub(super) fn withdraw(&mut self, id: GroupId) -> Vec<usize> {
        let Some(group) = self.groups.get_mut(&id) else { return Vec::new() };
        let places: Vec<usize> = group.waiting.drain(..).collect();
        for at in &places {
            self.unclaim(id, *at);
        }
        self.unlist(id);
        self.drop_if_done(id);
        places
    }

    /// The groups with something waiting that were taken in before a mark.
    pub(super) fn waiting_before(&self, mark: GroupId) -> Vec<GroupId> {
        let mut ids: Vec<GroupId> = self.of.values().flatten().copied().filter(|id| *id < mark).collect();
        ids.sort_unstable();
        ids
    }

    /// Sends nothing more to a table that may make records there, until it is released as often.
    pub(super) fn hold(&mut self, table: TableId) {
        *self.held.entry(table).or_default() += 1;
    }

    /// Takes back one hold.
    pub(super) fn release(&mut self, table: TableId) {
        if let Some(count) = self.held.get_mut(&table) {
            *count -= 1;
            if *count == 0 {
                self.held.remove(&table);
            }
        }
    }

    /// Whether a table is held.
    pub(super) fn is_held(&self, table: TableId) -> bool {
        self.held.contains_key(&table)
    }

    /// The oldest group of a caller that can be sent, and its kind; with `kind`, of that kind.
    fn first_of(&self, by: &Arc<str>, kind: Option<&Kind>) -> Option<(GroupId, Kind)> {
        self.of.get(by)?.iter().find_map(|id| {
            let group = self.groups.get(id)?;
            let fits = kind.is_none_or(|kind| *kind == group.kind);
            (fits && self.ready(*id, group, BATCH).is_some()).then(|| (*id, group.kind.clone()))
        })
    }

    /// The next unit of a caller for a batch of `kind` with this much room; of the group `alone`
    /// when the batch is not shared.
    fn unit_of(&self, by: &Arc<str>, kind: &Kind, room: usize, alone: Option<GroupId>) -> Option<Unit> {
        self.of.get(by)?.iter().find_map(|id| {
            let group = self.groups.get(id)?;
            if group.kind != *kind || alone.is_some_and(|alone| alone != *id) {
                return None;
            }
            let items = self.ready(*id, group, room)?;
            Some(Unit { group: *id, items })
        })
    }

    /// Places of a group that can be sent now as one unit.
    fn ready(&self, id: GroupId, group: &Group, room: usize) -> Option<Vec<usize>> {
        if group.kind.makes() && self.held.contains_key(&group.kind.table) {
            return None;
        }
        let free = |at: usize| {
            let Some(touch) = &group.touches[at] else { return true };
            let first = self.claims.get(touch).and_then(VecDeque::front);
            first.is_some_and(|(first, place)| *first == id && (group.atomic || *place == at))
        };
        if group.atomic {
            let all = !group.waiting.is_empty() && group.waiting.len() <= room;
            return (all && group.waiting.iter().all(|at| free(*at)))
                .then(|| group.waiting.iter().copied().collect());
        }
        let found = group.waiting.iter().take(LOOK_AHEAD).copied().find(|at| free(*at))?;
        (room > 0).then(|| vec![found])
    }

    /// Moves a unit from waiting to in flight.
    fn take(&mut self, unit: &Unit) {
        let Some(group) = self.groups.get_mut(&unit.group) else { return };
        match group.waiting.front() {
            Some(first) if unit.items == [*first] => {
                group.waiting.pop_front();
            }
            _ => {
                let taken: FxHashSet<usize> = unit.items.iter().copied().collect();
                group.waiting.retain(|at| !taken.contains(at));
            }
        }
        group.flying += unit.items.len();
        if group.waiting.is_empty() {
            self.unlist(unit.group);
        }
    }

    /// Takes a group with nothing waiting off the list of its caller.
    fn unlist(&mut self, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let by = group.by.clone();
        if let Some(list) = self.of.get_mut(&by) {
            list.retain(|held| *held != id);
            if list.is_empty() {
                self.of.remove(&by);
                self.turn.retain(|held| *held != by);
            }
        }
    }

    fn unclaim(&mut self, id: GroupId, at: usize) {
        let Some(touch) = self.groups.get(&id).and_then(|group| group.touches[at].clone()) else { return };
        if let Some(line) = self.claims.get_mut(&touch) {
            line.retain(|claim| *claim != (id, at));
            if line.is_empty() {
                self.claims.remove(&touch);
            }
        }
    }

    fn drop_if_done(&mut self, id: GroupId) {
        if self.groups.get(&id).is_some_and(|group| group.waiting.is_empty() && group.flying == 0) {
            self.groups.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
