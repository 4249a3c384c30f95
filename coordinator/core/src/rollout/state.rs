//! The replicated state. Plain data, the same on every member that applied the same prefix of the log.

use super::{
    command::{BlockedReport, HaltCause, Reply, Verdict},
    limits,
    marks::Marks,
    trust::Trust,
};
use crate::{
    audit::AuditHead,
    cluster::ClusterSpec,
    guard::Opening,
    identity::Actor,
    ids::{
        Attempt, ClusterId, ClusterName, DatabaseName, Digest, Generation, Incarnation, LogIndex, MemberName, NodeId,
        PlanHash, RequestId, RolloutId, StepId, Token,
    },
    plan::{ActionKind, OwedKey, Plan, SharedTarget},
    time::LogTime,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Everything the group agrees on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Last log index that was applied.
    pub applied: LogIndex,
    /// Never falling wall-clock time of the log.
    pub time: LogTime,
    /// The group's own identity; none before `Init`.
    pub group: Option<Group>,
    /// The cluster file in force.
    pub config: Option<Arc<Config>>,
    /// Enrolled nodes.
    pub nodes: BTreeMap<MemberName, Node>,
    /// Open and used join tokens.
    pub join_tokens: BTreeMap<Digest, JoinToken>,
    /// Identities whose certificates are void.
    pub revoked: BTreeSet<(MemberName, Incarnation)>,
    /// Signatures by plan.
    pub approvals: BTreeMap<PlanHash, Vec<Approval>>,
    /// The active rollout.
    pub rollout: Option<Rollout>,
    /// Finished rollouts, newest last.
    pub history: VecDeque<Arc<Rollout>>,
    /// Answers to the latest requests, oldest first.
    pub requests: VecDeque<(RequestId, Reply)>,
    /// Head of the audit chain.
    pub audit: AuditHead,
    /// Who may speak.
    #[serde(default)]
    pub trust: Trust,
    /// The last time a person opened the boot guard, by host.
    #[serde(default)]
    pub guard_openings: BTreeMap<MemberName, Opening>,
    /// What tells this group from a copy of all its members.
    #[serde(default)]
    pub marks: Arc<Marks>,
}

/// The group's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Unique id.
    pub cluster: ClusterId,
    /// Name for people.
    pub name: ClusterName,
    /// First half of every token.
    pub generation: Generation,
}

/// The cluster file in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Counts the files that were applied, from 1.
    pub version: u64,
    /// BLAKE3 of the text.
    pub digest: Digest,
    /// The text.
    pub text: String,
    /// Text of a profile that is not built in.
    pub profile: String,
    /// The checked content.
    pub spec: ClusterSpec,
    /// When it was applied.
    pub at: LogTime,
}

/// An enrolled node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number in Raft.
    pub id: NodeId,
    /// Its identity's incarnation.
    pub incarnation: Incarnation,
    /// `host:port` of its agent.
    pub address: String,
    /// Digest of its sealed machine fingerprint.
    pub fingerprint: Digest,
    /// Its build, empty until it announced itself.
    pub agent_version: String,
    /// Highest command feature it knows.
    pub feature: u32,
    /// Actions it can and may do.
    pub actions: BTreeSet<ActionKind>,
    /// When it was enrolled.
    pub at: LogTime,
}

/// A join token, by the digest of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Whom it lets in.
    pub member: MemberName,
    /// Not valid after.
    pub expires: LogTime,
    /// When it was used.
    pub used: Option<LogTime>,
}

/// A signature under a plan's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub actor: Actor,
    /// Ticket or reason.
    pub reference: String,
    /// When.
    pub at: LogTime,
}

/// One execution of one plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Log index of the entry that started it.
    pub id: RolloutId,
    /// The group's generation at its start.
    pub generation: Generation,
    /// What is executed.
    pub plan: Arc<Plan>,
    /// Who started it.
    pub by: Actor,
    /// When.
    pub started: LogTime,
    /// `traceparent` of the call that started it, empty for none.
    pub trace: String,
    /// How it stands.
    pub status: Status,
    /// Every step of every way.
    pub steps: BTreeMap<StepId, StepRecord>,
    /// Executors of shared targets.
    #[serde(with = "super::pairs")]
    pub executors: BTreeMap<SharedTarget, MemberName>,
    /// Upgrade grants by database: the latest of each.
    pub grants: BTreeMap<DatabaseName, Grant>,
    /// Who makes the next attempt at a database, where a person's take-over said so.
    #[serde(default)]
    pub successors: BTreeMap<DatabaseName, MemberName>,
    /// Settings that were changed.
    pub owed: BTreeMap<OwedKey, Owed>,
    /// Values that steps left for later ones.
    pub outputs: BTreeMap<String, String>,
    /// Set once it goes back; it never goes forward again.
    pub abort: Option<Abort>,
    /// Set once the whole set is restored; it never goes forward again either.
    #[serde(default)]
    pub restore: Option<Restore>,
    /// When the point of no return was passed.
    pub no_return: Option<LogTime>,
    /// Attempts that failed.
    pub failures: u32,
    /// What happened, oldest first, bounded.
    pub events: Vec<Event>,
}

/// How a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Steps are assigned as they become ready.
    Running,
    /// A person stopped it at a step boundary.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Since.
        since: LogTime,
    },
    /// Something is wrong; drains and doors stay as they are.
    Halted {
        /// What.
        cause: HaltCause,
        /// Since.
        since: LogTime,
    },
    /// Going back; see [`Rollout::abort`].
    Aborting,
    /// Going back after the point of no return; see [`Rollout::restore`].
    Restoring,
    /// Everybody is proven at the target version.
    Completed {
        /// When.
        at: LogTime,
    },
    /// Everything was given back.
    Aborted {
        /// When.
        at: LogTime,
    },
    /// The old version serves again, on the restored set.
    Restored {
        /// When.
        at: LogTime,
    },
}

impl Status {
    /// The word used in views and rejections.
    pub const fn word(&self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Paused { .. } => "paused",
            Status::Halted { .. } => "halted",
            Status::Aborting => "aborting",
            Status::Restoring => "restoring",
            Status::Completed { .. } => "completed",
            Status::Aborted { .. } => "aborted",
            Status::Restored { .. } => "restored",
        }
    }

    /// Whether the rollout is over.
    pub const fn is_final(&self) -> bool {
        match self {
            Status::Completed { .. } | Status::Aborted { .. } | Status::Restored { .. } => true,
            Status::Running
            | Status::Paused { .. }
            | Status::Halted { .. }
            | Status::Aborting
            | Status::Restoring => false,
        }
    }
}

/// A committed decision to go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since.
    pub since: LogTime,
}

/// A committed decision to restore the whole set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since.
    pub since: LogTime,
    /// Rows written by the new version that may be lost, as a person accepted them; `u64::MAX`: however many, because
    /// they cannot be counted.
    pub accept_loss: Option<u64>,
}

/// One step's progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Tries so far.
    pub attempt: Attempt,
    /// Where it stands.
    pub phase: StepPhase,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepPhase {
    /// Not handed out.
    Pending,
    /// An agent has it.
    Assigned {
        /// Who.
        member: MemberName,
        /// Fencing token.
        token: Token,
        /// When.
        at: LogTime,
        /// What keeps it from going on.
        blocked: Option<BlockedReport>,
    },
    /// Proven.
    Done {
        /// Who did it.
        member: MemberName,
        /// Under which token.
        token: Token,
        /// When it was assigned.
        began: LogTime,
        /// When its outcome was committed.
        ended: LogTime,
        /// What proves it.
        evidence: String,
        /// The real action's begin and end by the acting host's wall clock.
        action_ms: Option<(u64, u64)>,
    },
    /// Its last attempt failed.
    Failed {
        /// Who tried.
        member: MemberName,
        /// Under which token.
        token: Token,
        /// When.
        at: LogTime,
        /// Code.
        code: String,
        /// Text.
        text: String,
        /// What the database was judged to be.
        verdict: Option<Verdict>,
    },
    /// Nothing to give back.
    NotNeeded,
}

impl StepPhase {
    /// Whether later steps may rely on it.
    pub const fn is_settled(&self) -> bool {
        match self {
            StepPhase::Done { .. } | StepPhase::NotNeeded => true,
            StepPhase::Pending | StepPhase::Assigned { .. } | StepPhase::Failed { .. } => false,
        }
    }

    /// The word used in views.
    pub const fn word(&self) -> &'static str {
        match self {
            StepPhase::Pending => "pending",
            StepPhase::Assigned { .. } => "assigned",
            StepPhase::Done { .. } => "done",
            StepPhase::Failed { .. } => "failed",
            StepPhase::NotNeeded => "not-needed",
        }
    }
}

/// The right of one member to make one attempt at upgrading one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The holder.
    pub member: MemberName,
    /// Its token; carried by every step of the grant.
    pub token: Token,
    /// Since when.
    pub since: LogTime,
    /// Where it stands.
    pub state: GrantState,
    /// Whether its holder was lost while it was open.
    #[serde(default)]
    pub lost: bool,
    /// What the database was judged to be when it was closed, unless the upgrade was done.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// How many grants before it were given by the plan's policy, without a person.
    #[serde(default)]
    pub regrants: u32,
}

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantState {
    /// The holder may try.
    Open,
    /// It is being taken away; the holder's attempt is over or lost.
    Closing,
    /// The holder is proven out.
    Closed,
}

/// One setting that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// The value before the first change.
    pub captured: String,
    /// The step that changed it.
    pub step: StepId,
    /// Since when.
    pub since: LogTime,
    /// Where it stands.
    pub state: OwedState,
}

/// Where an owed setting stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwedState {
    /// About to be changed, or changed.
    Intent,
    /// Changed for certain.
    Owed,
    /// Given back and read back.
    Restored {
        /// When.
        at: LogTime,
    },
    /// A named person answers for it.
    Accepted {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

impl OwedState {
    /// Whether it still must be given back.
    pub const fn is_open(&self) -> bool {
        match self {
            OwedState::Intent | OwedState::Owed => true,
            OwedState::Restored { .. } | OwedState::Accepted { .. } => false,
        }
    }
}

/// One line of a rollout's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Log index.
    pub index: LogIndex,
    /// Log time.
    pub time: LogTime,
    /// Which step, if one.
    pub step: Option<StepId>,
    /// What happened, for people.
    pub text: String,
}

impl Rollout {
    /// A step's record.
    pub fn record(&self, id: StepId) -> Option<&StepRecord> {
        self.steps.get(&id)
    }

    /// Whether a step is settled.
    pub fn is_settled(&self, id: StepId) -> bool {
        self.record(id).is_some_and(|r| r.phase.is_settled())
    }

    /// What is still owed, oldest key first.
    pub fn owed_open(&self) -> impl Iterator<Item = (&OwedKey, &Owed)> {
        self.owed.iter().filter(|(_, o)| o.state.is_open())
    }

    /// Adds a line to the history, dropping the oldest past the bound.
    pub(super) fn note(&mut self, index: LogIndex, time: LogTime, step: Option<StepId>, text: impl Into<String>) {
        if self.events.len() >= limits::EVENTS_KEPT {
            self.events.remove(0);
        }
        self.events.push(Event { index, time, step, text: text.into() });
    }
}

impl State {
    /// The digest of the whole state, for comparing members.
    pub fn digest(&self) -> Digest {
        // Serialising plain data with text keys cannot fail; an empty text would only make digests differ.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}
