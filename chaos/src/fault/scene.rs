//! Where a rollout is, as far as anybody has seen: what triggers wait for and victims are chosen by.

use crate::watch::Watch;
use lockkeeper_core::{
    ids::MemberName,
    plan::{ActionKind, SharedTarget},
    rollout::{
        State,
        state::{GrantState, StepPhase},
    },
};
use std::{collections::BTreeMap, sync::Arc};

/// A moment of the rollout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scene {
    /// A rollout is under way.
    pub active: bool,
    /// Rollouts that ended.
    pub ended: usize,
    /// Who leads.
    pub leader: Option<MemberName>,
    /// Who holds an open grant.
    pub holder: Option<MemberName>,
    /// Who works the database's door.
    pub executor: Option<MemberName>,
    /// Who has what to do.
    pub assigned: BTreeMap<ActionKind, MemberName>,
    /// A failed step, if there is one.
    pub failed: Option<u32>,
}

impl Scene {
    /// The furthest state anybody showed.
    pub fn of(watch: &Watch) -> Self {
        let leader = watch.leader();
        match watch.newest() {
            Some(state) => Self { leader, ..Self::in_state(&state) },
            None => Self { leader, ..Self::default() },
        }
    }

    fn in_state(state: &Arc<State>) -> Self {
        let ended = state.history.len();
        let Some(rollout) = &state.rollout else { return Self { ended, ..Self::default() } };
        let open = rollout.grants.values().find(|grant| grant.state == GrantState::Open);
        let works = |(target, _): &(&SharedTarget, &MemberName)| matches!(target, SharedTarget::Database(_));
        let mut scene = Self {
            active: true,
            ended,
            holder: open.map(|grant| grant.member.clone()),
            executor: rollout.executors.iter().find(works).map(|(_, member)| member.clone()),
            ..Self::default()
        };
        for (id, record) in &rollout.steps {
            match (&record.phase, rollout.step(*id)) {
                (StepPhase::Assigned { member, .. }, Some(step)) => {
                    scene.assigned.insert(step.action.kind(), member.clone());
                }
                (StepPhase::Failed { .. }, _) => scene.failed = Some(id.0),
                _ => {}
            }
        }
        scene
    }
}
