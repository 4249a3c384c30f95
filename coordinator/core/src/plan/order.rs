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
    /// `before` is `base`.
    from_base: bool,
    /// Something waits for `base` already, so none of it is a sink any more.
    base_taken: bool,
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
            self.base_taken = false;
            self.tails.clear();
        }
        self.lane = None;
        self.before = self.base.clone();
        self.from_base = true;
    }

    /// Begins a lane of the present stage.
    pub(super) fn enter(&mut self, lane: Lane) {
        self.keep();
        let tail = self.tails.get(&lane);
        self.from_base = tail.is_none();
        self.before = tail.unwrap_or(&self.base).clone();
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
        // Behind a barrier all lanes wait for the same steps; with a thousand lanes they are taken out once, not a
        // thousand times.
        if !self.from_base || !self.base_taken {
            for id in &self.before {
                self.sinks.remove(id);
            }
            self.base_taken |= self.from_base;
        }
        self.sinks.insert(StepId(self.last));
        (StepId(self.last), self.before.clone())
    }

    /// What follows in this lane waits for these; nothing changes if there are none.
    pub(super) fn advance(&mut self, ids: Vec<StepId>) {
        if !ids.is_empty() {
            self.before = ids;
            self.from_base = false;
        }
    }
}
