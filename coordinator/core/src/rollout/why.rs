//! Why something waits: who or what is waited for, since when, and what to do about it.

use super::{
    apply::may_finish,
    next::Facts,
    outlook::{Outlook, outlook},
    rejection::Rejection,
    remedy,
    state::{Rollout, State, Status, StepPhase},
    word::Word,
};
use crate::{
    plan::{OwedKey, Step},
    time::LogTime,
};
use serde::{Deserialize, Serialize};

/// One thing that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// What waits: a step, the rollout, a setting.
    pub subject: String,
    /// A word with a page.
    pub code: String,
    /// A sentence.
    pub text: String,
    /// Since when.
    pub since: LogTime,
    /// Who can end the wait.
    pub owner: Owner,
    /// What to do.
    pub remedy: String,
}

/// Who can end a wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// A person.
    Person,
    /// An agent.
    Agent(String),
    /// The rollout itself: it goes on by itself.
    Rollout,
}

impl Why {
    pub(super) fn of_step(
        rollout: &Rollout,
        step: &Step,
        code: &str,
        text: String,
        owner: Owner,
        remedy: &str,
    ) -> Self {
        let since = match rollout.record(step.id).map(|r| &r.phase) {
            Some(StepPhase::Failed { at, .. } | StepPhase::Assigned { at, .. }) => *at,
            Some(StepPhase::Pending | StepPhase::Done { .. } | StepPhase::NotNeeded) | None => since(rollout),
        };
        Why {
            subject: format!("step {} ({} {})", step.id, step.action.kind(), step.target),
            code: code.to_owned(),
            text,
            since,
            owner,
            remedy: remedy.to_owned(),
        }
    }
}

/// The last time anything moved: what is pending waits at least since then.
fn since(rollout: &Rollout) -> LogTime {
    match &rollout.status {
        Status::Paused { since, .. } | Status::Halted { since, .. } => *since,
        Status::Running
        | Status::Aborting
        | Status::Restoring
        | Status::Completed { .. }
        | Status::Aborted { .. }
        | Status::Restored { .. } => rollout.events.last().map_or(rollout.started, |e| e.time),
    }
}

/// Everything that waits in the active rollout, people's business first.
pub fn why(state: &State, facts: &Facts) -> Vec<Why> {
    let Some(rollout) = &state.rollout else { return Vec::new() };
    let mut all: Vec<Why> = stopped(rollout).into_iter().collect();
    all.extend(left_owed(rollout));
    for (step, outlook) in outlook(rollout, facts) {
        match outlook {
            // Said once, for the rollout as a whole.
            Outlook::Waits(why)
                if [Word::Halted.as_str(), Word::Paused.as_str()].contains(&why.code.as_str()) => {}
            Outlook::Waits(why) => all.push(why),
            Outlook::UnderWay => all.extend(under_way(rollout, step, facts)),
            Outlook::Ready(_) => {
                let text = "ready, not handed out yet".to_owned();
                all.push(Why::of_step(
                    rollout,
                    step,
                    Word::Ready.as_str(),
                    text,
                    Owner::Rollout,
                    "nothing to do",
                ));
            }
        }
    }
    all.sort_by_key(|w| match w.owner {
        Owner::Person => 0,
        Owner::Agent(_) => 1,
        Owner::Rollout => 2,
    });
    all
}

fn stopped(rollout: &Rollout) -> Option<Why> {
    let (code, text, since, owner, remedy) = match &rollout.status {
        Status::Paused { by, reason, since } => {
            let text = format!("paused by {by}: {reason}");
            (Word::Paused.as_str(), text, *since, Owner::Person, "lockkeeper resume".to_owned())
        }
        Status::Halted { cause, since } => {
            let advice = remedy::of_halt(rollout, cause);
            (cause.code(), advice.text_after(&halt_text(cause)), *since, advice.owner, advice.remedy)
        }
        Status::Running
        | Status::Aborting
        | Status::Restoring
        | Status::Completed { .. }
        | Status::Aborted { .. }
        | Status::Restored { .. } => return None,
    };
    Some(Why { subject: format!("rollout {}", rollout.id), code: code.to_owned(), text, since, owner, remedy })
}

/// Nothing is left to do but what no step of this plan may give back: the old release of an adopted cluster does not fit
/// its schema, so an abort leaves it out.
fn left_owed(rollout: &Rollout) -> Vec<Why> {
    if !matches!(may_finish(rollout), Err(Rejection::StillOwed(_))) {
        return Vec::new();
    }
    let owed = rollout.owed_open().map(|(key, owed)| Why {
        subject: key.to_string(),
        code: Word::StillOwed.into(),
        text: format!("taken from {:?} by step {}, and no step gives it back", owed.captured, owed.step),
        since: owed.since,
        owner: Owner::Person,
        remedy: format!("put it right by hand, then lockkeeper owed accept {key} --reason R"),
    });
    owed.collect()
}

fn halt_text(cause: &super::command::HaltCause) -> String {
    use super::command::HaltCause as H;
    match cause {
        H::StepFailed { step, code } => format!("step {step} failed: {code}"),
        H::MemberLost { member, step } => format!("{member} was lost while it had step {step}"),
        H::UpgraderLost { member, database } => format!("{member} was lost while it held the grant of {database}"),
        H::NoAnswer { member, step } => format!("{member} is past the deadline of step {step} and says nothing"),
        H::OwedDiffers { key: OwedKey(key) } => format!("{key} was given back but reads differently"),
        H::Recovered { generation } => {
            format!("the group was recovered as generation {generation}; what was seen before is looked at anew")
        }
        H::TwinGroup { step } => {
            format!("step {step} was refused: another group under this name acts on the database; one of both is a copy of all members")
        }
    }
}

fn under_way(rollout: &Rollout, step: &Step, facts: &Facts) -> Option<Why> {
    let StepPhase::Assigned { member, blocked, .. } = &rollout.record(step.id)?.phase else { return None };
    let (code, text, owner, remedy) = match blocked {
        Some(b) => (b.code.clone(), b.text.clone(), Owner::Person, b.remedy.clone()),
        None => {
            let silent = facts.silence(member);
            let text = format!("{member} works on it, heard of {silent} ago");
            (Word::UnderWay.into(), text, Owner::Agent(member.to_string()), "nothing to do".to_owned())
        }
    };
    Some(Why::of_step(rollout, step, &code, text, owner, &remedy))
}
