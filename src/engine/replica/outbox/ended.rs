//! What it means to those who wait that a request was refused, not sent, or not answered.

use std::sync::Arc;

use tablewright_core::model::RecordId;
use tablewright_core::{Code, Fault};

use super::group::Fate;
use super::queue::{Unit, Verb};
use super::send::{Flight, Part, Share};
use super::settle::{Found, Times};
use crate::airtable::{Ask, Error};
use crate::base::Snapshot;

/// Times a request is sent whose answer was lost.
const MAX_TRIES: u32 = 3;
/// Records of a group refused one after the other, each by itself, after which the rest of it is
/// not sent.
const MAX_REFUSED: usize = 50;

impl Flight {
    /// What a refusal is to those who wait, and to whom else.
    pub(super) async fn refused(
        &mut self,
        ask: &Ask,
        part: Part,
        shares: &[Share],
        error: Error,
        left: &mut Vec<Part>,
    ) {
        let split = match &error {
            Error::Refused(refused) => {
                if matches!(refused.kind.as_str(), "UNKNOWN_FIELD_NAME" | "TABLE_NOT_FOUND")
                    || refused.kind.starts_with("INVALID_MULTIPLE_CHOICE")
                {
                    self.shared.copy.suspect_schema();
                }
                refused.kind != "TABLE_NOT_FOUND"
            }
            Error::Forbidden { .. } => false,
            // Nobody gets through.
            _ => {
                let fate = self.unsent(error, part.tried.is_some());
                return self.fail(&part.units, &fate);
            }
        };
        if split && self.kind.verb == Verb::Delete && self.retry_delete(ask, &part, shares, left).await {
            return;
        }
        if split && part.units.len() > 1 {
            let half = part.units.len().div_ceil(2);
            let Part { mut units, tries, tried } = part;
            let rest = units.split_off(half);
            left.push(Part { units: rest, tries, tried });
            left.push(Part { units, tries, tried });
            return;
        }
        if shares.len() > 1 {
            // What one may not do another may.
            let Part { units, tries, tried } = part;
            for share in shares.iter().rev() {
                let own = |unit: &&Unit| {
                    self.group(unit.group).is_some_and(|group| Arc::ptr_eq(&group, &share.group))
                };
                left.push(Part { units: units.iter().filter(own).cloned().collect(), tries, tried });
            }
            return;
        }
        let fate = Fate::Refused(error.into());
        self.fail_units(&part.units, &fate);
        let Some(id) = part.units.first().map(|unit| unit.group) else { return };
        let hopeless = shares.iter().any(|share| share.group.refused_in_a_row() >= MAX_REFUSED);
        if !split {
            self.shared.refuse_rest(id, &fate);
        } else if hopeless {
            let message = format!(
                "not sent: the {MAX_REFUSED} records before it were refused one by one; mend those first."
            );
            self.shared.refuse_rest(id, &Fate::Refused(Fault::new(Code::UpstreamRefused, message)));
        }
    }

    /// A deletion that was sent before, and not answered, may be why records are missing: those
    /// that are gone are done, the others are deleted again. False when it is not so.
    async fn retry_delete(&mut self, ask: &Ask, part: &Part, shares: &[Share], left: &mut Vec<Part>) -> bool {
        let tried = |share: &Share| share.items.iter().any(|at| share.group.items[*at].tried.is_some());
        if part.tries + 1 >= MAX_TRIES || !(part.tried.is_some() || shares.iter().any(tried)) {
            return false;
        }
        let Ok(there) = self.shared.look_for(ask, self.kind.table, &ids(shares)).await else { return false };
        self.gone(part, shares, &there, left).await;
        true
    }

    /// Counts the records of a deletion that are not there any more as done, and puts the others
    /// on `left`.
    async fn gone(&mut self, part: &Part, shares: &[Share], there: &[RecordId], left: &mut Vec<Part>) {
        for share in shares {
            let gone = |at: &usize| share.group.items[*at].id.is_some_and(|id| !there.contains(&id));
            let items: Vec<usize> = share.items.iter().copied().filter(gone).collect();
            if items.is_empty() {
                continue;
            }
            let ids = items.iter().filter_map(|at| share.group.items[*at].id).collect();
            let row =
                self.shared.note(&share.group, &items, self.shared.clock.now_ms()).await.unwrap_or_default();
            let asked = self.shared.copy.begin();
            let done = Share { group: share.group.clone(), items, at: Vec::new(), asked, row };
            self.shared.take_in(&done, Vec::new(), ids, Vec::new()).await;
        }
        self.shared.forget_rows(shares).await;
        let is_there = |unit: &&Unit| {
            let group = self.group(unit.group);
            let id = |at: &usize| group.as_ref().and_then(|group| group.items[*at].id);
            unit.items.iter().any(|at| id(at).is_some_and(|id| there.contains(&id)))
        };
        let (again, done): (Vec<&Unit>, Vec<&Unit>) = part.units.iter().partition(|unit| is_there(unit));
        let (again, done): (Vec<Unit>, Vec<Unit>) =
            (again.into_iter().cloned().collect(), done.into_iter().cloned().collect());
        self.settle(&done);
        if !again.is_empty() {
            left.push(Part { units: again, tries: part.tries + 1, tried: part.tried });
        }
    }

    /// An answer was lost: finds out what can be found out.
    pub(super) async fn lost(
        &mut self,
        ask: &Ask,
        part: Part,
        mut shares: Vec<Share>,
        before: &Arc<Snapshot>,
        error: Error,
        left: &mut Vec<Part>,
    ) {
        let again = part.tries + 1 < MAX_TRIES;
        let fault = Fault::from(error.clone());
        match &self.kind.verb {
            Verb::Create => {
                self.abandon(&shares);
                let times = Times { sent: part.tried.unwrap_or_default(), lost: self.shared.clock.now_ms() };
                let found = match self.shared.unsettled(&shares, before) {
                    Some(unsettled) => {
                        self.shared.settle_create(ask, unsettled, &mut shares, before, times, &error).await
                    }
                    None => Found::Unseen(fault.clone()),
                };
                match found {
                    Found::Done => self.settle(&part.units),
                    Found::NotDone if again => {
                        self.shared.forget_rows(&shares).await;
                        left.push(Part { tries: part.tries + 1, tried: None, ..part });
                    }
                    Found::NotDone => {
                        self.shared.forget_rows(&shares).await;
                        let message = format!(
                            "Airtable was sent this {MAX_TRIES} times and has not carried it out ({error}); try again later."
                        );
                        let fate = Fate::NotSent(Fault::new(Code::UpstreamUnavailable, message));
                        self.fail(&part.units, &fate);
                    }
                    Found::Unclear(fault) => {
                        self.shared.close(&shares, &fault).await;
                        self.fail_units(&part.units, &Fate::Refused(fault));
                    }
                    Found::Unseen(fault) => self.fail(&part.units, &Fate::Unsettled(fault)),
                }
            }
            Verb::Upsert { .. } => {
                self.abandon(&shares);
                let repeatable = |unit: &Unit| {
                    self.group(unit.group)
                        .is_some_and(|group| unit.items.iter().all(|at| group.items[*at].repeatable))
                };
                let (repeated, blank): (Vec<Unit>, Vec<Unit>) =
                    part.units.iter().cloned().partition(|unit| repeatable(unit));
                let message = format!(
                    "{fault}. With nothing in the fields to merge on it may be made twice when it is sent again; look for it first."
                );
                self.fail_units(&blank, &Fate::Refused(Fault::new(Code::OutcomeUnknown, message)));
                if repeated.is_empty() {
                    return;
                }
                if again {
                    self.shared.forget_rows(&shares).await;
                    left.push(Part { units: repeated, tries: part.tries + 1, ..part });
                } else {
                    self.fail(&repeated, &Fate::Unsettled(harmless(&fault)));
                }
            }
            Verb::Delete => {
                self.abandon(&shares);
                match self.shared.look_for(ask, self.kind.table, &ids(&shares)).await {
                    Ok(there) if again || there.is_empty() => {
                        self.gone(&part, &shares, &there, left).await;
                    }
                    _ => self.fail(&part.units, &Fate::Unsettled(harmless(&fault))),
                }
            }
            // The client has sent it again as long as it was patient.
            Verb::Update | Verb::Replace => {
                self.abandon(&shares);
                self.fail(&part.units, &Fate::Unsettled(harmless(&fault)));
            }
        }
    }

    pub(super) fn abandon(&self, shares: &[Share]) {
        for share in shares {
            self.shared.copy.abandon(share.asked);
        }
    }

    /// The fate of what an error kept from being sent; what was sent before may be done.
    pub(super) fn unsent(&self, error: Error, tried: bool) -> Fate {
        if tried {
            let fault = Fault::new(Code::OutcomeUnknown, error.to_string());
            return Fate::Unsettled(harmless(&fault));
        }
        Fate::not_done(error.into())
    }

    /// Airtable is away, or does not let us in: tells the callers of these units, and everybody who
    /// has waited as long, that nothing more is sent.
    pub(super) fn fail(&mut self, units: &[Unit], fate: &Fate) {
        let waiting = match fate {
            // Of those nothing was sent.
            Fate::Unsettled(fault) => {
                let message = format!("not sent, as an earlier request was not answered: {fault}");
                Fate::NotSent(Fault::new(Code::UpstreamUnavailable, message))
            }
            other => other.clone(),
        };
        self.shared.refuse_waiting(self.mark, &waiting);
        for unit in units {
            self.shared.refuse_rest(unit.group, &waiting);
        }
        self.fail_units(units, fate);
        self.down = Some(waiting);
    }

    /// Sends nothing more of the groups of these units.
    pub(super) fn stop(&mut self, units: &[Unit], fate: &Fate) {
        for unit in units {
            self.shared.refuse_rest(unit.group, fate);
        }
        self.fail_units(units, fate);
    }

    pub(super) fn fail_units(&mut self, units: &[Unit], fate: &Fate) {
        for unit in units {
            if let Some(group) = self.group(unit.group) {
                for at in &unit.items {
                    group.settle(*at, fate.clone());
                }
            }
        }
        self.settle(units);
    }
}

fn ids(shares: &[Share]) -> Vec<RecordId> {
    shares.iter().flat_map(|share| share.items.iter().filter_map(|at| share.group.items[*at].id)).collect()
}

fn harmless(fault: &Fault) -> Fault {
    let message = format!("{}. Sending it again does no harm.", fault.message.trim_end_matches('.'));
    Fault { message, ..fault.clone() }
}
