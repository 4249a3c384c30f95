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

/// What a step waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// These steps.
    pub(super) steps: Vec<StepId>,
    /// Every step of this way up to this one. A barrier in front of a thousand lanes is one number a lane, not a
    /// thousand, so that a plan grows with its steps and not with their square.
    pub(super) all: Option<StepId>,
}

/// Numbers and edges.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: u32,
    /// Steps nothing waits for yet.
    sinks: BTreeSet<StepId>,
    /// What a lane that has no step of its own since the last barrier waits for.
    base: Before,
    /// The last steps of each lane since the last barrier.
    tails: BTreeMap<Lane, Before>,
    lane: Option<Lane>,
    /// What the next step waits for.
    before: Before,
    /// `before` is `base`.
    from_base: bool,
    /// The last barrier, while nothing waits for it: everything up to it is a sink no more once something does.
    barrier: Option<u32>,
}

impl Order {
    /// A new graph; numbers go on.
    pub(super) fn restart(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    /// Begins a stage.
    pub(super) fn begin(&mut self, wait: Wait) {
        if wait == Wait::All {
            // One step that everything before leads to is an edge people can read.
            self.base = match self.sinks.len() {
                0 | 1 => Before { steps: self.sinks.iter().copied().collect(), all: None },
                _ => Before { steps: Vec::new(), all: Some(StepId(self.last)) },
            };
            self.barrier = Some(self.last);
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
    pub(super) fn next(&mut self) -> (StepId, Before) {
        self.last += 1;
        if !self.from_base {
            for id in &self.before.steps {
                self.sinks.remove(id);
            }
        } else if let Some(barrier) = self.barrier.take() {
            // With a thousand lanes behind it they are taken out once, not a thousand times.
            self.sinks = self.sinks.split_off(&StepId(barrier + 1));
        }
        self.sinks.insert(StepId(self.last));
        (StepId(self.last), self.before.clone())
    }

    /// What follows in this lane waits for these; nothing changes if there are none.
    pub(super) fn advance(&mut self, ids: Vec<StepId>) {
        if !ids.is_empty() {
            self.before = Before { steps: ids, all: None };
            self.from_base = false;
        }
    }
}
