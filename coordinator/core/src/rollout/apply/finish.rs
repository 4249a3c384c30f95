//! Closing a rollout: only when every step is settled and nothing is owed.

use super::{At, active_is};
use crate::{
    ids::RolloutId,
    plan::Way,
    plant::{self, Plant},
    rollout::{
        limits,
        rejection::Rejection,
        state::{GrantState, Rollout, State, Status, StepPhase},
    },
};
use std::sync::Arc;

pub(super) fn finish(state: &mut State, at: &At<'_>, id: RolloutId) -> Result<RolloutId, Rejection> {
    let rollout = active_is(state, id)?;
    may_finish(rollout)?;
    rollout.status = match rollout.way() {
        Way::Forward => Status::Completed { at: at.time },
        Way::Undo => Status::Aborted { at: at.time },
        Way::Restore => Status::Restored { at: at.time },
    };
    rollout.note(at.index, at.time, None, rollout.status.word());
    if let Some(done) = state.rollout.take() {
        if state.history.len() >= limits::ROLLOUTS_KEPT {
            state.history.pop_front();
        }
        state.history.push_back(Arc::new(done));
    }
    Ok(id)
}

/// Whether everything is settled, or what is not.
pub(in crate::rollout) fn may_finish(rollout: &Rollout) -> Result<(), Rejection> {
    if let Some(open) = rollout.way_steps().iter().find(|s| !rollout.is_settled(s.id)) {
        return Err(Rejection::Unsettled(open.id));
    }
    let under_way =
        rollout.steps.iter().find(|(_, r)| matches!(r.phase, StepPhase::Assigned { .. })).map(|(id, _)| *id);
    if let Some(open) = under_way {
        return Err(Rejection::Unsettled(open));
    }
    if let Some(grant) = rollout.grants.values().find(|g| g.state != GrantState::Closed) {
        return Err(Rejection::GrantOpen(grant.member.clone()));
    }
    match rollout.owed_open().next().filter(|_| !plant::is(Plant::AbortForgets)) {
        Some((key, _)) => Err(Rejection::StillOwed(key.clone())),
        None => Ok(()),
    }
}
