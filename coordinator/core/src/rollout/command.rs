//! Commands: everything that can be put into the log, and what applying answers.

use super::{rejection::Rejection, trust::TrustCommand, word::Word};
use crate::{
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
use std::collections::{BTreeMap, BTreeSet};

/// A command with who asked, when, and under which trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Makes a repetition harmless.
    pub id: RequestId,
    /// The proposing leader's wall clock.
    pub time: LogTime,
    /// The person behind it; none for what agents and the leader do by themselves.
    pub actor: Option<Actor>,
    /// W3C `traceparent` of the caller, empty for none.
    pub trace: String,
    /// What shall change.
    pub command: Command,
}

/// Everything that can change the replicated state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The group's first entry.
    Init {
        /// The group.
        cluster: ClusterId,
        /// Its name.
        name: ClusterName,
        /// Its generation.
        generation: Generation,
    },
    /// A node's identity is part of the group from now on.
    Enrol(Enrol),
    /// A join token exists.
    TokenCreate {
        /// Digest of its secret.
        hash: Digest,
        /// Whom it lets in.
        member: MemberName,
        /// Not valid after.
        expires: LogTime,
    },
    /// An agent tells what it can do.
    Announce {
        /// Which agent.
        member: MemberName,
        /// Its build.
        agent_version: String,
        /// Command features it knows.
        feature: u32,
        /// Actions its build and local policy allow.
        actions: BTreeSet<ActionKind>,
    },
    /// A new cluster file (and profile, if it is not built in).
    SetCluster {
        /// The file's text, for people and for the next plan.
        text: String,
        /// Text of a profile that is not built in; empty otherwise.
        profile: String,
        /// The checked content.
        spec: Box<ClusterSpec>,
    },
    /// A person signs a plan.
    Approve {
        /// Which plan.
        plan: PlanHash,
        /// Ticket or reason.
        reference: String,
    },
    /// A person starts an approved plan.
    Apply {
        /// The whole plan.
        plan: Box<Plan>,
    },
    /// The leader makes one agent the executor of a shared target.
    SetExecutor {
        /// Which rollout.
        rollout: RolloutId,
        /// Which target.
        target: SharedTarget,
        /// Which agent.
        member: MemberName,
    },
    /// The leader elects the member that upgrades a database: one grant, one attempt.
    Elect {
        /// Which rollout.
        rollout: RolloutId,
        /// Which database.
        database: DatabaseName,
        /// Which member.
        member: MemberName,
    },
    /// The leader hands a step to an agent.
    Assign {
        /// Which rollout.
        rollout: RolloutId,
        /// Which step.
        step: StepId,
        /// Which agent.
        member: MemberName,
    },
    /// An agent is about to change a setting and has captured its value.
    OwedIntent {
        /// The attempt.
        attempt: AttemptRef,
        /// The present value.
        captured: String,
    },
    /// An agent cannot go on until somebody else acts; `None` when it can again.
    ReportBlocked {
        /// The attempt.
        attempt: AttemptRef,
        /// Why.
        blocked: Option<BlockedReport>,
    },
    /// An agent's last word on an attempt.
    Outcome {
        /// The attempt.
        attempt: AttemptRef,
        /// How it ended.
        result: OutcomeResult,
    },
    /// A person pauses the rollout at the next step boundary.
    Pause {
        /// Why.
        reason: String,
    },
    /// A person lets it go on.
    Resume,
    /// A person turns back; only before the point of no return.
    Abort {
        /// Why.
        reason: String,
    },
    /// A person lets a failed step be tried again.
    Retry {
        /// Which step.
        step: StepId,
    },
    /// A person answers for something that stays owed.
    AcceptOwed {
        /// What.
        key: OwedKey,
        /// Why.
        reason: String,
    },
    /// The leader stops: something is wrong that no attempt reported.
    Halt {
        /// Which rollout.
        rollout: RolloutId,
        /// What is wrong.
        cause: HaltCause,
    },
    /// The leader closes a rollout whose steps are all settled.
    Finish {
        /// Which rollout.
        rollout: RolloutId,
    },
    /// A person decides what follows a lost or failed upgrade whose holder is proven out.
    Takeover {
        /// Which database.
        database: DatabaseName,
        /// Who makes the next attempt; none leaves it to the election.
        to: Option<MemberName>,
        /// Why.
        reason: String,
    },
    /// The leader lets another grant follow a lost one, as the approved plan says.
    Regrant {
        /// Which rollout.
        rollout: RolloutId,
        /// Which database.
        database: DatabaseName,
    },
    /// Who may speak: see [`TrustCommand`].
    Trust(TrustCommand),
    /// A person founds a new generation on the longest surviving log. Never proposed: applied once, offline, by
    /// `lockkeeper recover`.
    Recover {
        /// Above all that were ever seen.
        generation: Generation,
        /// Nodes that are powered off for good.
        lost: BTreeSet<MemberName>,
        /// Why.
        reason: String,
    },
    /// A person restores the whole set; only after the point of no return.
    Restore {
        /// Why.
        reason: String,
        /// Rows written by the new version that may be lost; `u64::MAX`: however many.
        accept_loss: Option<u64>,
    },
    /// An agent tells that a person opened its host's boot guard, or what that let through since.
    GuardOpened {
        /// Whose host.
        member: MemberName,
        /// Who opened it, why, until when, and how often it was used.
        opening: Opening,
    },
}

/// See [`Command::Enrol`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    /// Its name in the cluster file.
    pub member: MemberName,
    /// The voter number its certificate request asked nothing about; assigned by the proposer, checked here.
    pub node_id: NodeId,
    /// The identity's incarnation.
    pub incarnation: Incarnation,
    /// `host:port` of its agent.
    pub address: String,
    /// Digest of the sealed machine fingerprint.
    pub fingerprint: Digest,
    /// The token that let it in; none for the first node.
    pub token: Option<Digest>,
}

/// Names one attempt with its token. An agent must repeat all of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptRef {
    /// Which rollout.
    pub rollout: RolloutId,
    /// Which step.
    pub step: StepId,
    /// Which try.
    pub attempt: Attempt,
    /// Its fencing token.
    pub token: Token,
    /// Who does it.
    pub member: MemberName,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeResult {
    /// Positively proven.
    Done {
        /// What proves it.
        evidence: String,
        /// Values for later steps.
        outputs: BTreeMap<String, String>,
        /// For a giving-back step: the value read back.
        read_back: Option<String>,
        /// When the real action began and ended, by the acting host's wall clock (unix ms).
        action_ms: Option<(u64, u64)>,
    },
    /// Failed.
    Failed {
        /// A code with a page.
        code: String,
        /// What, expected, found.
        text: String,
        /// For a database upgrade: what the database was judged to be.
        verdict: Option<Verdict>,
    },
    /// Not started, because the rollout stopped wanting it.
    Dropped,
}

/// What the judge probe says of a database whose upgrade did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As before the grant.
    Untouched,
    /// As it should be after.
    Finished,
    /// Neither, or it cannot be told.
    Touched,
}

/// See [`Command::ReportBlocked`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedReport {
    /// A code with a page.
    pub code: String,
    /// A sentence.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

/// Why a rollout halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HaltCause {
    /// An attempt failed.
    StepFailed {
        /// Which step.
        step: StepId,
        /// The failure's code.
        code: String,
    },
    /// The agent that has an assignment was not heard of for `lost_after`.
    MemberLost {
        /// Who.
        member: MemberName,
        /// With which step.
        step: StepId,
    },
    /// The holder of an open grant was not heard of for `lost_after`.
    UpgraderLost {
        /// Who.
        member: MemberName,
        /// Of which database.
        database: DatabaseName,
    },
    /// An assignment is past its hard deadline and its agent did not say so.
    NoAnswer {
        /// Who.
        member: MemberName,
        /// Which step.
        step: StepId,
    },
    /// A setting was given back, but reads differently.
    OwedDiffers {
        /// Which.
        key: OwedKey,
    },
    /// The group was recovered; a person looks before it goes on.
    Recovered {
        /// As this generation.
        generation: Generation,
    },
    /// The ledger of a database refused a step: another group under the same name has acted there.
    TwinGroup {
        /// Which step.
        step: StepId,
    },
}

impl HaltCause {
    /// The cause's word and page.
    pub const fn code(&self) -> &'static str {
        let word = match self {
            HaltCause::StepFailed { .. } => Word::StepFailed,
            HaltCause::MemberLost { .. } => Word::MemberLost,
            HaltCause::UpgraderLost { .. } => Word::UpgraderLost,
            HaltCause::NoAnswer { .. } => Word::NoAnswer,
            HaltCause::OwedDiffers { .. } => Word::OwedDiffers,
            HaltCause::Recovered { .. } => Word::Recovered,
            HaltCause::TwinGroup { .. } => Word::TwinGroup,
        };
        word.as_str()
    }
}

/// What applying a command answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It is part of the state.
    Applied {
        /// The log index it took effect at.
        index: LogIndex,
        /// The rollout it concerned, if any.
        rollout: Option<RolloutId>,
    },
    /// It lost; nothing changed.
    Rejected(Rejection),
}

/// Kinds of command, for tables, metrics and audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is described at the variant of Command with the same name")]
pub enum CommandKind {
    Init,
    Enrol,
    TokenCreate,
    Announce,
    SetCluster,
    Approve,
    Apply,
    SetExecutor,
    Elect,
    Assign,
    OwedIntent,
    ReportBlocked,
    Outcome,
    Pause,
    Resume,
    Abort,
    Retry,
    AcceptOwed,
    Halt,
    Finish,
    Takeover,
    Regrant,
    OperatorIssue,
    OperatorRevoke,
    MemberRemove,
    MemberGone,
    AddVoter,
    Certificate,
    CaRotate,
    CaAdvance,
    CaFinish,
    RaiseFloor,
    Recover,
    Restore,
    GuardOpened,
}

impl CommandKind {
    /// Every kind.
    pub const ALL: [CommandKind; 35] = [
        CommandKind::Init,
        CommandKind::Enrol,
        CommandKind::TokenCreate,
        CommandKind::Announce,
        CommandKind::SetCluster,
        CommandKind::Approve,
        CommandKind::Apply,
        CommandKind::SetExecutor,
        CommandKind::Elect,
        CommandKind::Assign,
        CommandKind::OwedIntent,
        CommandKind::ReportBlocked,
        CommandKind::Outcome,
        CommandKind::Pause,
        CommandKind::Resume,
        CommandKind::Abort,
        CommandKind::Retry,
        CommandKind::AcceptOwed,
        CommandKind::Halt,
        CommandKind::Finish,
        CommandKind::Takeover,
        CommandKind::Regrant,
        CommandKind::OperatorIssue,
        CommandKind::OperatorRevoke,
        CommandKind::MemberRemove,
        CommandKind::MemberGone,
        CommandKind::AddVoter,
        CommandKind::Certificate,
        CommandKind::CaRotate,
        CommandKind::CaAdvance,
        CommandKind::CaFinish,
        CommandKind::RaiseFloor,
        CommandKind::Recover,
        CommandKind::Restore,
        CommandKind::GuardOpened,
    ];
}

impl Command {
    /// The feature an agent must know to apply it; see [`super::trust::FEATURE`].
    pub const fn feature(&self) -> u32 {
        if let Command::Trust(command) = self { command.feature() } else { super::trust::FEATURE_BASE }
    }

    /// The command's kind.
    pub const fn kind(&self) -> CommandKind {
        match self {
            Command::Init { .. } => CommandKind::Init,
            Command::Enrol(_) => CommandKind::Enrol,
            Command::TokenCreate { .. } => CommandKind::TokenCreate,
            Command::Announce { .. } => CommandKind::Announce,
            Command::SetCluster { .. } => CommandKind::SetCluster,
            Command::Approve { .. } => CommandKind::Approve,
            Command::Apply { .. } => CommandKind::Apply,
            Command::SetExecutor { .. } => CommandKind::SetExecutor,
            Command::Elect { .. } => CommandKind::Elect,
            Command::Assign { .. } => CommandKind::Assign,
            Command::OwedIntent { .. } => CommandKind::OwedIntent,
            Command::ReportBlocked { .. } => CommandKind::ReportBlocked,
            Command::Outcome { .. } => CommandKind::Outcome,
            Command::Pause { .. } => CommandKind::Pause,
            Command::Resume => CommandKind::Resume,
            Command::Abort { .. } => CommandKind::Abort,
            Command::Retry { .. } => CommandKind::Retry,
            Command::AcceptOwed { .. } => CommandKind::AcceptOwed,
            Command::Halt { .. } => CommandKind::Halt,
            Command::Finish { .. } => CommandKind::Finish,
            Command::Takeover { .. } => CommandKind::Takeover,
            Command::Regrant { .. } => CommandKind::Regrant,
            Command::Trust(command) => command.kind(),
            Command::Recover { .. } => CommandKind::Recover,
            Command::Restore { .. } => CommandKind::Restore,
            Command::GuardOpened { .. } => CommandKind::GuardOpened,
        }
    }
}
