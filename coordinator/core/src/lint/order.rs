//! Law: numbers are 1, 2, 3 … through all ways, and every step waits for earlier ones of its own way only, so that
//! no circle is possible.

use super::broken;
use crate::{
    fault::{Fault, FaultCode},
    plan::{Plan, Step},
};

pub(super) fn law(plan: &Plan, faults: &mut Vec<Fault>) {
    way(&plan.steps, 1, faults);
    way(&plan.undo, plan.steps.len() + 1, faults);
    way(&plan.restore, plan.steps.len() + plan.undo.len() + 1, faults);
    if plan.steps.is_empty() {
        faults.push(super::broken_whole(FaultCode::LawOrder, "the plan has no steps"));
    }
}

fn way(steps: &[Step], first: usize, faults: &mut Vec<Fault>) {
    for (at, step) in steps.iter().enumerate() {
        let place = first + at;
        if usize::try_from(step.id.0).ok() != Some(place) {
            faults.push(broken(FaultCode::LawOrder, step, format!("it stands at place {place}")));
        }
        let wrong = |id: &u32| usize::try_from(*id).ok().is_none_or(|id| id < first || id >= place);
        if let Some(bad) = step.after.iter().chain(&step.after_all).map(|a| a.0).find(wrong) {
            faults.push(broken(FaultCode::LawOrder, step, format!("it cannot wait for step {bad}")));
        }
        if step.after.windows(2).any(|pair| pair[0] >= pair[1]) {
            faults.push(broken(FaultCode::LawOrder, step, "the steps it waits for are not in order"));
        }
    }
}
