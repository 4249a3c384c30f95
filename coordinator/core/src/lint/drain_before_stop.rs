//! Law: a member is stopped only after it was drained from every balancer it is behind.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, Target},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    for stop in graph.of(ActionKind::StopService) {
        let Target::Member(member) = &stop.target else {
            faults.push(broken(FaultCode::LawDrainBeforeStop, stop, "a service belongs to a member"));
            continue;
        };
        for (balancer, spec) in &case.plan.targets.balancers {
            let drains = graph
                .on_balancer(ActionKind::Drain, member)
                .filter(|s| matches!(&s.target, Target::Balancer(b, _) if b == balancer));
            if spec.servers.contains_key(member) && !graph.any_before(drains, stop) {
                let text = format!("{member} is not drained from {balancer} before it");
                faults.push(broken(FaultCode::LawDrainBeforeStop, stop, text));
            }
        }
    }
}
