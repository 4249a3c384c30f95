//! No effect outside an approved plan: every one names a step of it, of the same kind on the same target, and comes
//! after the approval.
//!
//! Source: the effect log against the plan file a person approved. People learn a rollout's number from the API, which
//! may be later than its first effect, so unknown numbers are settled at the end. Not stronger: that a changed bound
//! fact voids an approval is shown by the core's own tests, because here nobody changes facts behind Lockkeeper's back.

use super::{Case, Invariant, Name};
use crate::world::EffectId;
use lockkeeper_core::{ids::RolloutId, plan::Plan};
use std::collections::BTreeSet;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0} before anything was approved")]
    Unapproved(EffectId),
    #[error("{0} is not in the approved plan")]
    NotInPlan(EffectId),
    #[error("rollout {0} is nobody's")]
    Unknown(RolloutId),
}

#[derive(Default)]
pub struct OnlyApproved {
    rollouts: BTreeSet<RolloutId>,
}

fn is_in(plan: &Plan, by: &EffectId) -> bool {
    plan.every_step()
        .any(|step| step.id == by.step && step.action.kind() == by.kind && step.target == by.target)
}

impl Invariant for OnlyApproved {
    fn name(&self) -> Name {
        Name::OnlyApproved
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        for by in case.lines.iter().filter_map(|line| line.by.as_ref()) {
            let Some((plan, _)) = case.approved else { return Err(Broken::Unapproved(by.clone()).into()) };
            if !is_in(plan, by) {
                return Err(Broken::NotInPlan(by.clone()).into());
            }
            self.rollouts.insert(by.rollout);
        }
        if case.over.is_some()
            && let Some((_, known)) = case.approved
            && let Some(stranger) = self.rollouts.iter().find(|rollout| !known.contains_key(rollout))
        {
            return Err(Broken::Unknown(*stranger).into());
        }
        Ok(())
    }
}
