//! What should be in the base: every write, and what its caller was told of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hostile::Chance;

/// What a caller was told of one record of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is done; the record.
    Done(String),
    /// It is not done, and will not be.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

/// A kind of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    Create,
    Update,
    Upsert,
    Delete,
}

/// What may be true of one record, told apart by its key.
#[derive(Debug)]
struct Held {
    id: Option<String>,
    may_be_there: bool,
    may_be_gone: bool,
    /// What its note may be.
    notes: BTreeSet<String>,
    /// Who writes to it.
    writer: usize,
    /// A write is under way, or its state is not known: nobody writes to it now.
    set_aside: bool,
    /// Everything that was done with it, for whoever has to find out.
    story: Vec<String>,
}

/// All records that were ever written.
#[derive(Debug, Default)]
pub struct Ledger {
    held: BTreeMap<String, Held>,
    counted: BTreeMap<(Verb, &'static str), usize>,
}

/// A record that is there for certain.
#[derive(Debug, Clone)]
pub struct Known {
    pub key: String,
    pub id: String,
}

impl Ledger {
    /// A record that was there before, for this writer alone.
    pub fn found(&mut self, key: &str, id: &str, note: &str, writer: usize) {
        let held = Held {
            id: Some(id.to_owned()),
            may_be_there: true,
            may_be_gone: false,
            notes: [note.to_owned()].into(),
            writer,
            set_aside: false,
            story: Vec::new(),
        };
        self.held.insert(key.to_owned(), held);
    }

    /// Takes up to `count` records of a writer for a write.
    pub fn take(&mut self, writer: usize, count: usize, chance: &mut Chance) -> Vec<Known> {
        let mut free: Vec<&String> = self
            .held
            .iter()
            .filter(|(_, held)| {
                held.writer == writer && held.may_be_there && !held.set_aside && held.id.is_some()
            })
            .map(|(key, _)| key)
            .collect();
        let mut taken = Vec::new();
        while taken.len() < count && !free.is_empty() {
            taken.push(free.swap_remove(chance.below(free.len())).clone());
        }
        let known = |key: String| {
            let held = self.held.get_mut(&key)?;
            held.set_aside = true;
            Some(Known { id: held.id.clone()?, key })
        };
        taken.into_iter().filter_map(known).collect()
    }

    fn count(&mut self, verb: Verb, said: &Said) {
        let word = match said {
            Said::Done(_) => "done",
            Said::Refused(_) => "refused",
            Said::Unknown(_) => "unknown",
        };
        *self.counted.entry((verb, word)).or_default() += 1;
    }

    /// A record that was to be made.
    pub fn made(&mut self, verb: Verb, key: &str, note: &str, writer: usize, said: &Said) {
        self.count(verb, said);
        let (id, there, gone) = match said {
            Said::Done(id) => (Some(id.clone()), true, false),
            Said::Refused(_) => (None, false, true),
            Said::Unknown(_) => (None, true, true),
        };
        let held = Held {
            id,
            may_be_there: there,
            may_be_gone: gone,
            notes: [note.to_owned()].into(),
            writer,
            set_aside: !matches!(said, Said::Done(_)),
            story: vec![format!("{verb:?} with {note:?}: {said:?}")],
        };
        assert!(self.held.insert(key.to_owned(), held).is_none(), "keys are used once: {key}");
    }

    /// A record that was taken and was to get a new note.
    pub fn changed(&mut self, verb: Verb, key: &str, note: &str, said: &Said) {
        self.count(verb, said);
        let held = self.held.get_mut(key).unwrap();
        held.story.push(format!("{verb:?} with {note:?}: {said:?}"));
        match said {
            Said::Done(id) => {
                assert_eq!(held.id.as_ref(), Some(id), "{key} is another record now: {:?}", held.story);
                held.notes = [note.to_owned()].into();
            }
            Said::Refused(_) => {}
            Said::Unknown(_) => {
                held.notes.insert(note.to_owned());
            }
        }
        held.set_aside = matches!(said, Said::Unknown(_));
    }

    /// A record that was taken and was to be deleted.
    pub fn deleted(&mut self, key: &str, said: &Said) {
        self.count(Verb::Delete, said);
        let held = self.held.get_mut(key).unwrap();
        held.story.push(format!("Delete: {said:?}"));
        (held.may_be_there, held.may_be_gone, held.set_aside) = match said {
            Said::Done(_) => (false, true, true),
            Said::Refused(_) => (true, false, false),
            Said::Unknown(_) => (true, true, true),
        };
    }

    /// How many records were written, by kind and by what was said of them.
    pub fn counted(&self) -> &BTreeMap<(Verb, &'static str), usize> {
        &self.counted
    }

    /// How many records were said to be done, and how many were not.
    pub fn done(&self) -> (usize, usize) {
        let all: usize = self.counted.values().sum();
        let done = self.counted.iter().filter(|((_, word), _)| *word == "done").map(|(_, n)| n).sum();
        (done, all - done)
    }

    /// What is wrong with a base of these records; nothing when all is as it was said.
    pub fn judge(&self, records: &[Value]) -> Vec<String> {
        let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for record in records {
            found.entry(record["fields"]["Key"].as_str().unwrap_or_default()).or_default().push(record);
        }
        let mut wrong = Vec::new();
        for (key, records) in &found {
            if records.len() > 1 {
                let story = self.held.get(*key).map(|held| &held.story);
                wrong.push(format!("{key} is there {} times: {story:?} {records:?}", records.len()));
            }
            if !self.held.contains_key(*key) {
                wrong.push(format!("nobody wrote {key}: {records:?}"));
            }
        }
        for (key, held) in &self.held {
            match found.get(key.as_str()).map(|records| records[0]) {
                None if !held.may_be_gone => wrong.push(format!("{key} is lost: {:?}", held.story)),
                None => {}
                Some(record) if !held.may_be_there => {
                    wrong.push(format!("{key} should not be there: {:?} {record}", held.story));
                }
                Some(record) => {
                    let note = record["fields"]["Note"].as_str().unwrap_or_default();
                    if !held.notes.contains(note) {
                        wrong.push(format!("{key} has note {note:?}: {:?}", held.story));
                    }
                    if held.id.as_deref().is_some_and(|id| record["id"] != id) {
                        wrong.push(format!("{key} is another record: {:?} {record}", held.story));
                    }
                }
            }
        }
        wrong
    }
}
