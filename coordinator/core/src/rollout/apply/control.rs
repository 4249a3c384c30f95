//! What people decide while a rollout is active, and the leader's halt.

use super::{At, active, active_is, grant, outcome, takeover};
use crate::{
    identity::Right,
    ids::{RolloutId, StepId},
    plan::{Action, Way},
    plant::{self, Plant},
    rollout::{
        command::{HaltCause, Verdict},
        rejection::Rejection,
        state::{Abort, GrantState, Rollout, State, Status, StepPhase},
    },
};

pub(super) fn pause(state: &mut State, at: &At<'_>, reason: &str) -> Result<(), Rejection> {
    let by = at.actor(Right::Operate)?.name.clone();
    let rollout = active(state)?;
    rollout.note(at.index, at.time, None, format!("paused by {by}: {reason}"));
    rollout.status = Status::Paused { by, reason: reason.to_owned(), since: at.time };
    Ok(())
}

pub(super) fn resume(state: &mut State, at: &At<'_>) -> Result<(), Rejection> {
    let by = at.actor(Right::Operate)?.name.clone();
    let rollout = active(state)?;
    if let Some(failed) = failed_steps(rollout).next() {
        return Err(Rejection::FailedStep(failed));
    }
    rollout.note(at.index, at.time, None, format!("resumed by {by}"));
    go_on(rollout);
    Ok(())
}

pub(super) fn abort(state: &mut State, at: &At<'_>, reason: &str) -> Result<(), Rejection> {
    let by = at.actor(Right::Operate)?.name.clone();
    let rollout = active(state)?;
    if rollout.no_return.is_some() {
        return Err(Rejection::PastPointOfNoReturn);
    }
    if rollout.abort.is_some() {
        return Err(Rejection::WrongState { status: "aborting".into() });
    }
    rollout.note(at.index, at.time, None, format!("aborted by {by}: {reason}"));
    rollout.abort = Some(Abort { by, reason: reason.to_owned(), since: at.time });
    rollout.status = Status::Aborting;
    for grant in rollout.grants.values_mut().filter(|g| g.state == GrantState::Open) {
        grant.state = GrantState::Closing;
    }
    let plan = rollout.plan.clone();
    for step in &plan.undo {
        let needed = step.while_owed.as_ref().or(step.settles.as_ref()).is_some_and(|k| rollout.owed.get(k).is_some_and(|o| o.state.is_open()));
        if (!needed || plant::is(Plant::AbortForgets)) && let Some(record) = rollout.steps.get_mut(&step.id) {
            record.phase = StepPhase::NotNeeded;
        }
    }
    // A failed step of the way forward is of no more concern, but a grant that could not be closed is.
    for step in &plan.steps {
        let closes = matches!(step.action, Action::CloseGrant(_));
        if let Some(record) = rollout.steps.get_mut(&step.id)
            && closes
            && matches!(record.phase, StepPhase::Failed { .. })
        {
            record.phase = StepPhase::Pending;
        }
    }
    Ok(())
}

pub(super) fn retry(state: &mut State, at: &At<'_>, id: StepId) -> Result<(), Rejection> {
    let by = at.actor(Right::Operate)?.name.clone();
    let rollout = active(state)?;
    let step = rollout.step(id).ok_or(Rejection::UnknownStep(id))?.clone();
    let verdict = match rollout.record(id).map(|r| &r.phase) {
        Some(StepPhase::Failed { verdict, .. }) => *verdict,
        Some(
            StepPhase::Pending | StepPhase::Assigned { .. } | StepPhase::Done { .. } | StepPhase::NotNeeded,
        )
        | None => return Err(Rejection::NotFailed(id)),
    };
    if let Action::UpgradeDatabase(upgrade) = &step.action {
        takeover::is_out(rollout, &upgrade.database)?;
        let safe = match verdict {
            Some(Verdict::Untouched | Verdict::Finished) => true,
            Some(Verdict::Touched) | None => upgrade.resumes,
        };
        if !safe {
            return Err(Rejection::RestoreNeeded);
        }
    }
    if let Some(record) = rollout.steps.get_mut(&id) {
        record.phase = StepPhase::Pending;
    }
    if let Action::UpgradeDatabase(upgrade) = &step.action {
        grant::begin_anew(rollout, &upgrade.database);
    }
    rollout.note(at.index, at.time, Some(id), format!("retry by {by}"));
    go_on_if_mended(rollout);
    Ok(())
}

pub(super) fn halt(state: &mut State, at: &At<'_>, id: RolloutId, cause: &HaltCause) -> Result<(), Rejection> {
    let rollout = active_is(state, id)?;
    if let HaltCause::UpgraderLost { database, .. } = cause
        && let Some(grant) = rollout.grants.get_mut(database)
        && grant.state == GrantState::Open
    {
        // The door is shut on a lost holder at once.
        grant.state = GrantState::Closing;
        grant.lost = true;
        if plant::is(Plant::LostIsOut) {
            let database = database.clone();
            grant::forget(rollout, at, &database);
        }
    }
    outcome::halt(rollout, at, cause.clone());
    Ok(())
}

/// A halt ends with the last failed step that kept the rollout from going on.
pub(super) fn go_on_if_mended(rollout: &mut Rollout) {
    if failed_steps(rollout).next().is_none() && matches!(rollout.status, Status::Halted { .. }) {
        go_on(rollout);
    }
}

pub(super) fn go_on(rollout: &mut Rollout) {
    rollout.status = match rollout.way() {
        Way::Forward => Status::Running,
        Way::Undo => Status::Aborting,
        Way::Restore => Status::Restoring,
    };
}

/// Failed steps that keep the rollout from going on in its present direction.
pub(in crate::rollout) fn failed_steps(rollout: &Rollout) -> impl Iterator<Item = StepId> + '_ {
    let way = rollout.way();
    rollout.steps.iter().filter_map(move |(id, record)| {
        let failed = matches!(record.phase, StepPhase::Failed { .. });
        let matters = way == Way::Forward
            || rollout.way_of(*id) == way
            || rollout.step(*id).is_some_and(|s| matches!(s.action, Action::CloseGrant(_)));
        (failed && matters).then_some(*id)
    })
}
