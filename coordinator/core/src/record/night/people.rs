//! People of a simulated night: they do what `why` advises, a few times, and then give up.

use super::{Halt, Night};
use crate::{
    identity::{Actor, Role},
    plan::Way,
    record::FaultKind,
    rollout::{Command, Owner, Reply, Status, StepPhase, why},
};

/// How often people try what they are advised before they give up, and how long each try takes them, in milliseconds.
const TRIES: u32 = 6;
const TAKES: u64 = 60_000;

/// What the people of this turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Something, or nothing was to do.
    GoesOn,
    /// What they were advised does not help.
    GivesUp,
}

/// The people.
#[derive(Debug)]
pub(super) struct People {
    kind: FaultKind,
    tries: u32,
    /// When they will have done what they are at.
    until: Option<u64>,
}

/// The one who operates.
pub(super) fn operator() -> Actor {
    Actor { name: "operator".into(), role: Role::Operator, via: "simulation".into() }
}

impl People {
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, tries: 0, until: None }
    }
}

impl Night {
    /// What the operator reads at a stop.
    pub(super) fn stopped(&mut self) -> Option<Halt> {
        let facts = self.facts();
        let owed = self.state.rollout.as_ref().map_or(0, |r| r.owed_open().count());
        let first = why(&self.state, &facts).into_iter().find(|w| w.owner == Owner::Person)?;
        Some(Halt { code: first.code, remedy: first.remedy, owed })
    }

    /// People watch, decide and repair.
    pub(super) fn act(&mut self) -> Act {
        match self.agents.wanted() {
            Some(FaultKind::LeaderChange) => self.new_leader(),
            Some(FaultKind::Pause) => drop(self.decide(Command::Pause { reason: "simulated".into() })),
            Some(FaultKind::Abort) => drop(self.decide(Command::Abort { reason: "simulated".into() })),
            Some(_) | None => {}
        }
        let Some(rollout) = &self.state.rollout else { return Act::GoesOn };
        let stopped = matches!(rollout.status, Status::Halted { .. } | Status::Paused { .. });
        // A failed step behind an abort does not halt again, but it waits for a person all the same.
        let failed: Vec<_> = rollout
            .steps
            .iter()
            .filter(|(_, r)| matches!(r.phase, StepPhase::Failed { .. }))
            .map(|(id, _)| *id)
            .collect();
        let waits = stopped || (rollout.way() != Way::Forward && failed.iter().any(|id| rollout.way_of(*id) != Way::Forward));
        // Whoever is still at it, such as the executor that takes a grant away, is let end first.
        if !waits || !super::agents::open_attempts(&self.state).is_empty() && self.agents.next_due().is_some()
        {
            self.people.until = None;
            return Act::GoesOn;
        }
        let until = *self.people.until.get_or_insert(self.clock + TAKES);
        if self.clock < until {
            return Act::GoesOn;
        }
        self.people.until = None;
        self.people.tries += 1;
        if self.people.tries > TRIES {
            return Act::GivesUp;
        }
        let mut refused = false;
        let taken = self.take_over();
        for step in failed.iter().filter(|_| !taken) {
            refused |= matches!(self.decide(Command::Retry { step: *step }), Reply::Rejected(_));
        }
        let still = self
            .state
            .rollout
            .as_ref()
            .is_some_and(|r| matches!(r.status, Status::Halted { .. } | Status::Paused { .. }));
        if still {
            refused |= matches!(self.decide(Command::Resume), Reply::Rejected(_));
        }
        if refused && self.people.kind != FaultKind::Abort && self.people.tries >= TRIES {
            Act::GivesUp
        } else {
            Act::GoesOn
        }
    }

    /// Where the advice is a takeover, that is what people do. True if one was taken.
    fn take_over(&mut self) -> bool {
        let facts = self.facts();
        let advised = why(&self.state, &facts).into_iter().find_map(|w| {
            let rest = w.remedy.strip_prefix("lockkeeper takeover ")?.to_owned();
            rest.split_whitespace().next()?.parse().ok()
        });
        let Some(database) = advised else { return false };
        let command = Command::Takeover { database, to: None, reason: "simulated".into() };
        matches!(self.decide(command), Reply::Applied { .. })
    }

    fn decide(&mut self, command: Command) -> Reply {
        self.commit(Some(operator()), command)
    }
}
