//! An agent's last word on an attempt.

use super::{At, active, grant, owed};
use crate::{
    plan::{ActionKind, Step},
    rollout::{
        command::{AttemptRef, BlockedReport, HaltCause, OutcomeResult},
        limits,
        marks::TWIN_GROUP,
        rejection::Rejection,
        state::{GrantState, OwedState, Rollout, State, Status, StepPhase},
        word::Word,
    },
};

pub(super) fn blocked(
    state: &mut State,
    at: &At<'_>,
    attempt: &AttemptRef,
    report: Option<&BlockedReport>,
) -> Result<(), Rejection> {
    let rollout = active(state)?;
    owed::assigned(rollout, attempt)?;
    if let Some(record) = rollout.steps.get_mut(&attempt.step)
        && let StepPhase::Assigned { blocked, .. } = &mut record.phase
    {
        *blocked = report.cloned();
    }
    let text = report.map_or_else(|| "no longer blocked".to_owned(), |r| format!("blocked: {}: {}", r.code, r.text));
    rollout.note(at.index, at.time, Some(attempt.step), text);
    Ok(())
}

pub(super) fn outcome(
    state: &mut State,
    at: &At<'_>,
    attempt: &AttemptRef,
    result: &OutcomeResult,
) -> Result<(), Rejection> {
    let rollout = active(state)?;
    if is_repetition(rollout, attempt) {
        return Ok(());
    }
    owed::assigned(rollout, attempt)?;
    let step = rollout.step(attempt.step).ok_or(Rejection::UnknownStep(attempt.step))?.clone();
    match result {
        OutcomeResult::Dropped => {
            set(rollout, &step, StepPhase::Pending);
            rollout.note(at.index, at.time, Some(step.id), format!("{} gave it back unstarted", attempt.member));
        }
        OutcomeResult::Failed { code, text, verdict } => {
            let phase = StepPhase::Failed {
                member: attempt.member.clone(),
                token: attempt.token,
                at: at.time,
                code: code.clone(),
                text: clip(text),
                verdict: *verdict,
            };
            failed(rollout, at, &step, code, phase);
        }
        OutcomeResult::Done { evidence, outputs, read_back, action_ms } => {
            if outputs.len() > limits::OUTPUTS_MAX || outputs.values().any(|v| v.len() > limits::TEXT_MAX) {
                return Err(Rejection::Limit("outputs of a step".into()));
            }
            if let Some(key) = gives_back_wrongly(rollout, &step, read_back.as_deref()) {
                let phase = StepPhase::Failed {
                    member: attempt.member.clone(),
                    token: attempt.token,
                    at: at.time,
                    code: Word::OwedDiffers.into(),
                    text: format!("{key} reads back as {:?}", read_back.as_deref().unwrap_or("")),
                    verdict: None,
                };
                set(rollout, &step, phase);
                halt(rollout, at, HaltCause::OwedDiffers { key });
                return Ok(());
            }
            rollout.outputs.extend(outputs.iter().map(|(k, v)| (k.clone(), v.clone())));
            let began = match rollout.record(step.id).map(|r| &r.phase) {
                Some(StepPhase::Assigned { at, .. }) => *at,
                _ => at.time,
            };
            let phase = StepPhase::Done {
                member: attempt.member.clone(),
                token: attempt.token,
                began,
                ended: at.time,
                evidence: clip(evidence),
                action_ms: *action_ms,
            };
            set(rollout, &step, phase);
            settle(rollout, at, &step, read_back.as_deref());
            rollout.note(at.index, at.time, Some(step.id), format!("{} {} done", step.action.kind(), step.target));
            if step.action.kind() == ActionKind::CloseGrant
                && let Some(database) = &step.grant
            {
                grant::closed(rollout, at, database);
            }
        }
    }
    Ok(())
}

/// The same attempt, already settled: the agent did not hear the answer and says it again.
fn is_repetition(rollout: &Rollout, attempt: &AttemptRef) -> bool {
    rollout.id == attempt.rollout
        && rollout.record(attempt.step).is_some_and(|r| {
            r.attempt == attempt.attempt
                && match &r.phase {
                    StepPhase::Done { member, token, .. } | StepPhase::Failed { member, token, .. } => {
                        *member == attempt.member && *token == attempt.token
                    }
                    StepPhase::Pending | StepPhase::Assigned { .. } | StepPhase::NotNeeded => false,
                }
        })
}

fn set(rollout: &mut Rollout, step: &Step, phase: StepPhase) {
    if let Some(record) = rollout.steps.get_mut(&step.id) {
        record.phase = phase;
    }
}

fn failed(rollout: &mut Rollout, at: &At<'_>, step: &Step, code: &str, phase: StepPhase) {
    rollout.failures = rollout.failures.saturating_add(1);
    set(rollout, step, phase);
    rollout.note(at.index, at.time, Some(step.id), format!("{} {} failed: {code}", step.action.kind(), step.target));
    if let Some(grant) = step.grant.as_ref().and_then(|d| rollout.grants.get_mut(d))
        && grant.state == GrantState::Open
    {
        // The attempt is over, so its way in is taken away whatever is decided next.
        grant.state = GrantState::Closing;
    }
    if code == TWIN_GROUP {
        // Said in the place of an earlier cause: until a person has settled which group is the real one, nothing else
        // helps, and trying again by itself cannot.
        let cause = HaltCause::TwinGroup { step: step.id };
        rollout.note(at.index, at.time, None, format!("HALT: {}", cause.code()));
        rollout.status = Status::Halted { cause, since: at.time };
        return;
    }
    if step.grant.is_none() && !step.irreversible && rollout.failures <= rollout.plan.policy.max_failures {
        set(rollout, step, StepPhase::Pending);
    } else {
        halt(rollout, at, HaltCause::StepFailed { step: step.id, code: code.to_owned() });
    }
}

/// Drains and doors stay as they are; only the first cause is kept.
pub(super) fn halt(rollout: &mut Rollout, at: &At<'_>, cause: HaltCause) {
    if !matches!(rollout.status, Status::Halted { .. }) {
        rollout.note(at.index, at.time, None, format!("HALT: {}", cause.code()));
        rollout.status = Status::Halted { cause, since: at.time };
    }
}

fn gives_back_wrongly(rollout: &Rollout, step: &Step, read_back: Option<&str>) -> Option<crate::plan::OwedKey> {
    let key = step.settles.as_ref()?;
    let owed = rollout.owed.get(key).filter(|o| o.state.is_open())?;
    (read_back? != owed.captured).then(|| key.clone())
}

fn settle(rollout: &mut Rollout, at: &At<'_>, step: &Step, read_back: Option<&str>) {
    if let Some(owed) = step.owes.as_ref().and_then(|k| rollout.owed.get_mut(k))
        && owed.state == OwedState::Intent
    {
        owed.state = OwedState::Owed;
    }
    if read_back.is_some()
        && let Some(owed) = step.settles.as_ref().and_then(|k| rollout.owed.get_mut(k))
        && owed.state.is_open()
    {
        owed.state = OwedState::Restored { at: at.time };
    }
}

fn clip(text: &str) -> String {
    let mut end = text.len().min(limits::TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
