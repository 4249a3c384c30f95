//! What must always hold, one property a file. Each oracle keeps books of its own from what the outside saw (and, for
//! the group's own properties, from what its members showed); none asks the code it checks.
//!
//! All are looked at after every tick and once more at the end. A broken one is written down once and the run goes on,
//! so that it is seen which others notice too.

mod backup_before;
mod door_shut;
mod drained_before_stop;
mod no_double_vote;
mod one_upgrader;
mod only_approved;
mod owed_settled;
mod proven_before_admit;
mod same_log_same_state;
mod schema_forward;
mod serial_start;
mod stale_refused;
mod stays_alive;
mod token_monotone;

pub use owed_settled::Dump;

use crate::{
    people::Outcome,
    watch::Observation,
    world::{Line, World},
};
use lockkeeper_core::{
    ids::{PlanHash, RolloutId},
    plan::Plan,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// What an oracle looks at.
pub struct Case<'a> {
    /// Virtual ms.
    pub now: u64,
    /// The outside as it is.
    pub world: &'a World,
    /// Its books since the last look.
    pub lines: &'a [Line],
    /// What processes showed since the last look.
    pub seen: &'a [Observation],
    /// The plan that was approved, and the rollouts known to be its.
    pub approved: Option<&'a (Arc<Plan>, BTreeMap<RolloutId, PlanHash>)>,
    /// How it ended, once everything is over.
    pub over: Option<&'a Outcome>,
}

/// The invariants' names, as in the project's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is described in the file of the same name")]
pub enum Name {
    OneUpgrader,
    TokenMonotone,
    SchemaForward,
    DoorShut,
    BackupBefore,
    DrainedBeforeStop,
    ProvenBeforeAdmit,
    SerialStart,
    OnlyApproved,
    OwedSettled,
    StaleRefused,
    SameLogSameState,
    NoDoubleVote,
    StaysAlive,
}

impl Name {
    /// Every invariant.
    pub const ALL: [Name; 14] = [
        Name::OneUpgrader,
        Name::TokenMonotone,
        Name::SchemaForward,
        Name::DoorShut,
        Name::BackupBefore,
        Name::DrainedBeforeStop,
        Name::ProvenBeforeAdmit,
        Name::SerialStart,
        Name::OnlyApproved,
        Name::OwedSettled,
        Name::StaleRefused,
        Name::SameLogSameState,
        Name::NoDoubleVote,
        Name::StaysAlive,
    ];

    /// The name in lists and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Name::OneUpgrader => "one_upgrader",
            Name::TokenMonotone => "token_monotone",
            Name::SchemaForward => "schema_forward",
            Name::DoorShut => "door_shut",
            Name::BackupBefore => "backup_before",
            Name::DrainedBeforeStop => "drained_before_stop",
            Name::ProvenBeforeAdmit => "proven_before_admit",
            Name::SerialStart => "serial_start",
            Name::OnlyApproved => "only_approved",
            Name::OwedSettled => "owed_settled",
            Name::StaleRefused => "stale_refused",
            Name::SameLogSameState => "same_log_same_state",
            Name::NoDoubleVote => "no_double_vote",
            Name::StaysAlive => "stays_alive",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A broken invariant.
#[derive(Debug)]
pub struct Violation {
    /// Which.
    pub name: Name,
    /// When it was noticed, virtual ms.
    pub at: u64,
    /// What was seen.
    pub broken: Box<dyn std::error::Error>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ms: {}", self.name, self.at, self.broken)
    }
}

/// One property.
trait Invariant {
    /// Which.
    fn name(&self) -> Name;

    /// Looks at what is new.
    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>>;
}

/// All of them.
pub struct Invariants {
    all: Vec<Box<dyn Invariant>>,
    broken: BTreeMap<Name, Violation>,
}

impl Default for Invariants {
    fn default() -> Self {
        let all: Vec<Box<dyn Invariant>> = vec![
            Box::<one_upgrader::OneUpgrader>::default(),
            Box::<token_monotone::TokenMonotone>::default(),
            Box::<schema_forward::SchemaForward>::default(),
            Box::<door_shut::DoorShut>::default(),
            Box::<backup_before::BackupBefore>::default(),
            Box::<drained_before_stop::DrainedBeforeStop>::default(),
            Box::<proven_before_admit::ProvenBeforeAdmit>::default(),
            Box::<serial_start::SerialStart>::default(),
            Box::<only_approved::OnlyApproved>::default(),
            Box::<owed_settled::OwedSettled>::default(),
            Box::<stale_refused::StaleRefused>::default(),
            Box::<same_log_same_state::SameLogSameState>::default(),
            Box::<no_double_vote::NoDoubleVote>::default(),
            Box::<stays_alive::StaysAlive>::default(),
        ];
        Self { all, broken: BTreeMap::new() }
    }
}

impl Invariants {
    /// Looks with all of them.
    pub fn look(&mut self, case: &Case<'_>) {
        for invariant in &mut self.all {
            let name = invariant.name();
            if let Err(broken) = invariant.look(case) {
                self.broken.entry(name).or_insert(Violation { name, at: case.now, broken });
            }
        }
    }

    /// What was broken, in the order of the list.
    pub fn broken(&self) -> impl Iterator<Item = &Violation> {
        self.broken.values()
    }
}

#[cfg(test)]
mod tests;
