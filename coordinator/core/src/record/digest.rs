//! The digest of a state, cheap enough to be taken after every command.

use crate::{
    ids::{Digest, PlanHash},
    plan::Plan,
    rollout::{Rollout, State},
};
use std::{collections::BTreeMap, sync::Arc};

/// Takes digests of the states of one script. Plans make most of a state and never change: their steps are left out,
/// and the plan's own hash, which covers them, stands for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Digester {
    outlines: BTreeMap<PlanHash, Arc<Plan>>,
}

impl Digester {
    /// The digest of everything but plans' steps.
    pub fn of(&mut self, state: &State) -> Digest {
        let mut light = state.clone();
        if let Some(rollout) = &mut light.rollout {
            rollout.plan = self.outline(&rollout.plan);
        }
        for past in &mut light.history {
            let plan = self.outline(&past.plan);
            *past = Arc::new(Rollout { plan, ..past.as_ref().clone() });
        }
        light.digest()
    }

    fn outline(&mut self, plan: &Arc<Plan>) -> Arc<Plan> {
        let light = || Arc::new(Plan { steps: Vec::new(), undo: Vec::new(), ..plan.as_ref().clone() });
        self.outlines.entry(plan.hash.clone()).or_insert_with(light).clone()
    }
}
