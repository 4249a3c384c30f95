//! What one agent is to do: its assignments, with all it needs to do them.

use super::{
    command::AttemptRef,
    state::{GrantState, Rollout, State, Status, StepPhase},
};
use crate::{
    ids::{DatabaseName, MemberName, Token},
    plan::{Plan, Step},
    time::LogTime,
};
use std::{collections::BTreeMap, sync::Arc};

/// One attempt at one step, for the agent that has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Names the attempt; repeated in everything the agent says about it.
    pub attempt: AttemptRef,
    /// What to do.
    pub step: Step,
    /// The plan, for the targets' connections.
    pub plan: Arc<Plan>,
    /// Values that earlier steps left.
    pub inputs: BTreeMap<String, String>,
    /// For a step that gives something back: the captured value, if it is owed.
    pub captured: Option<String>,
    /// Grants that are not closed.
    pub grants: BTreeMap<DatabaseName, (MemberName, Token)>,
    /// Whether the effect may still be started. What has started goes on to its end.
    pub wanted: bool,
    /// `traceparent` of the step's span, the parent of the attempt's.
    pub trace: String,
    /// When it was handed out, by the log's clock.
    pub at: LogTime,
}

/// The assignments of `me`, in the plan's order.
pub fn assignments_for(state: &State, me: &MemberName) -> Vec<Assignment> {
    let Some(rollout) = &state.rollout else { return Vec::new() };
    rollout
        .steps
        .iter()
        .filter_map(|(id, record)| match &record.phase {
            StepPhase::Assigned { member, token, at, .. } if member == me => {
                let step = rollout.step(*id)?.clone();
                let attempt = AttemptRef {
                    rollout: rollout.id,
                    step: *id,
                    attempt: record.attempt,
                    token: *token,
                    member: member.clone(),
                };
                let captured = step
                    .settles
                    .as_ref()
                    .and_then(|k| rollout.owed.get(k))
                    .filter(|o| o.state.is_open())
                    .map(|o| o.captured.clone());
                Some(Assignment {
                    wanted: is_wanted(rollout, &step),
                    attempt,
                    plan: rollout.plan.clone(),
                    inputs: rollout.outputs.clone(),
                    captured,
                    grants: open_grants(rollout),
                    trace: crate::trace::of_step(rollout, *id).traceparent(),
                    at: *at,
                    step,
                })
            }
            StepPhase::Assigned { .. }
            | StepPhase::Pending
            | StepPhase::Done { .. }
            | StepPhase::Failed { .. }
            | StepPhase::NotNeeded => None,
        })
        .collect()
}

/// Whether an attempt that has not started its effect may still start it. A pause takes effect at the next step
/// boundary, so what was handed out before it goes on; a halt and an abort stop what has not begun.
fn is_wanted(rollout: &Rollout, step: &Step) -> bool {
    if super::apply::is_shutting(rollout, step) {
        return true;
    }
    match rollout.status {
        Status::Running | Status::Paused { .. } => true,
        Status::Aborting | Status::Restoring => rollout.way_of(step.id) == rollout.way(),
        Status::Halted { .. }
        | Status::Completed { .. }
        | Status::Aborted { .. }
        | Status::Restored { .. } => false,
    }
}

fn open_grants(rollout: &Rollout) -> BTreeMap<DatabaseName, (MemberName, Token)> {
    let open = rollout.grants.iter().filter(|(_, g)| g.state != GrantState::Closed);
    open.map(|(d, g)| (d.clone(), (g.member.clone(), g.token))).collect()
}
