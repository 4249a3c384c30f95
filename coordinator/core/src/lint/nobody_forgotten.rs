//! Law: every member goes the whole way, and the same one as all others: staged, drained and admitted at every
//! balancer it is behind, stopped, switched, started, proven.

use super::{Case, broken_whole};
use crate::{
    fault::{Fault, FaultCode},
    ids::MemberName,
    plan::{ActionKind, Step, Target},
};
use std::collections::BTreeMap;

/// What a member goes through on its own host.
pub(super) const WAY: [ActionKind; 5] = [
    ActionKind::StageRelease,
    ActionKind::StopService,
    ActionKind::SwitchRelease,
    ActionKind::StartService,
    ActionKind::Prove,
];

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let mut fault = |text: String| faults.push(broken_whole(FaultCode::LawNobodyForgotten, text));
    let forward = counts(case.forward.steps());
    let back = counts(case.undo.steps());
    let restored = counts(case.restore.steps());
    for member in case.plan.bound.members.keys() {
        for kind in WAY {
            let count = forward.get(&(member, kind)).copied().unwrap_or(0);
            let needed =
                usize::from(case.forward.of(kind).next().is_some() || kind == ActionKind::StopService);
            if count < needed {
                fault(format!("the step {kind} is missing for {member}"));
            }
        }
        for (balancer, spec) in &case.plan.targets.balancers {
            let has = |kind: ActionKind| {
                case.forward
                    .on_balancer(kind, member)
                    .any(|s| matches!(&s.target, Target::Balancer(b, _) if b == balancer))
            };
            for kind in [ActionKind::Drain, ActionKind::Admit] {
                if spec.servers.contains_key(member) && !has(kind) {
                    fault(format!("the step {kind} at {balancer} is missing for {member}"));
                }
            }
        }
    }
    // Twins: whoever does less than another on its own host was forgotten somewhere.
    for (counts, way) in [(&forward, "way forward"), (&back, "way back"), (&restored, "restore")] {
        let mut most: BTreeMap<ActionKind, usize> = BTreeMap::new();
        for ((_, kind), count) in counts {
            let known = most.entry(*kind).or_insert(0);
            *known = (*known).max(*count);
        }
        for member in case.plan.bound.members.keys() {
            for (kind, most) in &most {
                if counts.get(&(member, *kind)).copied().unwrap_or(0) < *most {
                    fault(format!("{member} has fewer steps {kind} on the {way} than others"));
                }
            }
        }
    }
    for step in case.every_step() {
        if let Target::Member(member) | Target::Balancer(_, member) = &step.target
            && !case.plan.bound.members.contains_key(member)
        {
            fault(format!("step {} is about {member}, which is no member of this plan", step.id));
        }
    }
}

/// Steps on members' own hosts.
fn counts<'p>(steps: impl Iterator<Item = &'p Step>) -> BTreeMap<(&'p MemberName, ActionKind), usize> {
    let mut counts = BTreeMap::new();
    for step in steps {
        if let Target::Member(member) = &step.target {
            *counts.entry((member, step.action.kind())).or_insert(0) += 1;
        }
    }
    counts
}
