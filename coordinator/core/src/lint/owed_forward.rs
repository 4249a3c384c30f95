//! Law: whatever the way forward changes, it gives back, later, and only that.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, OwedKey, Step},
};
use std::collections::BTreeMap;

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    let mut owed: BTreeMap<&OwedKey, &Step> = BTreeMap::new();
    let mut given: BTreeMap<&OwedKey, Vec<&Step>> = BTreeMap::new();
    for step in graph.steps() {
        if let Some(key) = &step.owes
            && owed.insert(key, step).is_some()
        {
            faults.push(broken(FaultCode::LawOwedForward, step, format!("{key} is owed by two steps")));
        }
        if let Some(key) = &step.settles {
            given.entry(key).or_default().push(step);
        }
        let changes =
            matches!(step.action.kind(), ActionKind::Drain | ActionKind::StopService | ActionKind::ShutDoor);
        let found = matches!(&step.target, crate::plan::Target::Balancer(balancer, member)
            if case.plan.bound.out.get(balancer).is_some_and(|servers| servers.contains_key(member)));
        if changes && step.owes.is_none() && !found {
            faults.push(broken(FaultCode::LawOwedForward, step, "it changes something and owes nothing"));
        }
    }
    for (key, step) in &owed {
        if !given.get(key).is_some_and(|steps| steps.iter().any(|g| graph.before(step, g))) {
            faults.push(broken(
                FaultCode::LawOwedForward,
                step,
                format!("{key} is never given back after it"),
            ));
        }
    }
    for (key, step) in given.iter().filter_map(|(key, steps)| Some((key, steps.first()?))) {
        if !owed.contains_key(*key) {
            faults.push(broken(FaultCode::LawOwedForward, step, format!("{key} is not owed by any step")));
        }
    }
}
