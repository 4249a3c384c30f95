//! The `Host` port: everything an agent may do to the outside, as requests and typed answers.
//!
//! The shipped implementation is in `lockkeeper-adapters`; simulation has its own, which counts double effects.
//! Nothing here knows about Raft, and no implementation decides anything: it looks, acts and tells what it saw.

use async_trait::async_trait;
pub use lockkeeper_core::observe::{DatabaseFacts, DatabaseQuery, FactsQuery, HostFacts, Proof};
pub use lockkeeper_core::profile::VersionQuery;
use lockkeeper_core::{
    ids::{Attempt, ClusterId, DatabaseName, MemberName, RolloutId, StepId, Token},
    plan::{Action, OwedKey, Targets},
    rollout::Marks,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// One attempt at one step, with all a host needs to do it.
#[derive(Debug, Clone)]
pub struct Work {
    /// The group.
    pub cluster: ClusterId,
    /// The agent's own member name.
    pub me: MemberName,
    /// Which rollout.
    pub rollout: RolloutId,
    /// Which step.
    pub step: StepId,
    /// Which try.
    pub attempt: Attempt,
    /// Fencing token of this attempt; steps of a grant carry the grant's.
    pub token: Token,
    /// What to do.
    pub action: Action,
    /// Connections the action refers to by name.
    pub targets: Arc<Targets>,
    /// Outputs of earlier steps that this one may read, by name (see [`Done::outputs`]), and `schema.NAME.query` for
    /// each database the plan upgrades.
    pub inputs: BTreeMap<String, String>,
    /// For a step that gives something back: the value captured before it was changed.
    pub captured: Option<String>,
    /// Databases whose grant is open, with the holder; doors of all others are closed or not yet shut.
    pub grants: BTreeMap<DatabaseName, (MemberName, Token)>,
    /// What is owed for this step's target, if this step changes something.
    pub owes: Option<OwedKey>,
    /// What may stand in the ledgers as this group's last effect.
    pub marks: Arc<Marks>,
}

/// What a look before the effect tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precheck {
    /// The wished state is there already, with the proof.
    AlreadyDone(Done),
    /// An earlier start of this very attempt still runs in its own unit; adopt it.
    Running(Unit),
    /// It can start. `captured` is the present value of what will be changed, at most 4 KiB, never a secret.
    Ready {
        /// Text that the giving-back step reads; empty when nothing is owed.
        captured: String,
    },
    /// The world is not as the plan says.
    Mismatch {
        /// What the plan says.
        expected: String,
        /// What was seen.
        found: String,
    },
    /// It cannot be told; the attempt fails and a person decides.
    Unknown(String),
    /// Somebody else must act first, such as a stranger that holds a session; looked at again until the deadline.
    Blocked(Blocked),
    /// It may not be done, with the code of the refusal.
    Refused(Failure),
}

/// A unit that outlives the call that started it: its own session, process group and spool directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Name, unique per rollout, step, attempt.
    pub name: String,
    /// Process id of the unit's leader (the step-runner).
    pub pid: u32,
    /// Start time of that process in clock ticks since boot, so that a reused pid is not taken for it.
    pub started: u64,
    /// Boot id under which it was started.
    pub boot: String,
}

/// Not yet, and why; shown by `status --why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// A code with a page in `deploy/errors/`.
    pub code: String,
    /// A sentence for the operator.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
}

/// A step that was done, with its proof.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was observed that proves it, for people; kept with the step, at most 4 KiB, never a secret.
    pub evidence: String,
    /// Small values later steps may read, such as a verifier, a path or a digest; never a secret. Keys are
    /// `database.NAME.path`, `grant.NAME.verifier`, `grant.NAME.login`, `backup.NAME.set`, `backup.NAME.digest`,
    /// `backup.NAME.mark`, and from closing a grant `judge.NAME`, the schema's version the attempt left.
    pub outputs: BTreeMap<String, String>,
    /// For a giving-back step: the value read back, equal to the captured one.
    pub read_back: Option<String>,
    /// When the real action began and ended, by the wall clock of the host that acted (unix ms). For reports.
    pub action_ms: Option<(u64, u64)>,
}

/// What a look after the effect tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Postcheck {
    /// Positively proven.
    Proven(Done),
    /// Not yet; looked at again until the hard deadline.
    NotYet(String),
    /// Proven wrong.
    Refuted(Failure),
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Failure {
    /// A code with a page in `deploy/errors/`.
    pub code: String,
    /// What was attempted, what was expected, what was found; never a secret.
    pub text: String,
}

/// The means of acting on the outside. Every call may be repeated; every call has a deadline set by the caller.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Looks, changes nothing. Refuses with [`TWIN_GROUP`](lockkeeper_core::rollout::marks::TWIN_GROUP) as [`Host::perform`].
    async fn precheck(&self, work: &Work) -> Precheck;

    /// Acts. Called only after [`Precheck::Ready`] was journalled and the assignment was confirmed as current.
    /// Long-running work is started as a [`Unit`], told through `started`, and waited for. Dropping the future (the
    /// agent ends or the deadline passed) must neither double nor half-undo the effect. A ledger that shows a mark which
    /// [`Work::marks`] lacks is a failure with the code [`TWIN_GROUP`](lockkeeper_core::rollout::marks::TWIN_GROUP), and then
    /// nothing was done: the work may have been behind, so it is called once more with what the group says afterwards.
    async fn perform(&self, work: &Work, started: &(dyn Fn(Unit) + Send + Sync)) -> Result<(), Failure>;

    /// Waits for a unit an earlier life of this agent started.
    async fn adopt(&self, work: &Work, unit: &Unit) -> Result<(), Failure>;

    /// Ends a unit's whole process group and proves it gone. Used at the hard deadline and on abort.
    async fn kill(&self, work: &Work, unit: &Unit) -> Result<(), Failure>;

    /// Looks whether the effect is there; only a positive proof counts.
    async fn postcheck(&self, work: &Work) -> Postcheck;

    /// What can be seen of this host and, for `query`, of the shared targets.
    async fn facts(&self, query: &FactsQuery) -> HostFacts;
}
