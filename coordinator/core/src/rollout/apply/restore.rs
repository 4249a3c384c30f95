//! Restoring the whole set: the way back after the point of no return.

use super::{At, active, control::go_on};
use crate::{
    identity::Right,
    rollout::{
        loss,
        rejection::Rejection,
        state::{GrantState, Restore, Rollout, State, StepPhase},
    },
};

/// Begins a restore. Said again while it restores, it accepts another loss and lets a failed step of the restore be
/// tried again; it never goes forward again.
pub(super) fn restore(
    state: &mut State,
    at: &At<'_>,
    reason: &str,
    accept_loss: Option<u64>,
) -> Result<(), Rejection> {
    let by = at.actor(Right::Operate)?.name.clone();
    let rollout = active(state)?;
    if rollout.no_return.is_none() {
        return Err(Rejection::BeforePointOfNoReturn);
    }
    if rollout.plan.restore.is_empty() {
        return Err(Rejection::BadPlan("it holds no way back after the point of no return".into()));
    }
    // The holder is proven out before anything is decided: what it left is only known then.
    if let Some(grant) = rollout.grants.values().find(|g| g.state != GrantState::Closed) {
        return Err(Rejection::GrantOpen(grant.member.clone()));
    }
    let accepted = match accept_loss {
        None => String::new(),
        Some(loss::UNCOUNTED) => ", whatever was written since is given up".to_owned(),
        Some(rows) => format!(", {rows} rows written since are given up"),
    };
    rollout.note(at.index, at.time, None, format!("restore by {by}: {reason}{accepted}"));
    match &mut rollout.restore {
        Some(begun) => begun.accept_loss = accept_loss.or(begun.accept_loss),
        None => {
            rollout.restore = Some(Restore { by, reason: reason.to_owned(), since: at.time, accept_loss })
        }
    }
    try_again(rollout);
    go_on(rollout);
    Ok(())
}

fn try_again(rollout: &mut Rollout) {
    let plan = rollout.plan.clone();
    for step in &plan.restore {
        if let Some(record) = rollout.steps.get_mut(&step.id)
            && matches!(record.phase, StepPhase::Failed { .. })
        {
            record.phase = StepPhase::Pending;
        }
    }
}
