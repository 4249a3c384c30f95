//! The longest chain of real actions that had to follow one another: what the rollout takes when coordination takes
//! nothing. Pure; knows the plan's order and each action's begin and end.

use lockkeeper_core::{
    plan::{Plan, Step},
    view::StepView,
};
use std::collections::BTreeMap;

/// The length of the longest chain, milliseconds. A chain follows the plan's `after`, and in a serial run from one
/// member's last step to the next member's first, in the order the members really went.
pub fn length_ms(plan: &Plan, steps: &[StepView]) -> u64 {
    let done: BTreeMap<u32, &StepView> =
        steps.iter().filter(|step| step.state == "done" && !step.undo).map(|step| (step.id, step)).collect();
    let mut edges = after(plan);
    serial(plan, &done, &mut edges);
    let mut order: Vec<u32> = done.keys().copied().collect();
    // A step is handed out after those it waits for have ended, so this order respects every edge.
    order.sort_by_key(|id| (done.get(id).and_then(|step| step.began), *id));
    let mut ends: BTreeMap<u32, u64> = BTreeMap::new();
    for id in order {
        let before = edges.get(&id).into_iter().flatten().filter_map(|id| ends.get(id)).max().copied();
        let took = done.get(&id).map(|step| action_ms(step)).unwrap_or_default();
        ends.insert(id, before.unwrap_or_default() + took);
    }
    ends.values().max().copied().unwrap_or_default()
}

/// How long a step's action took by the acting host; by the log where the host did not say.
fn action_ms(step: &StepView) -> u64 {
    let (from, to) = step.action_ms.or(step.began.zip(step.ended)).unwrap_or_default();
    to.saturating_sub(from)
}

fn after(plan: &Plan) -> BTreeMap<u32, Vec<u32>> {
    let all = |step: &Step| 1..=step.after_all.map_or(0, |id| id.0);
    let before = |step: &Step| all(step).chain(step.after.iter().map(|id| id.0)).collect();
    plan.steps.iter().map(|step| (step.id.0, before(step))).collect()
}

fn serial(plan: &Plan, done: &BTreeMap<u32, &StepView>, edges: &mut BTreeMap<u32, Vec<u32>>) {
    let mut runs: BTreeMap<&str, BTreeMap<&str, Vec<u32>>> = BTreeMap::new();
    for step in &plan.steps {
        if let Some(serial) = &step.serial {
            let members = runs.entry(&serial.run).or_default();
            members.entry(serial.member.as_str()).or_default().push(step.id.0);
        }
    }
    let began = |ids: &Vec<u32>| ids.iter().filter_map(|id| done.get(id)?.began).min();
    for members in runs.into_values() {
        let mut passes: Vec<Vec<u32>> = members.into_values().collect();
        passes.sort_by_key(began);
        for pair in passes.windows(2) {
            if let [first, second] = pair {
                for id in second {
                    edges.entry(*id).or_default().extend(first);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::invariants::healthy;

    /// The healthy rollout's steps, each with an action of `ms` and handed out in the order of their numbers.
    fn timed(ms: u64) -> (Plan, Vec<StepView>) {
        let evidence = healthy::evidence();
        let mut steps = evidence.rollout.steps;
        for step in &mut steps {
            let at = u64::from(step.id) * 1_000;
            (step.began, step.ended, step.action_ms) = (Some(at), Some(at + 900), Some((at, at + ms)));
        }
        (evidence.plan, steps)
    }

    #[test]
    fn a_chain_adds_up_and_parallel_members_do_not() {
        let (mut plan, steps) = timed(10);
        for step in &mut plan.steps {
            (step.after, step.after_all, step.serial) = (Vec::new(), None, None);
        }
        assert_eq!(length_ms(&plan, &steps), 10, "nothing waits for anything");
        let ids: Vec<_> = plan.steps.iter().map(|step| step.id).collect();
        for (step, before) in plan.steps.iter_mut().skip(1).zip(&ids) {
            step.after = vec![*before];
        }
        assert_eq!(length_ms(&plan, &steps), 10 * ids.len() as u64, "everything waits");
    }

    #[test]
    fn members_of_a_serial_run_add_up() {
        let (mut plan, steps) = timed(10);
        let serial = plan.steps.iter().filter(|step| step.serial.is_some()).count() as u64;
        assert!(serial > 3, "the plan has a serial run");
        for step in &mut plan.steps {
            (step.after, step.after_all) = (Vec::new(), None);
        }
        let members = plan.bound.members.len() as u64;
        assert_eq!(length_ms(&plan, &steps), 10 * members, "one step of each member");
    }

    #[test]
    fn what_the_host_did_not_time_counts_by_the_log() {
        let (mut plan, mut steps) = timed(10);
        for step in &mut plan.steps {
            (step.after, step.after_all, step.serial) = (Vec::new(), None, None);
        }
        if let Some(step) = steps.iter_mut().find(|step| !step.undo) {
            step.action_ms = None;
        }
        assert_eq!(length_ms(&plan, &steps), 900);
    }
}
