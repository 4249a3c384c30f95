//! Frozen structs of commands, format 1. Numbers and texts only; never edited after release.

use super::{malformed, trust::TrustV1};
use crate::{
    guard::Opening,
    identity::Actor,
    ids::{
        Attempt, ClusterId, ClusterName, DatabaseName, Digest, Generation, Incarnation, LogIndex, MemberName, NodeId,
        PlanHash, RequestId, RolloutId, StepId, Token,
    },
    plan::{ActionKind, OwedKey, SharedTarget},
    rollout::{
        Command, Envelope, OutcomeResult,
        command::{AttemptRef, BlockedReport, Enrol, HaltCause, Verdict},
    },
    stored::StoredError,
    time::LogTime,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
pub(super) struct EnvelopeV1 {
    id: String,
    time: u64,
    actor: Option<(String, String, String)>,
    trace: String,
    command: CommandV1,
}

/// The order of the variants is part of the format.
#[derive(Serialize, Deserialize)]
enum CommandV1 {
    Init { cluster: String, name: String, generation: u64 },
    Enrol { member: String, node_id: u64, incarnation: u32, address: String, fingerprint: String, token: Option<String> },
    TokenCreate { hash: String, member: String, expires: u64 },
    Announce { member: String, agent_version: String, feature: u32, actions: Vec<String> },
    SetCluster { text: String, profile: String, spec_json: String },
    Approve { plan: String, reference: String },
    Apply { plan_json: String },
    SetExecutor { rollout: u64, target: TargetV1, member: String },
    Elect { rollout: u64, database: String, member: String },
    Assign { rollout: u64, step: u32, member: String },
    OwedIntent { attempt: AttemptV1, captured: String },
    ReportBlocked { attempt: AttemptV1, blocked: Option<(String, String, String)> },
    Outcome { attempt: AttemptV1, result: ResultV1 },
    Pause { reason: String },
    Resume,
    Abort { reason: String },
    Retry { step: u32 },
    AcceptOwed { key: String, reason: String },
    Halt { rollout: u64, cause: HaltV1 },
    Finish { rollout: u64 },
    Takeover { database: String, to: Option<String>, reason: String },
    Regrant { rollout: u64, database: String },
    Trust(TrustV1),
    Recover { generation: u64, lost: Vec<String>, reason: String },
    Restore { reason: String, accept_loss: Option<u64> },
    GuardOpened { member: String, opening: OpeningV1 },
}

#[derive(Serialize, Deserialize)]
struct OpeningV1 {
    by: String,
    reason: String,
    opened: u64,
    until: u64,
    once: bool,
    uses: u32,
    last_use: Option<u64>,
}

impl OpeningV1 {
    fn of(o: Opening) -> Self {
        let Opening { by, reason, opened, until, once, uses, last_use } = o;
        Self { by, reason, opened, until, once, uses, last_use }
    }

    fn thaw(self) -> Opening {
        let Self { by, reason, opened, until, once, uses, last_use } = self;
        Opening { by, reason, opened, until, once, uses, last_use }
    }
}

#[derive(Serialize, Deserialize)]
enum TargetV1 {
    Balancer(String),
    Database(String),
}

#[derive(Serialize, Deserialize)]
struct AttemptV1 {
    rollout: u64,
    step: u32,
    attempt: u32,
    generation: u64,
    index: u64,
    member: String,
}

#[derive(Serialize, Deserialize)]
enum ResultV1 {
    Done {
        evidence: String,
        outputs: BTreeMap<String, String>,
        read_back: Option<String>,
        action_ms: Option<(u64, u64)>,
    },
    Failed { code: String, text: String, verdict: Option<u8> },
    Dropped,
}

#[derive(Serialize, Deserialize)]
enum HaltV1 {
    StepFailed { step: u32, code: String },
    MemberLost { member: String, step: u32 },
    UpgraderLost { member: String, database: String },
    NoAnswer { member: String, step: u32 },
    OwedDiffers { key: String },
    Recovered { generation: u64 },
    TwinGroup { step: u32 },
}

impl EnvelopeV1 {
    pub(super) fn of(e: &Envelope) -> Result<Self, StoredError> {
        Ok(Self {
            id: e.id.0.clone(),
            time: e.time.0,
            actor: e.actor.as_ref().map(|a| (a.name.clone(), a.role.as_str().to_owned(), a.via.clone())),
            trace: e.trace.clone(),
            command: CommandV1::of(&e.command)?,
        })
    }

    pub(super) fn thaw(self) -> Result<Envelope, StoredError> {
        let actor = match self.actor {
            None => None,
            Some((name, role, via)) => Some(Actor { name, role: text("role", &role)?, via }),
        };
        Ok(Envelope {
            id: RequestId(self.id),
            time: LogTime(self.time),
            actor,
            trace: self.trace,
            command: self.command.thaw()?,
        })
    }
}

/// Reads a text as a checked name, role or word.
pub(super) fn text<T>(what: &'static str, value: &str) -> Result<T, StoredError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    value.parse().map_err(|e| malformed(what, e))
}

fn member(value: &str) -> Result<MemberName, StoredError> {
    text("member name", value)
}

fn database(value: &str) -> Result<DatabaseName, StoredError> {
    text("database name", value)
}

fn action(word: &str) -> Result<ActionKind, StoredError> {
    let found = ActionKind::ALL.into_iter().find(|k| k.as_str() == word);
    found.ok_or_else(|| malformed("action kind", word))
}

impl TargetV1 {
    fn of(target: &SharedTarget) -> Self {
        match target {
            SharedTarget::Balancer(b) => TargetV1::Balancer(b.to_string()),
            SharedTarget::Database(d) => TargetV1::Database(d.to_string()),
        }
    }

    fn thaw(self) -> Result<SharedTarget, StoredError> {
        Ok(match self {
            TargetV1::Balancer(b) => SharedTarget::Balancer(text("balancer name", &b)?),
            TargetV1::Database(d) => SharedTarget::Database(database(&d)?),
        })
    }
}

impl AttemptV1 {
    fn of(a: &AttemptRef) -> Self {
        Self {
            rollout: a.rollout.0,
            step: a.step.0,
            attempt: a.attempt.0,
            generation: a.token.generation.0,
            index: a.token.index.0,
            member: a.member.to_string(),
        }
    }

    fn thaw(self) -> Result<AttemptRef, StoredError> {
        Ok(AttemptRef {
            rollout: RolloutId(self.rollout),
            step: StepId(self.step),
            attempt: Attempt(self.attempt),
            token: Token { generation: Generation(self.generation), index: LogIndex(self.index) },
            member: member(&self.member)?,
        })
    }
}

impl ResultV1 {
    fn of(result: &OutcomeResult) -> Self {
        match result.clone() {
            OutcomeResult::Done { evidence, outputs, read_back, action_ms } => {
                ResultV1::Done { evidence, outputs, read_back, action_ms }
            }
            OutcomeResult::Failed { code, text, verdict } => {
                let verdict = verdict.map(|v| match v {
                    Verdict::Untouched => 0,
                    Verdict::Finished => 1,
                    Verdict::Touched => 2,
                });
                ResultV1::Failed { code, text, verdict }
            }
            OutcomeResult::Dropped => ResultV1::Dropped,
        }
    }

    fn thaw(self) -> Result<OutcomeResult, StoredError> {
        Ok(match self {
            ResultV1::Done { evidence, outputs, read_back, action_ms } => {
                OutcomeResult::Done { evidence, outputs, read_back, action_ms }
            }
            ResultV1::Failed { code, text, verdict } => {
                let verdict = match verdict {
                    None => None,
                    Some(0) => Some(Verdict::Untouched),
                    Some(1) => Some(Verdict::Finished),
                    Some(2) => Some(Verdict::Touched),
                    Some(other) => return Err(malformed("verdict", other)),
                };
                OutcomeResult::Failed { code, text, verdict }
            }
            ResultV1::Dropped => OutcomeResult::Dropped,
        })
    }
}

impl HaltV1 {
    fn of(cause: &HaltCause) -> Self {
        match cause.clone() {
            HaltCause::StepFailed { step, code } => HaltV1::StepFailed { step: step.0, code },
            HaltCause::MemberLost { member, step } => HaltV1::MemberLost { member: member.into(), step: step.0 },
            HaltCause::UpgraderLost { member, database } => {
                HaltV1::UpgraderLost { member: member.into(), database: database.into() }
            }
            HaltCause::NoAnswer { member, step } => HaltV1::NoAnswer { member: member.into(), step: step.0 },
            HaltCause::OwedDiffers { key } => HaltV1::OwedDiffers { key: key.0 },
            HaltCause::Recovered { generation } => HaltV1::Recovered { generation: generation.0 },
            HaltCause::TwinGroup { step } => HaltV1::TwinGroup { step: step.0 },
        }
    }

    fn thaw(self) -> Result<HaltCause, StoredError> {
        Ok(match self {
            HaltV1::StepFailed { step, code } => HaltCause::StepFailed { step: StepId(step), code },
            HaltV1::MemberLost { member: m, step } => HaltCause::MemberLost { member: member(&m)?, step: StepId(step) },
            HaltV1::UpgraderLost { member: m, database: d } => {
                HaltCause::UpgraderLost { member: member(&m)?, database: database(&d)? }
            }
            HaltV1::NoAnswer { member: m, step } => HaltCause::NoAnswer { member: member(&m)?, step: StepId(step) },
            HaltV1::OwedDiffers { key } => HaltCause::OwedDiffers { key: OwedKey(key) },
            HaltV1::Recovered { generation } => HaltCause::Recovered { generation: Generation(generation) },
            HaltV1::TwinGroup { step } => HaltCause::TwinGroup { step: StepId(step) },
        })
    }
}

impl CommandV1 {
    fn of(command: &Command) -> Result<Self, StoredError> {
        Ok(match command.clone() {
            Command::Init { cluster, name, generation } => {
                CommandV1::Init { cluster: cluster.0, name: name.into(), generation: generation.0 }
            }
            Command::Enrol(e) => CommandV1::Enrol {
                member: e.member.into(),
                node_id: e.node_id.0,
                incarnation: e.incarnation.0,
                address: e.address,
                fingerprint: e.fingerprint.0,
                token: e.token.map(|t| t.0),
            },
            Command::TokenCreate { hash, member, expires } => {
                CommandV1::TokenCreate { hash: hash.0, member: member.into(), expires: expires.0 }
            }
            Command::Announce { member, agent_version, feature, actions } => CommandV1::Announce {
                member: member.into(),
                agent_version,
                feature,
                actions: actions.into_iter().map(|a| a.as_str().to_owned()).collect(),
            },
            Command::SetCluster { text, profile, spec } => {
                let spec_json = serde_json::to_string(&spec).map_err(|e| malformed("cluster spec", e))?;
                CommandV1::SetCluster { text, profile, spec_json }
            }
            Command::Approve { plan, reference } => CommandV1::Approve { plan: plan.0, reference },
            Command::Apply { plan } => CommandV1::Apply { plan_json: crate::plan::render(&plan) },
            Command::SetExecutor { rollout, target, member } => {
                CommandV1::SetExecutor { rollout: rollout.0, target: TargetV1::of(&target), member: member.into() }
            }
            Command::Elect { rollout, database, member } => {
                CommandV1::Elect { rollout: rollout.0, database: database.into(), member: member.into() }
            }
            Command::Assign { rollout, step, member } => {
                CommandV1::Assign { rollout: rollout.0, step: step.0, member: member.into() }
            }
            Command::OwedIntent { attempt, captured } => {
                CommandV1::OwedIntent { attempt: AttemptV1::of(&attempt), captured }
            }
            Command::ReportBlocked { attempt, blocked } => CommandV1::ReportBlocked {
                attempt: AttemptV1::of(&attempt),
                blocked: blocked.map(|b| (b.code, b.text, b.remedy)),
            },
            Command::Outcome { attempt, result } => {
                CommandV1::Outcome { attempt: AttemptV1::of(&attempt), result: ResultV1::of(&result) }
            }
            Command::Pause { reason } => CommandV1::Pause { reason },
            Command::Resume => CommandV1::Resume,
            Command::Abort { reason } => CommandV1::Abort { reason },
            Command::Retry { step } => CommandV1::Retry { step: step.0 },
            Command::AcceptOwed { key, reason } => CommandV1::AcceptOwed { key: key.0, reason },
            Command::Halt { rollout, cause } => CommandV1::Halt { rollout: rollout.0, cause: HaltV1::of(&cause) },
            Command::Finish { rollout } => CommandV1::Finish { rollout: rollout.0 },
            Command::Takeover { database, to, reason } => {
                CommandV1::Takeover { database: database.into(), to: to.map(Into::into), reason }
            }
            Command::Regrant { rollout, database } => {
                CommandV1::Regrant { rollout: rollout.0, database: database.into() }
            }
            Command::Trust(command) => CommandV1::Trust(TrustV1::of(command)),
            Command::Recover { generation, lost, reason } => CommandV1::Recover {
                generation: generation.0,
                lost: lost.into_iter().map(String::from).collect(),
                reason,
            },
            Command::GuardOpened { member, opening } => {
                CommandV1::GuardOpened { member: member.into(), opening: OpeningV1::of(opening) }
            }
            Command::Restore { reason, accept_loss } => CommandV1::Restore { reason, accept_loss },
        })
    }

    fn thaw(self) -> Result<Command, StoredError> {
        Ok(match self {
            CommandV1::Init { cluster, name, generation } => Command::Init {
                cluster: ClusterId(cluster),
                name: text::<ClusterName>("cluster name", &name)?,
                generation: Generation(generation),
            },
            CommandV1::Enrol { member: m, node_id, incarnation, address, fingerprint, token } => {
                Command::Enrol(Enrol {
                    member: member(&m)?,
                    node_id: NodeId(node_id),
                    incarnation: Incarnation(incarnation),
                    address,
                    fingerprint: Digest(fingerprint),
                    token: token.map(Digest),
                })
            }
            CommandV1::TokenCreate { hash, member: m, expires } => {
                Command::TokenCreate { hash: Digest(hash), member: member(&m)?, expires: LogTime(expires) }
            }
            CommandV1::Announce { member: m, agent_version, feature, actions } => Command::Announce {
                member: member(&m)?,
                agent_version,
                feature,
                actions: actions.iter().map(|a| action(a)).collect::<Result<_, _>>()?,
            },
            CommandV1::SetCluster { text, profile, spec_json } => {
                let spec = serde_json::from_str(&spec_json).map_err(|e| malformed("cluster spec", e))?;
                Command::SetCluster { text, profile, spec }
            }
            CommandV1::Approve { plan, reference } => Command::Approve { plan: PlanHash(plan), reference },
            CommandV1::Apply { plan_json } => {
                Command::Apply { plan: serde_json::from_str(&plan_json).map_err(|e| malformed("plan", e))? }
            }
            CommandV1::SetExecutor { rollout, target, member: m } => {
                Command::SetExecutor { rollout: RolloutId(rollout), target: target.thaw()?, member: member(&m)? }
            }
            CommandV1::Elect { rollout, database: d, member: m } => {
                Command::Elect { rollout: RolloutId(rollout), database: database(&d)?, member: member(&m)? }
            }
            CommandV1::Assign { rollout, step, member: m } => {
                Command::Assign { rollout: RolloutId(rollout), step: StepId(step), member: member(&m)? }
            }
            CommandV1::OwedIntent { attempt, captured } => Command::OwedIntent { attempt: attempt.thaw()?, captured },
            CommandV1::ReportBlocked { attempt, blocked } => Command::ReportBlocked {
                attempt: attempt.thaw()?,
                blocked: blocked.map(|(code, text, remedy)| BlockedReport { code, text, remedy }),
            },
            CommandV1::Outcome { attempt, result } => {
                Command::Outcome { attempt: attempt.thaw()?, result: result.thaw()? }
            }
            CommandV1::Pause { reason } => Command::Pause { reason },
            CommandV1::Resume => Command::Resume,
            CommandV1::Abort { reason } => Command::Abort { reason },
            CommandV1::Retry { step } => Command::Retry { step: StepId(step) },
            CommandV1::AcceptOwed { key, reason } => Command::AcceptOwed { key: OwedKey(key), reason },
            CommandV1::Halt { rollout, cause } => Command::Halt { rollout: RolloutId(rollout), cause: cause.thaw()? },
            CommandV1::Finish { rollout } => Command::Finish { rollout: RolloutId(rollout) },
            CommandV1::Takeover { database: d, to, reason } => Command::Takeover {
                database: database(&d)?,
                to: to.as_deref().map(member).transpose()?,
                reason,
            },
            CommandV1::Regrant { rollout, database: d } => {
                Command::Regrant { rollout: RolloutId(rollout), database: database(&d)? }
            }
            CommandV1::Trust(command) => Command::Trust(command.thaw()?),
            CommandV1::Recover { generation, lost, reason } => Command::Recover {
                generation: Generation(generation),
                lost: lost.iter().map(|name| member(name)).collect::<Result<_, _>>()?,
                reason,
            },
            CommandV1::GuardOpened { member: m, opening } => {
                Command::GuardOpened { member: member(&m)?, opening: opening.thaw() }
            }
            CommandV1::Restore { reason, accept_loss } => Command::Restore { reason, accept_loss },
        })
    }
}
