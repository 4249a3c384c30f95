//! Steps: one action on one target by one agent, with its place in the order.

use super::action::Action;
use crate::{
    ids::{BalancerName, DatabaseName, MemberName, StepId},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its number; the plan's order for people.
    pub id: StepId,
    /// The profile's stage it came from; steps of one stage are shown as one line.
    pub stage: String,
    /// Before, in or after the outage.
    pub phase: Phase,
    /// What is done.
    pub action: Action,
    /// To what.
    pub target: Target,
    /// By whom.
    pub who: Who,
    /// Steps that must be done first.
    pub after: Vec<StepId>,
    /// Besides these every step of its own way (forward, or back) up to this one: a barrier between stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_all: Option<StepId>,
    /// Steps of one serial run: members go one after another, each through all its steps of the run.
    pub serial: Option<Serial>,
    /// The grant this step belongs to; its steps carry the grant's token and are tried again together.
    pub grant: Option<DatabaseName>,
    /// Its assignment is the point of no return.
    pub irreversible: bool,
    /// What this step changes and must be given back.
    pub owes: Option<OwedKey>,
    /// What this step gives back.
    pub settles: Option<OwedKey>,
    /// On the way back: taken while this is owed, whatever the step itself gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub while_owed: Option<OwedKey>,
    /// Limits on the executing agent's boot clock.
    pub deadline: Deadline,
    /// How long it should take.
    pub estimate: Millis,
    /// Product facts it rests on (`A-36`).
    pub facts: Vec<String>,
    /// How it is undone, for people.
    pub undo: String,
}

/// Which way a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// To the new version.
    Forward,
    /// Back, before the point of no return.
    Undo,
    /// Back after it, by the proven set.
    Restore,
}

/// Where a step stands relative to the outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Users notice nothing.
    Before,
    /// From the first drain to the first admission.
    Outage,
    /// Users are served by the members that are proven.
    After,
}

/// What a step acts on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A member's own host.
    Member(MemberName),
    /// A member's server in a balancer, shared by all agents.
    Balancer(BalancerName, MemberName),
    /// A database, shared by all agents.
    Database(DatabaseName),
}

/// A target that several agents could reach, so that one executor is committed for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedTarget {
    /// A balancer.
    Balancer(BalancerName),
    /// A database.
    Database(DatabaseName),
}

impl Step {
    /// What it waits for, for people: `5, 6`, `all up to 12`, or nothing.
    pub fn after_text(&self) -> String {
        let all = self.after_all.map(|id| format!("all up to {id}"));
        all.into_iter().chain(self.after.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
    }
}

impl Target {
    /// The shared thing behind this target, if it is one.
    pub fn shared(&self) -> Option<SharedTarget> {
        match self {
            Target::Member(_) => None,
            Target::Balancer(b, _) => Some(SharedTarget::Balancer(b.clone())),
            Target::Database(d) => Some(SharedTarget::Database(d.clone())),
        }
    }
}

/// Which agent does a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// This member's agent.
    Member(MemberName),
    /// The committed executor of the step's shared target.
    Executor,
    /// The committed executor, which must not be the holder of the database's grant.
    ExecutorNotHolder,
    /// The holder of the database's grant, elected when it is due.
    Holder(DatabaseName),
}

/// A serial run. Members pass through it one at a time: a member's last step of the run is done before another
/// member's first is assigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serial {
    /// Name of the run, equal for all its steps.
    pub run: String,
    /// The member that passes.
    pub member: MemberName,
    /// The elected upgrader of this database goes first.
    pub first: Option<DatabaseName>,
}

/// Names one setting that is changed and must be given back, such as `front/n1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwedKey(pub String);

impl fmt::Display for OwedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Past it people are told.
    pub soft: Millis,
    /// Past it the attempt failed.
    pub hard: Millis,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Member(m) => f.pad(m.as_str()),
            Target::Balancer(b, m) => f.pad(&format!("{b}/{m}")),
            Target::Database(d) => f.pad(d.as_str()),
        }
    }
}

impl fmt::Display for SharedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SharedTarget::Balancer(b) => f.pad(b.as_str()),
            SharedTarget::Database(d) => f.pad(d.as_str()),
        }
    }
}
