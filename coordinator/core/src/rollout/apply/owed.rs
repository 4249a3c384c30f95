//! The compensation ledger: what was changed and must be given back.

use super::{At, active};
use crate::{
    identity::Right,
    plan::OwedKey,
    rollout::{
        command::AttemptRef,
        limits,
        rejection::Rejection,
        state::{Owed, OwedState, Rollout, State, Status, StepPhase},
    },
};

pub(super) fn intent(state: &mut State, at: &At<'_>, attempt: &AttemptRef, captured: &str) -> Result<(), Rejection> {
    if captured.len() > limits::TEXT_MAX {
        return Err(Rejection::Limit(format!("captured values have at most {} bytes", limits::TEXT_MAX)));
    }
    let rollout = active(state)?;
    assigned(rollout, attempt)?;
    // An intent precedes an effect, so it is refused where the effect is no longer wanted.
    let wanted = match rollout.status {
        Status::Running | Status::Paused { .. } => true,
        Status::Aborting | Status::Restoring => rollout.way_of(attempt.step) == rollout.way(),
        Status::Halted { .. }
        | Status::Completed { .. }
        | Status::Aborted { .. }
        | Status::Restored { .. } => false,
    };
    if !wanted {
        return Err(Rejection::WrongState { status: rollout.status.word().to_owned() });
    }
    let Some(key) = rollout.step(attempt.step).and_then(|s| s.owes.clone()) else {
        return Err(Rejection::NotOwed(OwedKey(format!("step {}", attempt.step))));
    };
    // The first capture is the original; a second try sees its own change.
    if !rollout.owed.get(&key).is_some_and(|o| o.state.is_open()) {
        let owed =
            Owed { captured: captured.to_owned(), step: attempt.step, since: at.time, state: OwedState::Intent };
        rollout.owed.insert(key.clone(), owed);
        rollout.note(at.index, at.time, Some(attempt.step), format!("owes {key}"));
    }
    Ok(())
}

pub(super) fn accept(state: &mut State, at: &At<'_>, key: &OwedKey, reason: &str) -> Result<(), Rejection> {
    let actor = at.actor(Right::Operate)?;
    let by = actor.name.clone();
    let rollout = active(state)?;
    let owed = rollout.owed.get_mut(key).filter(|o| o.state.is_open()).ok_or_else(|| Rejection::NotOwed(key.clone()))?;
    owed.state = OwedState::Accepted { by: by.clone(), reason: reason.to_owned() };
    rollout.note(at.index, at.time, None, format!("{by} answers for {key}: {reason}"));
    Ok(())
}

/// The attempt is the assigned one, word for word.
pub(super) fn assigned(rollout: &Rollout, attempt: &AttemptRef) -> Result<(), Rejection> {
    let not = || Rejection::NotAssigned {
        step: attempt.step,
        attempt: attempt.attempt,
        member: attempt.member.clone(),
    };
    if rollout.id != attempt.rollout {
        return Err(not());
    }
    let record = rollout.record(attempt.step).ok_or(Rejection::UnknownStep(attempt.step))?;
    match &record.phase {
        StepPhase::Assigned { token, .. } if *token != attempt.token => {
            Err(Rejection::StaleToken { found: attempt.token, present: *token })
        }
        StepPhase::Assigned { member, .. } if *member == attempt.member && record.attempt == attempt.attempt => Ok(()),
        StepPhase::Assigned { .. }
        | StepPhase::Pending
        | StepPhase::Done { .. }
        | StepPhase::Failed { .. }
        | StepPhase::NotNeeded => Err(not()),
    }
}
