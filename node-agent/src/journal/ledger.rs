//! What follows from the records: every attempt as far as it got, and the highest token of every target.
//!
//! The same fold runs when a record is written and when it is read, so a record that may not be written cannot be
//! read either.

use super::record::{Ending, Key, Record};
use crate::{
    fence::{Fence, Stale},
    host::Unit,
    plant::{self, Plant},
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
        self.judge(record)?;
        match record {
            Record::Origin { .. } => {}
            Record::TornTail { .. } => self.torn += 1,
            Record::HighestToken { target, token } => self.fence.remember(target, *token),
            Record::Begin { key, target, kind, action } => self.begin(*key, target, *kind, action),
            Record::Captured { key, text } => self.change(key, |entry| entry.captured = Some(text.clone())),
            Record::Start { key } => self.change(key, |entry| entry.started = true),
            Record::UnitStarted { key, unit } => self.change(key, |entry| entry.unit = Some(unit.clone())),
            Record::End { key, ending } => self.change(key, |entry| entry.ending = Some(ending.clone())),
            Record::Reported { key } => self.change(key, |entry| entry.reported = true),
        }
        Ok(())
    }

    /// Whether `record` may follow what is remembered.
    pub fn judge(&self, record: &Record) -> Result<(), Disorder> {
        match record {
            Record::Origin { .. } | Record::TornTail { .. } | Record::HighestToken { .. } => Ok(()),
            Record::Begin { key, target, kind, action } => {
                self.admits(target, key)?;
                match self.attempts.get(key) {
                    Some(known)
                        if known.target != *target || known.kind != *kind || known.action != *action =>
                    {
                        Err(Disorder::BegunDifferently(*key))
                    }
                    Some(Entry { ending: None, .. }) | None => Ok(()),
                    Some(Entry { ending: Some(_), .. }) => Err(Disorder::Ended(*key)),
                }
            }
            Record::Captured { key, .. } => match self.going(key)?.captured {
                Some(_) => Err(Disorder::CapturedTwice(*key)),
                None => Ok(()),
            },
            Record::Start { key } => Ok(self.admits(&self.going(key)?.target, key)?),
            Record::UnitStarted { key, .. } => self.going(key).map(|_| ()),
            Record::End { key, ending } => match self.going(key)? {
                entry if entry.started && *ending == Ending::Dropped => {
                    Err(Disorder::DroppedAfterStart(*key))
                }
                _ => Ok(()),
            },
            Record::Reported { key } => match self.attempts.get(key) {
                None => Err(Disorder::NotBegun(*key)),
                Some(entry) if entry.ending.is_none() => Err(Disorder::NotEnded(*key)),
                Some(_) => Ok(()),
            },
        }
    }

    /// Whether `key` may act on `target` by the tokens remembered so far.
    pub fn admits(&self, target: &Target, key: &Key) -> Result<(), Stale> {
        if plant::is(Plant::SkipFence) {
            return Ok(());
        }
        // Closing a grant only ever shuts further, so it may be started again under the grant's own token: otherwise a
        // close that failed once could never be made good.
        let counts = |entry: &Entry| {
            entry.started && entry.target == *target && entry.kind != ActionKind::CloseGrant
        };
        let started = self.attempts.iter().filter(|(_, entry)| counts(entry));
        self.fence.admits(target, key, started.map(|(started, _)| started))
    }

    fn begin(&mut self, key: Key, target: &Target, kind: ActionKind, action: &Digest) {
        if self.attempts.get(&key).is_some_and(|known| known.ending.is_none()) {
            // Begun before a crash; it goes on as far as it got.
            return;
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
    }

    fn going(&self, key: &Key) -> Result<&Entry, Disorder> {
        match self.attempts.get(key) {
            None => Err(Disorder::NotBegun(*key)),
            Some(entry) if entry.ending.is_some() => Err(Disorder::Ended(*key)),
            Some(entry) => Ok(entry),
        }
    }

    fn change(&mut self, key: &Key, how: impl FnOnce(&mut Entry)) {
        // `judge` has found it; a missing one would leave the ledger as it is.
        if let Some(entry) = self.attempts.get_mut(key) {
            how(entry);
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
