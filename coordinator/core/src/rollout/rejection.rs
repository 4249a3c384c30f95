//! Committed commands that lost, each with a code and a page. A rejection is an answer, not an error.

use crate::{
    ids::{Attempt, DatabaseName, MemberName, RolloutId, StepId, Token},
    plan::{OwedKey, SharedTarget},
};
use serde::{Deserialize, Serialize};

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// The group was initialised already, or not yet.
    #[error("{0}")]
    NotInitialised(String),
    /// No rollout is active.
    #[error("no rollout is active")]
    NoRollout,
    /// Another rollout is active.
    #[error("rollout {0} is active; one rollout at a time")]
    RolloutActive(RolloutId),
    /// The plan rests on facts that are no longer true.
    #[error("the plan is stale: {0}")]
    StalePlan(String),
    /// Approvals are missing.
    #[error("the plan has {found} of {needed} approvals")]
    NotApproved {
        /// Valid approvals found.
        found: u32,
        /// Needed.
        needed: u32,
    },
    /// Approver and operator are one person.
    #[error("four eyes: {0} approved this plan and may not also start it")]
    FourEyes(String),
    /// An old token.
    #[error("stale token {found}, the present one is {present}")]
    StaleToken {
        /// What came.
        found: Token,
        /// What is valid.
        present: Token,
    },
    /// The attempt is not the one that is assigned.
    #[error("step {step} attempt {attempt} is not assigned to {member}")]
    NotAssigned {
        /// Step.
        step: StepId,
        /// Try.
        attempt: Attempt,
        /// Agent.
        member: MemberName,
    },
    /// The rollout's state does not allow it.
    #[error("not possible while the rollout is {status}")]
    WrongState {
        /// The state.
        status: String,
    },
    /// Past the point of no return.
    #[error("past the point of no return: only resume, retry or restore are left")]
    PastPointOfNoReturn,
    /// No such step.
    #[error("the plan has no step {0}")]
    UnknownStep(StepId),
    /// The step did not fail.
    #[error("step {0} has not failed")]
    NotFailed(StepId),
    /// A step that must come first is not done.
    #[error("step {step} waits for step {waits_for}")]
    NotReady {
        /// Step.
        step: StepId,
        /// What is not done.
        waits_for: StepId,
    },
    /// Another member is inside the serial run.
    #[error("step {step} waits: {inside} is inside the serial run")]
    SerialBusy {
        /// Step.
        step: StepId,
        /// Who is inside.
        inside: MemberName,
    },
    /// Not the agent that may do it.
    #[error("{member} may not do step {step}: {reason}")]
    WrongMember {
        /// Step.
        step: StepId,
        /// Agent.
        member: MemberName,
        /// Why.
        reason: String,
    },
    /// A grant is open already.
    #[error("a grant is open for this database, held by {0}")]
    GrantOpen(MemberName),
    /// No grant is open.
    #[error("no grant is open for this database")]
    NoGrant,
    /// The executor has an unsettled assignment.
    #[error("{target} has an unsettled assignment, so its executor cannot change")]
    ExecutorBusy {
        /// Which target.
        target: SharedTarget,
    },
    /// The database was touched and the tool does not resume.
    #[error("the database was judged touched and the tool cannot resume: it must be restored first")]
    RestoreNeeded,
    /// Something is owed.
    #[error("still owed: {0}")]
    StillOwed(OwedKey),
    /// Not owed.
    #[error("{0} is not owed")]
    NotOwed(OwedKey),
    /// A step is not settled.
    #[error("step {0} is not settled")]
    Unsettled(StepId),
    /// Another step failed as well.
    #[error("step {0} failed: use retry")]
    FailedStep(StepId),
    /// Unknown name.
    #[error("{0} is not a member of the group")]
    UnknownMember(MemberName),
    /// A name, number or address in use.
    #[error("already in use: {0}")]
    InUse(String),
    /// Token unknown, used, expired or for somebody else.
    #[error("join token refused: {0}")]
    BadJoinToken(String),
    /// The role does not carry the right.
    #[error("{actor} ({role}) may not do this")]
    Forbidden {
        /// Who.
        actor: String,
        /// As what.
        role: String,
    },
    /// Not while a rollout is active.
    #[error("the cluster file cannot change while rollout {0} is active")]
    DuringRollout(RolloutId),
    /// A bound of the state.
    #[error("limit reached: {0}")]
    Limit(String),
    /// The plan is not what it says.
    #[error("the plan is not valid: {0}")]
    BadPlan(String),
    /// There is nothing to take over, or not yet.
    #[error("the upgrade of {database} cannot be taken over: {reason}")]
    NotTakenOver {
        /// Which database.
        database: DatabaseName,
        /// Why.
        reason: String,
    },
    /// A member that is needed, or about to go.
    #[error("{member} cannot be changed now: {why}")]
    MemberBusy {
        /// Who.
        member: MemberName,
        /// What for.
        why: String,
    },
    /// Not every node knows it.
    #[error("this needs feature {needs}, {has} is known to everybody; update the agents that are behind")]
    FeatureMissing {
        /// Needed.
        needs: u32,
        /// There.
        has: u32,
    },
    /// The roll-over of the authority does not allow it.
    #[error("roll-over of the authority: {0}")]
    RollOver(String),
    /// A revoked name.
    #[error("revoked: {0}")]
    Revoked(String),
    /// Before the point of no return.
    #[error("the point of no return is not passed: abort gives everything back without a restore")]
    BeforePointOfNoReturn,
    /// Writes that the new version acknowledged would be given up, and nobody accepted that.
    #[error("{}", loss_text(*.rows))]
    LossNotAccepted {
        /// Rows written since the new version served; none if they cannot be counted.
        rows: Option<u64>,
    },
}

fn loss_text(rows: Option<u64>) -> String {
    match rows {
        Some(rows) => {
            format!("a restore gives up {rows} rows that were written since the new version served")
        }
        None => "a restore gives up what was written since the new version served, which cannot be counted"
            .to_owned(),
    }
}

impl Rejection {
    /// The page under `deploy/errors/`.
    pub const fn code(&self) -> &'static str {
        match self {
            Rejection::NotInitialised(_) => "LK3001",
            Rejection::NoRollout => "LK3002",
            Rejection::RolloutActive(_) => "LK3003",
            Rejection::StalePlan(_) => "LK3004",
            Rejection::NotApproved { .. } => "LK3005",
            Rejection::FourEyes(_) => "LK3006",
            Rejection::StaleToken { .. } => "LK3007",
            Rejection::NotAssigned { .. } => "LK3008",
            Rejection::WrongState { .. } => "LK3009",
            Rejection::PastPointOfNoReturn => "LK3010",
            Rejection::UnknownStep(_) => "LK3011",
            Rejection::NotFailed(_) => "LK3012",
            Rejection::NotReady { .. } => "LK3013",
            Rejection::SerialBusy { .. } => "LK3014",
            Rejection::WrongMember { .. } => "LK3015",
            Rejection::GrantOpen(_) => "LK3016",
            Rejection::NoGrant => "LK3017",
            Rejection::ExecutorBusy { .. } => "LK3018",
            Rejection::RestoreNeeded => "LK3019",
            Rejection::StillOwed(_) => "LK3020",
            Rejection::NotOwed(_) => "LK3021",
            Rejection::Unsettled(_) => "LK3022",
            Rejection::FailedStep(_) => "LK3023",
            Rejection::UnknownMember(_) => "LK3024",
            Rejection::InUse(_) => "LK3025",
            Rejection::BadJoinToken(_) => "LK3026",
            Rejection::Forbidden { .. } => "LK3027",
            Rejection::DuringRollout(_) => "LK3028",
            Rejection::Limit(_) => "LK3029",
            Rejection::BadPlan(_) => "LK3030",
            Rejection::NotTakenOver { .. } => "LK3031",
            Rejection::MemberBusy { .. } => "LK3061",
            Rejection::FeatureMissing { .. } => "LK3062",
            Rejection::RollOver(_) => "LK3063",
            Rejection::Revoked(_) => "LK3064",
            Rejection::BeforePointOfNoReturn => "LK3033",
            Rejection::LossNotAccepted { .. } => "LK3034",
        }
    }
}
