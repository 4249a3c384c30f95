//! Numbers and edges of steps in the making.

use crate::{
    ids::{DatabaseName, MemberName, StepId},
    profile::model::Wait,
};
use std::collections::{BTreeMap, BTreeSet};

/// Something that passes through stages step by step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// A member.
    Member(MemberName),
    /// A database.
    Database(DatabaseName),
}

/// Numbers and edges.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: u32,
    /// Steps nothing waits for yet.
    sinks: BTreeSet<StepId>,
    /// What a lane that has no step of its own since the last barrier waits for.
    base: Vec<StepId>,
    /// The last steps of each lane since the last barrier.
    tails: BTreeMap<Lane, Vec<StepId>>,
    lane: Option<Lane>,
    /// What the next step waits for.
    before: Vec<StepId>,
}

impl Order {
    /// A new graph; numbers go on.
    pub(super) fn restart(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    /// Begins a stage.
    pub(super) fn begin(&mut self, wait: Wait) {
        if wait == Wait::All {
            self.base = self.sinks.iter().copied().collect();
            self.tails.clear();
        }
        self.lane = None;
        self.before = self.base.clone();
    }

    /// Begins a lane of the present stage.
    pub(super) fn enter(&mut self, lane: Lane) {
        self.keep();
        self.before = self.tails.get(&lane).unwrap_or(&self.base).clone();
        self.lane = Some(lane);
    }

    /// Ends a stage.
    pub(super) fn end(&mut self) {
        self.keep();
    }

    fn keep(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.tails.insert(lane, std::mem::take(&mut self.before));
        }
    }

    /// The next number, and what it waits for. Steps numbered without [`Order::advance`] between them stand side
    /// by side.
    pub(super) fn next(&mut self) -> (StepId, Vec<StepId>) {
        self.last += 1;
        for id in &self.before {
            self.sinks.remove(id);
        }
        self.sinks.insert(StepId(self.last));
        (StepId(self.last), self.before.clone())
    }

    /// What follows in this lane waits for these; nothing changes if there are none.
    pub(super) fn advance(&mut self, ids: Vec<StepId>) {
        if !ids.is_empty() {
            self.before = ids;
        }
    }
}
