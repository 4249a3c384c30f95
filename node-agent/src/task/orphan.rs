//! Attempts the journal holds open and no assignment names: given back, or carried to their end.
//!
//! After a restart the view this agent has may be older than the assignment, so the group is asked first.

use super::{
    attempt::{Attempt, TaskError},
    context::Context,
};
use crate::{
    code::AgentCode,
    journal::{Ending, Key, Record},
};
use lockkeeper_core::{
    ids::LogIndex,
    rollout::{Assignment, Rollout, State},
};
use std::{collections::BTreeMap, sync::Arc};

/// Settles one open attempt.
pub async fn settle(context: Arc<Context>, key: Key) -> Result<(), TaskError> {
    let (_, view) = context.ask().await;
    let assignment = context.assignment(&view, &key).or_else(|| rebuild(&view.state, &key, &context));
    match assignment {
        Some(assignment) => Attempt::new(context, assignment, view.applied).run().await,
        None => close(&context, key),
    }
}

/// What the attempt was about, from the rollout that once handed it out. It is not wanted any more: nothing starts.
fn rebuild(state: &State, key: &Key, context: &Context) -> Option<Assignment> {
    let past = state.history.iter().map(Arc::as_ref);
    let rollout: &Rollout = state.rollout.iter().chain(past).find(|rollout| rollout.id == key.rollout)?;
    let step = rollout.step(key.step)?.clone();
    let captured =
        step.settles.as_ref().and_then(|owed| rollout.owed.get(owed)).map(|owed| owed.captured.clone());
    Some(Assignment {
        attempt: key.reference(&context.me),
        step,
        plan: rollout.plan.clone(),
        inputs: rollout.outputs.clone(),
        captured,
        grants: BTreeMap::new(),
        wanted: false,
        trace: lockkeeper_core::trace::of_step(rollout, key.step).traceparent(),
        at: rollout.started,
    })
}

/// The group does not even know the rollout any more: nobody waits for a report.
fn close(context: &Context, key: Key) -> Result<(), TaskError> {
    let Some(entry) = context.entry(&key) else { return Ok(()) };
    if entry.ending.is_none() {
        let ending = if entry.started {
            let failure = AgentCode::Overtaken.failure("the rollout is not known any more");
            Ending::Failed { failure, verdict: None }
        } else {
            Ending::Dropped
        };
        context.record(&Record::End { key, ending })?;
    }
    tracing::warn!(code = "LK6106", %key, "an attempt of a rollout that is not known any more was closed");
    Ok(context.record(&Record::Reported { key })?)
}

/// Whether a view is worth looking at: one without a group is the empty state of a node that has not heard yet.
pub fn has_heard(applied: LogIndex) -> bool {
    applied > LogIndex(0)
}
