//! How long a plan will take, from the estimates of its steps.

use super::Forecast;
use crate::{
    ids::{MemberName, StepId},
    plan::{Phase, Plan, Step, Strategy, Target},
    time::Millis,
};
use std::collections::{BTreeMap, BTreeSet};

/// Longest paths over the steps' estimates. The first member of the serial run waits for nobody; all others follow
/// one after another.
pub(super) fn forecast(plan: &Plan) -> Forecast {
    let mut ends: BTreeMap<StepId, u64> = BTreeMap::new();
    // When everything up to a step has ended; edges lead to earlier steps only.
    let mut all_end: BTreeMap<StepId, u64> = BTreeMap::new();
    let mut latest = 0;
    for step in &plan.steps {
        let barrier = step.after_all.as_ref().and_then(|id| all_end.get(id));
        let begin = step.after.iter().filter_map(|a| ends.get(a)).chain(barrier).max().copied().unwrap_or(0);
        let end = begin.saturating_add(step.estimate.0);
        ends.insert(step.id, end);
        latest = end.max(latest);
        all_end.insert(step.id, latest);
    }
    if plan.strategy == Strategy::Rolling {
        let before = plan.steps.iter().filter(|s| s.serial.is_none()).filter_map(|s| ends.get(&s.id)).max();
        let passes: u64 = serial_runs(plan).into_values().sum();
        return Forecast {
            outage: Millis(0),
            total: Millis(before.copied().unwrap_or(0).saturating_add(passes)),
        };
    }
    let end = |step: &Step| ends.get(&step.id).copied().unwrap_or(0);
    let begin_of_outage = plan
        .steps
        .iter()
        .filter(|s| s.phase != Phase::Before)
        .map(|s| end(s).saturating_sub(s.estimate.0))
        .min()
        .unwrap_or(0);
    let mut last: BTreeMap<&MemberName, u64> = BTreeMap::new();
    for step in &plan.steps {
        if let Some(member) = member_of(step) {
            let known = last.entry(member).or_insert(0);
            *known = (*known).max(end(step));
        }
    }
    let runs = serial_runs(plan);
    let may_be_first: Option<BTreeSet<&MemberName>> =
        plan.policy.upgraders.values().next().map(|upgraders| upgraders.iter().collect());
    let first = plan
        .bound
        .members
        .keys()
        .filter(|m| may_be_first.as_ref().is_none_or(|may| may.contains(m)))
        .filter_map(|m| last.get(m))
        .copied()
        .min()
        .unwrap_or(0);
    // Somebody of the run is the first, unless those that are first never pass through it.
    let ahead = if plan.bound.members.keys().all(|m| runs.contains_key(m)) {
        runs.values().copied().max().unwrap_or(0)
    } else {
        0
    };
    let others: u64 = runs.values().copied().sum::<u64>().saturating_sub(ahead);
    Forecast {
        outage: Millis(first.saturating_sub(begin_of_outage)),
        total: Millis(first.saturating_add(others)),
    }
}

/// How long each member is inside the serial run.
fn serial_runs(plan: &Plan) -> BTreeMap<&MemberName, u64> {
    let mut runs = BTreeMap::new();
    for step in &plan.steps {
        if let Some(serial) = &step.serial {
            *runs.entry(&serial.member).or_insert(0) += step.estimate.0;
        }
    }
    runs
}

/// The member a step is about.
pub(super) fn member_of(step: &Step) -> Option<&MemberName> {
    match &step.target {
        Target::Member(member) | Target::Balancer(_, member) => Some(member),
        Target::Database(_) => None,
    }
}
