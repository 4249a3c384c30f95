//! One attempt as a pure machine: what is being done, what came of it, what is done next.
//!
//! Knows the order of design section 3, rule 4: journal, look, capture, owe, confirm, journal the start, act, prove,
//! journal the end, report. Does not know how any of it is carried out, and reads no clock. After a crash the same
//! machine starts from what the journal holds; there is no other path.

use crate::{
    code::AgentCode,
    host::{Blocked, Done, Failure, Postcheck, Precheck, Unit},
    journal::{Ending, Entry, record::TEXT_MAX},
};
use lockkeeper_core::{
    plan::ActionKind,
    rollout::{command::Verdict, limits::OUTPUTS_MAX},
    time::BootTime,
};

/// What is known about the attempt beside what is being done. Grows from the journal's entry; the driver keeps it in
/// step with what it writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether a second start after an unknown first one does no harm.
    pub repeatable: bool,
    /// Whether the step changes something that must be given back.
    pub owes: bool,
    /// The value before the first change.
    pub captured: Option<String>,
    /// The start was journalled.
    pub started: bool,
    /// The unit the effect runs in.
    pub unit: Option<Unit>,
    /// What the group was last told about being blocked.
    pub told: Option<Blocked>,
}

/// What is being done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Check token and local policy, journal the beginning.
    Begin,
    /// Ask the host for a pre-check.
    Look,
    /// Tell the group that the attempt is blocked, or no longer.
    Tell(Option<Blocked>),
    /// Wait a while, then look again.
    Rest,
    /// Journal the value before the change.
    Capture(String),
    /// Commit that this value will be owed.
    Owe(String),
    /// Ask the group, linearizably, whether the attempt is still wanted.
    Confirm,
    /// Journal the start, if that is still soon enough after the question.
    Start {
        /// When the question was asked.
        asked: BootTime,
    },
    /// Have the host act.
    Act,
    /// Have the host wait for a unit of an earlier life.
    Adopt(Unit),
    /// Ask the host for a proof.
    Prove,
    /// Wait a while, then ask for the proof again.
    Settle,
    /// End the unit and prove it gone.
    Kill(Unit),
    /// Journal the end.
    End(Ending),
    /// Tell the group the end until it answers.
    Report(Ending),
    /// Journal that the group has answered.
    Close,
    /// Tell the group that this attempt was not even begun.
    Refuse(Failure),
    /// Nothing is left to do.
    Over,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The record is durable.
    Journalled,
    /// Fence or local policy forbid it.
    Refused(Failure),
    /// The pre-check's answer.
    Saw(Precheck),
    /// The group was told (`true`), or did not answer.
    Told(bool),
    /// The wait is over.
    Rested,
    /// The intent is committed.
    Owed,
    /// The attempt is wanted as of this moment.
    Current {
        /// When the question was asked.
        asked: BootTime,
    },
    /// The group has taken the attempt back, or another one has it.
    NotCurrent,
    /// Too much time went by since the question.
    Late,
    /// The host came back from acting or adopting.
    Performed(Result<(), Failure>),
    /// The post-check's answer.
    Proof(Postcheck),
    /// The host came back from ending the unit.
    Killed(Result<(), Failure>),
    /// The group has answered the report.
    Acknowledged,
    /// The hard deadline passed.
    Expired,
    /// The attempt is no longer wanted, by what this agent has heard.
    Unwanted,
}

/// An event that cannot happen in a stage: a bug in the driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen while the attempt is at {stage}")]
pub struct Impossible {
    /// The stage.
    pub stage: &'static str,
    /// The event.
    pub event: &'static str,
}

/// Whether an action may be started again when it is not known how far its first start went. Every action is made so
/// that it can, except the upgrade of a database, whose every attempt needs its own grant.
pub const fn is_repeatable(kind: ActionKind) -> bool {
    match kind {
        ActionKind::UpgradeDatabase => false,
        ActionKind::StageRelease
        | ActionKind::SwitchRelease
        | ActionKind::Drain
        | ActionKind::Admit
        | ActionKind::StopService
        | ActionKind::StartService
        | ActionKind::ProveNoWriters
        | ActionKind::Backup
        | ActionKind::ProveBackup
        | ActionKind::ShutDoor
        | ActionKind::MintCredential
        | ActionKind::AdmitHolder
        | ActionKind::CloseGrant
        | ActionKind::OpenDoor
        | ActionKind::RestoreDatabase
        | ActionKind::JudgeSchema
        | ActionKind::Prove
        | ActionKind::Run => true,
    }
}

/// Where an attempt begins, by what the journal holds of it.
pub fn first(entry: Option<&Entry>) -> Stage {
    match entry {
        None => Stage::Begin,
        Some(Entry { reported: true, .. }) => Stage::Over,
        Some(Entry { ending: Some(ending), .. }) => Stage::Report(ending.clone()),
        Some(Entry { ending: None, .. }) => Stage::Look,
    }
}

impl Stage {
    /// Whether deadline and withdrawal can interrupt it. The others only write, or must be carried through.
    pub const fn waits(&self) -> bool {
        match self {
            Stage::Look
            | Stage::Tell(_)
            | Stage::Rest
            | Stage::Owe(_)
            | Stage::Confirm
            | Stage::Act
            | Stage::Adopt(_)
            | Stage::Prove
            | Stage::Settle => true,
            Stage::Begin
            | Stage::Capture(_)
            | Stage::Start { .. }
            | Stage::Kill(_)
            | Stage::End(_)
            | Stage::Report(_)
            | Stage::Close
            | Stage::Refuse(_)
            | Stage::Over => false,
        }
    }

    /// The stage that follows `event`.
    pub fn next(self, event: Event, known: &Known) -> Result<Stage, Impossible> {
        let impossible = Impossible { stage: self.word(), event: event.word() };
        match (self, event) {
            (stage, Event::Expired) if stage.waits() => Ok(expired(&stage, known)),
            (stage, Event::Unwanted) if stage.waits() => Ok(unwanted(stage, known)),
            (Stage::Begin, Event::Journalled) => Ok(Stage::Look),
            (Stage::Begin, Event::Refused(failure)) => Ok(Stage::Refuse(failure)),
            (Stage::Look, Event::Saw(seen)) => Ok(looked(seen, known)),
            (Stage::Tell(None), Event::Told(true)) => Ok(Stage::Look),
            (Stage::Tell(_), Event::Told(_)) => Ok(Stage::Rest),
            (Stage::Rest, Event::Rested) => Ok(Stage::Look),
            (Stage::Capture(text), Event::Journalled) => Ok(owe(text, known)),
            (Stage::Owe(_), Event::Owed) => Ok(Stage::Confirm),
            (Stage::Confirm, Event::Current { asked }) => Ok(Stage::Start { asked }),
            (Stage::Owe(_) | Stage::Confirm, Event::NotCurrent) => Ok(not_current(known)),
            (Stage::Start { .. }, Event::Late) => Ok(Stage::Confirm),
            (Stage::Start { .. }, Event::Journalled) => Ok(Stage::Act),
            (Stage::Start { .. }, Event::Refused(failure)) => Ok(fail(failure)),
            (Stage::Act | Stage::Adopt(_), Event::Performed(Ok(()))) => Ok(Stage::Prove),
            (Stage::Act | Stage::Adopt(_), Event::Performed(Err(failure))) => Ok(fail(failure)),
            (Stage::Prove, Event::Proof(Postcheck::Proven(done))) => Ok(Stage::End(bounded(done))),
            (Stage::Prove, Event::Proof(Postcheck::NotYet(_))) => Ok(Stage::Settle),
            (Stage::Prove, Event::Proof(Postcheck::Refuted(failure))) => Ok(fail(failure)),
            (Stage::Settle, Event::Rested) => Ok(Stage::Prove),
            (Stage::Kill(unit), Event::Killed(result)) => Ok(killed(&unit, result)),
            (Stage::End(ending), Event::Journalled) => Ok(Stage::Report(ending)),
            (Stage::Report(_), Event::Acknowledged) => Ok(Stage::Close),
            (Stage::Close, Event::Journalled) | (Stage::Refuse(_), Event::Acknowledged) => Ok(Stage::Over),
            (_, _) => Err(impossible),
        }
    }

    /// The stage's word, for logs and tables.
    pub const fn word(&self) -> &'static str {
        match self {
            Stage::Begin => "begin",
            Stage::Look => "look",
            Stage::Tell(Some(_)) => "tell-blocked",
            Stage::Tell(None) => "tell-free",
            Stage::Rest => "rest",
            Stage::Capture(_) => "capture",
            Stage::Owe(_) => "owe",
            Stage::Confirm => "confirm",
            Stage::Start { .. } => "start",
            Stage::Act => "act",
            Stage::Adopt(_) => "adopt",
            Stage::Prove => "prove",
            Stage::Settle => "settle",
            Stage::Kill(_) => "kill",
            Stage::End(_) => "end",
            Stage::Report(_) => "report",
            Stage::Close => "close",
            Stage::Refuse(_) => "refuse",
            Stage::Over => "over",
        }
    }
}

impl Event {
    /// The event's word, for logs and tables.
    pub const fn word(&self) -> &'static str {
        match self {
            Event::Journalled => "journalled",
            Event::Refused(_) => "refused",
            Event::Saw(Precheck::AlreadyDone(_)) => "saw-done",
            Event::Saw(Precheck::Running(_)) => "saw-running",
            Event::Saw(Precheck::Ready { captured }) if captured.is_empty() => "saw-plain",
            Event::Saw(Precheck::Ready { .. }) => "saw-ready",
            Event::Saw(Precheck::Mismatch { .. }) => "saw-mismatch",
            Event::Saw(Precheck::Unknown(_)) => "saw-unknown",
            Event::Saw(Precheck::Blocked(_)) => "saw-blocked",
            Event::Saw(Precheck::Refused(_)) => "saw-refused",
            Event::Told(true) => "told",
            Event::Told(false) => "not-told",
            Event::Rested => "rested",
            Event::Owed => "owed",
            Event::Current { .. } => "current",
            Event::NotCurrent => "not-current",
            Event::Late => "late",
            Event::Performed(Ok(())) => "performed",
            Event::Performed(Err(_)) => "failed",
            Event::Proof(Postcheck::Proven(_)) => "proven",
            Event::Proof(Postcheck::NotYet(_)) => "not-yet",
            Event::Proof(Postcheck::Refuted(_)) => "refuted",
            Event::Killed(Ok(())) => "killed",
            Event::Killed(Err(_)) => "not-killed",
            Event::Acknowledged => "acknowledged",
            Event::Expired => "expired",
            Event::Unwanted => "unwanted",
        }
    }
}

fn looked(seen: Precheck, known: &Known) -> Stage {
    match seen {
        Precheck::AlreadyDone(done) => Stage::End(bounded(done)),
        Precheck::Running(unit) => Stage::Adopt(unit),
        Precheck::Ready { .. } if known.started && !known.repeatable => fail(AgentCode::EffectUnknown.failure(
            "the agent ended after the start was journalled, and nothing is seen of the effect; it is not started twice",
        )),
        Precheck::Ready { .. } if known.told.is_some() => Stage::Tell(None),
        Precheck::Ready { captured } => match &known.captured {
            // The first value is the original; a later look may see the change.
            Some(first) => owe(first.clone(), known),
            None if captured.len() > TEXT_MAX => fail(AgentCode::CapturedTooLong.failure(format_args!(
                "the present value has {} bytes and may have at most {TEXT_MAX}",
                captured.len()
            ))),
            // Nothing is changed that would have to be given back: there is nothing to remember.
            None if captured.is_empty() && !known.owes => Stage::Confirm,
            None => Stage::Capture(captured),
        },
        Precheck::Mismatch { expected, found } => {
            fail(AgentCode::WorldDiffers.failure(format_args!("expected {expected}, found {found}")))
        }
        Precheck::Unknown(what) => fail(AgentCode::StateUnknown.failure(what)),
        Precheck::Refused(failure) => fail(failure),
        Precheck::Blocked(blocked) if known.told.as_ref() == Some(&blocked) => Stage::Rest,
        Precheck::Blocked(blocked) => Stage::Tell(Some(blocked)),
    }
}

fn owe(captured: String, known: &Known) -> Stage {
    if known.owes { Stage::Owe(captured) } else { Stage::Confirm }
}

fn not_current(known: &Known) -> Stage {
    if known.started {
        fail(AgentCode::Overtaken.failure("the rollout took the step back after its start was journalled"))
    } else {
        Stage::End(Ending::Dropped)
    }
}

/// What has started goes on to its end; what has not is given back.
fn unwanted(stage: Stage, known: &Known) -> Stage {
    if known.started || matches!(stage, Stage::Adopt(_)) { stage } else { Stage::End(Ending::Dropped) }
}

fn expired(stage: &Stage, known: &Known) -> Stage {
    match (stage, &known.unit) {
        (Stage::Adopt(unit), _) | (_, Some(unit)) => Stage::Kill(unit.clone()),
        (_, None) => fail(AgentCode::DeadlinePassed.failure("the hard deadline passed")),
    }
}

fn killed(unit: &Unit, result: Result<(), Failure>) -> Stage {
    match result {
        Ok(()) => fail(AgentCode::DeadlinePassed.failure(format_args!(
            "the hard deadline passed; unit {} was ended and is proven gone",
            unit.name
        ))),
        Err(failure) => {
            let text = format_args!("the hard deadline passed; unit {}: {failure}", unit.name);
            fail(AgentCode::UnitNotGone.failure(text))
        }
    }
}

fn fail(failure: Failure) -> Stage {
    let verdict: Option<Verdict> = None;
    Stage::End(Ending::Failed { failure, verdict })
}

/// What is larger than the state takes would be refused there, and the step would wait for ever.
fn bounded(mut done: Done) -> Ending {
    let long = |text: &String| text.len() > TEXT_MAX;
    if done.outputs.len() > OUTPUTS_MAX
        || done.outputs.values().any(long)
        || done.read_back.as_ref().is_some_and(long)
    {
        let text = format_args!("at most {OUTPUTS_MAX} outputs of {TEXT_MAX} bytes");
        return Ending::Failed { failure: AgentCode::OutputsTooLong.failure(text), verdict: None };
    }
    let mut end = done.evidence.len().min(TEXT_MAX);
    while !done.evidence.is_char_boundary(end) {
        end -= 1;
    }
    done.evidence.truncate(end);
    Ending::Done(done)
}

#[cfg(test)]
mod tests;
