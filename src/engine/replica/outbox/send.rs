//! One request after the other: a turn, what goes into it, what came of it.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tablewright_core::model::{RecordId, TableId};
use tablewright_core::{Code, Fault};

use super::group::{Fate, Group};
use super::prepare::Item;
use super::queue::{Batch, GroupId, Kind, Unit, Verb};
use super::{Own, Shared};
use crate::airtable::{Ask, Error, Permit, Record, Session};
use crate::base::Snapshot;

/// Requests of one base under way at once.
const MAX_IN_FLIGHT: usize = 8;

/// Units that are sent in one request.
pub(super) struct Part {
    pub(super) units: Vec<Unit>,
    /// How often they were sent and not answered.
    pub(super) tries: u32,
    /// When they were sent first, by our clock, if they may have been carried out then.
    pub(super) tried: Option<i64>,
}

/// The records of one group in a request.
pub(super) struct Share {
    pub(super) group: Arc<Group>,
    /// Places in the group.
    pub(super) items: Vec<usize>,
    /// Places in the request.
    pub(super) at: Vec<usize>,
    /// What the copy goes by for the answer.
    pub(super) asked: u64,
    /// Its row in the journal.
    pub(super) row: Option<i64>,
}

impl Share {
    /// All records of a group, which were sent before.
    pub(super) fn all_of(group: &Arc<Group>, row: i64) -> Self {
        let items = (0..group.items.len()).collect();
        Self { group: group.clone(), items, at: Vec::new(), asked: 0, row: Some(row) }
    }
}

/// What Airtable did.
struct Sent {
    /// The records after it, in the order sent; of a deletion none.
    records: Vec<Record>,
    created: Vec<RecordId>,
}

/// A batch in flight. Whatever ends it, its records are settled and others may go.
pub(super) struct Flight {
    pub(super) shared: Arc<Shared>,
    pub(super) kind: Kind,
    /// The groups of the units, beside them; `None` once they are settled.
    units: Vec<Option<(Unit, Arc<Group>)>>,
    /// Groups older than this have waited at least as long as it has.
    pub(super) mark: GroupId,
    /// Why nothing more of it is sent.
    pub(super) down: Option<Fate>,
}

/// A request under way that may make records in a table.
struct Making(Arc<Shared>, TableId);

impl Making {
    /// Waits while the table is held.
    async fn begin(shared: &Arc<Shared>, table: TableId) -> Self {
        shared
            .wait_until(|state| {
                let free = !state.queue.is_held(table);
                if free {
                    *state.making.entry(table).or_default() += 1;
                }
                free
            })
            .await;
        Self(shared.clone(), table)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(count) = self.0.lock().making.get_mut(&self.1) {
            *count -= 1;
        }
        self.0.settled.notify_waiters();
    }
}

impl Shared {
    /// The login records of a kind are sent with.
    fn session_of(&self, kind: &Kind) -> Session {
        let own = kind.login.as_ref().and_then(|login| self.lock().logins.get(login).cloned());
        own.unwrap_or_else(|| self.session.clone())
    }

    /// Sees to it that somebody waits for the next turn, if there is anything to send.
    pub(super) fn kick(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            if state.asking || state.in_flight >= MAX_IN_FLIGHT || !state.queue.can_choose() {
                return;
            }
            state.asking = true;
        }
        // When everything ends there may be nothing to run it any more.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.clone().turn())),
            Err(_) => self.lock().asking = false,
        }
    }

    async fn turn(self: Arc<Self>) {
        let asking = Asking(self.clone());
        let (caller, mark) = {
            let state = self.lock();
            (state.queue.next_caller(), state.queue.mark())
        };
        let Some(caller) = caller else { return };
        let permit = self.session.permit(&Ask::interactive(caller), Some(self.base)).await;
        let permit = match permit {
            Ok(permit) => permit,
            Err(error) => return self.refuse_waiting(mark, &Fate::not_done(error.into())),
        };
        let flight = {
            let mut state = self.lock();
            state.queue.choose().map(|Batch { kind, units }| {
                state.in_flight += 1;
                let groups = &state.groups;
                let with_group = |unit: Unit| groups.get(&unit.group).cloned().map(|group| (unit, group));
                let units = units.into_iter().map(with_group).collect();
                Flight { shared: self.clone(), kind, units, mark, down: None }
            })
        };
        drop(asking);
        if let Some(flight) = flight {
            flight.carry(permit).await;
        }
    }

    /// Tells everybody who waits since before `mark` that their records are not sent.
    pub(super) fn refuse_waiting(&self, mark: GroupId, fate: &Fate) {
        let ids = self.lock().queue.waiting_before(mark);
        for id in ids {
            self.refuse_rest(id, fate);
        }
    }

    /// Sends nothing more of a group.
    pub(super) fn refuse_rest(&self, id: GroupId, fate: &Fate) {
        let (group, places) = {
            let mut state = self.lock();
            (state.groups.get(&id).cloned(), state.queue.withdraw(id))
        };
        let Some(group) = group else { return };
        group.result().stopped.get_or_insert_with(|| fate.clone());
        for at in places {
            group.settle(at, fate.clone());
        }
    }
}

/// Somebody waits for a turn; when that ends, the next may.
struct Asking(Arc<Shared>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.lock().asking = false;
        self.0.kick();
    }
}

impl Flight {
    async fn carry(mut self, permit: Permit) {
        let units: Vec<Unit> = self.units.iter().flatten().map(|(unit, _)| unit.clone()).collect();
        let mut permit = Some(permit);
        let mut left = vec![Part { units, tries: 0, tried: None }];
        while let Some(part) = left.pop() {
            if let Some(fate) = self.down.clone() {
                self.fail_units(&part.units, &fate);
                continue;
            }
            let Some(first) = part.units.first().and_then(|unit| self.group(unit.group)) else { continue };
            let ask = Ask::interactive(first.by.principal.clone());
            let turn = match permit.take() {
                Some(permit) => Ok(permit),
                None => {
                    if self.kind.makes() {
                        let table = self.kind.table;
                        self.shared.wait_until(|state| !state.queue.is_held(table)).await;
                    }
                    self.shared.session.permit(&ask, Some(self.shared.base)).await
                }
            };
            let turn = match turn {
                Ok(turn) => turn,
                Err(error) => {
                    let fate = self.unsent(error, part.tried.is_some());
                    self.fail(&part.units, &fate);
                    continue;
                }
            };
            self.attempt(turn, &ask, part, &mut left).await;
        }
    }

    pub(super) fn group(&self, id: GroupId) -> Option<Arc<Group>> {
        let of = |slot: &&Option<(Unit, Arc<Group>)>| slot.as_ref().is_some_and(|(unit, _)| unit.group == id);
        self.units.iter().find(of)?.as_ref().map(|(_, group)| group.clone())
    }

    /// Sends a part once; what of it is to be sent again is put on `left`.
    async fn attempt(&mut self, turn: Permit, ask: &Ask, part: Part, left: &mut Vec<Part>) {
        let before = match self.shared.copy.snapshot().await {
            Ok(before) => before,
            Err(fault) => return self.stop(&part.units, &Fate::not_done(fault)),
        };
        let now = self.shared.clock.now_ms();
        let shares = match self.shares(&part.units, now).await {
            Ok(shares) => shares,
            Err(fault) => return self.stop(&part.units, &Fate::not_done(fault)),
        };
        shares.iter().for_each(|share| share.group.tally.add());
        let tried = part.tried;
        let answer = {
            let _making = match self.kind.makes() {
                true => Some(Making::begin(&self.shared, self.kind.table).await),
                false => None,
            };
            self.send(turn, ask, &shares).await
        };
        match answer {
            Ok(sent) => {
                self.take_in(&shares, sent, &before, tried).await;
                self.settle(&part.units);
            }
            Err(error) if error.uncertain() => {
                let part = Part { tried: tried.or(Some(now)), ..part };
                self.lost(ask, part, shares, &before, error, left).await;
            }
            Err(error) => {
                self.abandon(&shares);
                if tried.is_none() {
                    self.shared.forget_rows(&shares).await;
                }
                self.refused(ask, part, &shares, error, left).await;
            }
        }
    }

    /// What each caller has in a request, noted where it is to be.
    async fn shares(&self, units: &[Unit], now: i64) -> Result<Vec<Share>, Fault> {
        let mut shares: Vec<(GroupId, Share)> = Vec::new();
        let mut place = 0;
        for unit in units {
            let found = match shares.iter().position(|(id, _)| *id == unit.group) {
                Some(found) => found,
                None => {
                    let Some(group) = self.group(unit.group) else { continue };
                    let share = Share { group, items: Vec::new(), at: Vec::new(), asked: 0, row: None };
                    shares.push((unit.group, share));
                    shares.len() - 1
                }
            };
            let share = &mut shares[found].1;
            share.items.extend(&unit.items);
            share.at.extend(place..place + unit.items.len());
            place += unit.items.len();
        }
        let mut shares: Vec<Share> = shares.into_iter().map(|(_, share)| share).collect();
        for share in &mut shares {
            share.row = self.shared.note(&share.group, &share.items, now).await?;
        }
        for share in &mut shares {
            share.asked = self.shared.copy.begin();
        }
        Ok(shares)
    }

    async fn send(&self, turn: Permit, ask: &Ask, shares: &[Share]) -> Result<Sent, Error> {
        let mut items: Vec<(usize, &Item)> = shares
            .iter()
            .flat_map(|share| {
                share.at.iter().copied().zip(share.items.iter().map(|at| &share.group.items[*at]))
            })
            .collect();
        items.sort_unstable_by_key(|(at, _)| *at);
        let items = items.into_iter().map(|(_, item)| item);
        let (session, base) = (&self.shared.session_of(&self.kind), self.shared.base);
        let (table, typecast) = (self.kind.table.to_string(), self.kind.typecast);
        let with_id = |item: &Item| Some((item.id?, item.cells.clone()));
        let (time, sent) = match &self.kind.verb {
            Verb::Create => {
                let cells: Vec<Map<String, Value>> = items.map(|item| item.cells.clone()).collect();
                let answer = session.create(turn, ask, base, &table, &cells, typecast).await?;
                let created = answer.value.iter().map(|record| record.id).collect();
                (answer.server_time, Sent { records: answer.value, created })
            }
            Verb::Update | Verb::Replace => {
                let records: Vec<(RecordId, Map<String, Value>)> = items.filter_map(with_id).collect();
                let replace = self.kind.verb == Verb::Replace;
                let answer = session.update(turn, ask, base, &table, &records, replace, typecast).await?;
                (answer.server_time, Sent { records: answer.value, created: Vec::new() })
            }
            Verb::Upsert { on, replace } => {
                let on: Vec<String> = on.iter().map(ToString::to_string).collect();
                let records: Vec<_> = items.map(|item| (item.id, item.cells.clone())).collect();
                let answer =
                    session.upsert(turn, ask, base, &table, &on, &records, *replace, typecast).await?;
                let sent = Sent { records: answer.value.records, created: answer.value.created };
                (answer.server_time, sent)
            }
            Verb::Delete => {
                let ids: Vec<RecordId> = items.filter_map(|item| item.id).collect();
                let answer = session.delete(turn, ask, base, &table, &ids).await?;
                (answer.server_time, Sent { records: Vec::new(), created: Vec::new() })
            }
        };
        self.shared.note_time(time);
        self.shared.lock().give(sent.records.iter().map(|record| record.id));
        Ok(sent)
    }

    /// Takes an answer into the copy, and tells everybody what became of their records.
    async fn take_in(&self, shares: &[Share], sent: Sent, before: &Snapshot, tried: Option<i64>) {
        for share in shares {
            let records: Vec<Record> =
                share.at.iter().filter_map(|at| sent.records.get(*at).cloned()).collect();
            let gone: Vec<RecordId> = match self.kind.verb {
                Verb::Delete => share.items.iter().filter_map(|at| share.group.items[*at].id).collect(),
                _ => Vec::new(),
            };
            let created: Vec<RecordId> = share
                .items
                .iter()
                .zip(&records)
                .filter(|(at, record)| {
                    let tried = tried.or(share.group.items[**at].tried);
                    sent.created.contains(&record.id) || self.made_before(record, before, tried)
                })
                .map(|(_, record)| record.id)
                .collect();
            self.shared.take_in(share, records, gone, created).await;
        }
    }

    /// Whether an upsert that was sent before `tried`, and not answered, has made this record. Sent
    /// again it says "updated": what was not there before and was made since then is new.
    fn made_before(&self, record: &Record, before: &Snapshot, tried: Option<i64>) -> bool {
        let (Verb::Upsert { .. }, Some(tried)) = (&self.kind.verb, tried) else { return false };
        let known = before.tables.get(&self.kind.table).is_some_and(|data| data.slot(&record.id).is_some());
        !known && self.shared.since(tried).is_some_and(|since| record.created >= since)
    }

    /// Lets go of units that have their fate.
    pub(super) fn settle(&mut self, units: &[Unit]) {
        {
            let mut state = self.shared.lock();
            for slot in &mut self.units {
                if let Some((unit, _)) = slot.take_if(|(unit, _)| units.contains(unit)) {
                    state.queue.settle(&unit);
                }
            }
        }
        self.shared.settled.notify_waiters();
        self.shared.kick();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let units: Vec<Unit> = self.units.iter().flatten().map(|(unit, _)| unit.clone()).collect();
        if !units.is_empty() {
            let fault = Fault::new(Code::OutcomeUnknown, "the program stopped while this was being written");
            self.fail_units(&units, &Fate::Unsettled(fault));
        }
        self.shared.lock().in_flight -= 1;
        self.shared.kick();
    }
}

impl Shared {
    /// Takes the records of a share into the copy, and settles them.
    pub(super) async fn take_in(
        &self,
        share: &Share,
        records: Vec<Record>,
        gone: Vec<RecordId>,
        created: Vec<RecordId>,
    ) {
        let group = &share.group;
        let ids: Vec<RecordId> =
            if gone.is_empty() { records.iter().map(|record| record.id).collect() } else { gone.clone() };
        let outcome = || {
            let told: Vec<Result<RecordId, Fault>> = ids.iter().copied().map(Ok).collect();
            json!({ "records": told, "created": created })
        };
        let own = Own {
            asked: share.asked,
            table: group.kind.table,
            records,
            gone,
            by: group.by.clone(),
            journal: share.row.map(|row| (row, outcome())).into_iter().collect(),
            part: None,
        };
        match self.copy.absorb(own).await {
            Ok(absorbed) => group.absorbed(absorbed, created.iter().copied()),
            // It is done in Airtable; the copy gets it when it is compared next.
            Err(fault) => {
                tracing::error!(%fault, "an answer of Airtable was not taken into the copy");
                group.result().created.extend(&created);
            }
        }
        for (at, id) in share.items.iter().zip(ids) {
            group.settle(*at, Fate::Done(id));
        }
    }
}
