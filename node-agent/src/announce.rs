//! Tells the group what this agent can and may do: the planner and the leader give it nothing else.

use crate::task::Context;
use lockkeeper_core::{
    ids::RequestId,
    rollout::{Command, Reply, State, trust::FEATURE},
    time::Millis,
};
use std::sync::Arc;

/// Pause after the group refused an announcement, which only an odd state does: often enough for a person who mends
/// it, rare enough for the log.
const AFTER_REFUSAL: Millis = Millis::from_secs(10);

/// Announces whenever the state says something else, until the group is gone.
pub async fn keep(context: Arc<Context>, agent_version: String) {
    let mut follow = context.group.follow();
    let mut times = 0_u32;
    loop {
        let view = follow.borrow_and_update().clone();
        if differs(&view.state, &context, &agent_version) {
            let id = RequestId(format!("{}/announce/{}/{times}", context.me, context.clock.wall_ms()));
            times = times.wrapping_add(1);
            let command = Command::Announce {
                member: context.me.clone(),
                agent_version: agent_version.clone(),
                feature: FEATURE,
                actions: context.allowed.clone(),
            };
            if let Reply::Rejected(rejection) = context.insist(&id, "", &command).await {
                tracing::warn!(%rejection, "the group did not take what this agent can do");
                // A refusal is an entry too, and would be the next occasion.
                context.clock.sleep(AFTER_REFUSAL).await;
            }
        }
        // After an answer the next view shows what became of it; without one nothing is to be said.
        if follow.changed().await.is_err() {
            return;
        }
    }
}

/// Whether the state knows this node and says something else of it. A node that is not enrolled says nothing.
fn differs(state: &State, context: &Context, agent_version: &str) -> bool {
    state.nodes.get(&context.me).is_some_and(|node| {
        node.agent_version != agent_version || node.feature != FEATURE || node.actions != context.allowed
    })
}
