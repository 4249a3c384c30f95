//! What follows from the records: every attempt as far as it got, and the highest token of every target.
//!
//! The same fold runs when a record is written and when it is read, so a record that may not be written cannot be
//! read either.

use super::record::{Ending, Key, Record};
use crate::{
    fence::{Fence, Stale},
    host::Unit,
};
use lockkeeper_core::{
    ids::Digest,
    plan::{ActionKind, Target},
};
use std::collections::BTreeMap;

/// Everything the journal remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    attempts: BTreeMap<Key, Entry>,
    fence: Fence,
    torn: u64,
}

/// One attempt as far as it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// On what.
    pub target: Target,
    /// What kind of action.
    pub kind: ActionKind,
    /// Digest of the action.
    pub action: Digest,
    /// The value before the first change, once it was captured.
    pub captured: Option<String>,
    /// Whether the effect may have begun.
    pub started: bool,
    /// The unit the effect runs in, if it was started in one.
    pub unit: Option<Unit>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Whether the group has answered the report.
    pub reported: bool,
}

/// A record that contradicts the ones before it: a bug, or a file put together by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disorder {
    /// The attempt was never begun.
    #[error("{0} was never begun")]
    NotBegun(Key),
    /// Begun twice for different things.
    #[error("{0} was begun before, for something else")]
    BegunDifferently(Key),
    /// Something after the end.
    #[error("{0} ended before")]
    Ended(Key),
    /// A report of an attempt that goes on.
    #[error("{0} has not ended")]
    NotEnded(Key),
    /// A drop after the effect may have begun.
    #[error("{0} may have had its effect and cannot count as dropped")]
    DroppedAfterStart(Key),
    /// The captured value would be overwritten, perhaps by the changed one.
    #[error("{0} has a captured value already")]
    CapturedTwice(Key),
    /// An old token.
    #[error(transparent)]
    Stale(#[from] Stale),
}

impl Ledger {
    /// One attempt.
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.attempts.get(key)
    }

    /// All attempts, in the order in which their rights were given.
    pub fn attempts(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.attempts.iter()
    }

    /// Attempts the group does not know the end of.
    pub fn open(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.attempts.iter().filter(|(_, entry)| !entry.reported)
    }

    /// The remembered tokens.
    pub const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// How many torn ends were cut off since the file was made.
    pub const fn torn(&self) -> u64 {
        self.torn
    }

    /// Takes one record in. After an error nothing has changed.
    pub fn apply(&mut self, record: &Record) -> Result<(), Disorder> {
        match record {
            Record::Origin { .. } => Ok(()),
            Record::TornTail { .. } => {
                self.torn += 1;
                Ok(())
            }
            Record::HighestToken { target, token } => {
                self.fence.remember(target, *token);
                Ok(())
            }
            Record::Begin { key, target, kind, action } => self.begin(*key, target, *kind, action),
            Record::Captured { key, text } => {
                let entry = self.going(key)?;
                if entry.captured.is_some() {
                    return Err(Disorder::CapturedTwice(*key));
                }
                entry.captured = Some(text.clone());
                Ok(())
            }
            Record::Start { key } => {
                let target = self.going(key)?.target.clone();
                self.admits(&target, key)?;
                self.going(key)?.started = true;
                Ok(())
            }
            Record::UnitStarted { key, unit } => {
                self.going(key)?.unit = Some(unit.clone());
                Ok(())
            }
            Record::End { key, ending } => {
                let entry = self.going(key)?;
                if entry.started && *ending == Ending::Dropped {
                    return Err(Disorder::DroppedAfterStart(*key));
                }
                entry.ending = Some(ending.clone());
                Ok(())
            }
            Record::Reported { key } => {
                let entry = self.attempts.get_mut(key).ok_or(Disorder::NotBegun(*key))?;
                if entry.ending.is_none() {
                    return Err(Disorder::NotEnded(*key));
                }
                entry.reported = true;
                Ok(())
            }
        }
    }

    /// Whether `key` may act on `target` by the tokens remembered so far.
    pub fn admits(&self, target: &Target, key: &Key) -> Result<(), Stale> {
        self.fence.admits(target, key, self.attempts.iter().map(|(known, entry)| (known, &entry.target)))
    }

    fn begin(
        &mut self,
        key: Key,
        target: &Target,
        kind: ActionKind,
        action: &Digest,
    ) -> Result<(), Disorder> {
        self.admits(target, &key)?;
        match self.attempts.get(&key) {
            Some(known) if known.target != *target || known.kind != kind || known.action != *action => {
                return Err(Disorder::BegunDifferently(key));
            }
            // Dropped before anything was done and wanted again: a fresh look at the same right.
            Some(known) if known.ending == Some(Ending::Dropped) => {}
            Some(known) if known.ending.is_some() => return Err(Disorder::Ended(key)),
            Some(_) => return Ok(()),
            None => {}
        }
        self.fence.remember(target, key.token);
        self.attempts.insert(
            key,
            Entry {
                target: target.clone(),
                kind,
                action: action.clone(),
                captured: None,
                started: false,
                unit: None,
                ending: None,
                reported: false,
            },
        );
        Ok(())
    }

    fn going(&mut self, key: &Key) -> Result<&mut Entry, Disorder> {
        match self.attempts.get_mut(key) {
            None => Err(Disorder::NotBegun(*key)),
            Some(entry) if entry.ending.is_some() => Err(Disorder::Ended(*key)),
            Some(entry) => Ok(entry),
        }
    }

    /// The shortest list of records that says the same of everything that still matters: open attempts, those under
    /// the highest token of their target (a lower token is refused anyway), and the tokens.
    pub fn essence(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (key, entry) in &self.attempts {
            if !entry.reported || self.fence.highest(&entry.target) == Some(key.token) {
                entry.records(*key, &mut records);
            }
        }
        // Behind the attempts, because one that is still open may have a lower token than the highest.
        let tokens = self.fence.tokens();
        records.extend(tokens.map(|(target, token)| Record::HighestToken { target: target.clone(), token }));
        records
    }
}

impl Entry {
    fn records(&self, key: Key, into: &mut Vec<Record>) {
        let (target, kind, action) = (self.target.clone(), self.kind, self.action.clone());
        into.push(Record::Begin { key, target, kind, action });
        into.extend(self.captured.clone().map(|text| Record::Captured { key, text }));
        into.extend(self.started.then_some(Record::Start { key }));
        into.extend(self.unit.clone().map(|unit| Record::UnitStarted { key, unit }));
        into.extend(self.ending.clone().map(|ending| Record::End { key, ending }));
        into.extend(self.reported.then_some(Record::Reported { key }));
    }
}
