//! Law: in an adoption nobody is forgotten. Who has the new version is left running, proven before anybody is taken out,
//! and admitted; who has the old one goes the whole way.

use super::{Case, broken, broken_whole, nobody_forgotten::WAY};
use crate::{
    fault::{Fault, FaultCode},
    ids::MemberName,
    plan::{ActionKind, Target},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    for (member, bound) in &case.plan.bound.members {
        if bound.version == case.plan.to {
            new(case, member, faults);
        } else if bound.version == case.plan.from {
            old(case, member, faults);
        } else {
            let text = format!("{member} has {}, which is neither version of this plan", bound.version);
            faults.push(broken_whole(FaultCode::LawAdoptedWhole, text));
        }
        for balancer in case.plan.targets.balancers.iter().filter(|(_, b)| b.servers.contains_key(member)) {
            let has = |kind: ActionKind| {
                let mut steps = case.forward.on_balancer(kind, member);
                steps.any(|s| matches!(&s.target, Target::Balancer(b, _) if b == balancer.0))
            };
            let drains = bound.version != case.plan.to;
            if !has(ActionKind::Admit) || has(ActionKind::Drain) != drains {
                let text = format!("{member} does not pass {} as its version asks", balancer.0);
                faults.push(broken_whole(FaultCode::LawAdoptedWhole, text));
            }
        }
    }
    for step in case.every_step() {
        if let Target::Member(member) | Target::Balancer(_, member) = &step.target
            && !case.plan.bound.members.contains_key(member)
        {
            faults.push(broken(FaultCode::LawAdoptedWhole, step, "it is about no member of this plan"));
        }
    }
}

fn new(case: &Case<'_>, member: &MemberName, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    for step in case.every_step() {
        let about = matches!(&step.target, Target::Member(m) | Target::Balancer(_, m) if m == member);
        let harmless = matches!(step.action.kind(), ActionKind::Prove | ActionKind::Admit);
        if about && (!harmless || step.owes.is_some() || step.settles.is_some()) {
            let text = format!("{member} has {} already and is only proven and admitted", case.plan.to);
            faults.push(broken(FaultCode::LawAdoptedWhole, step, text));
        }
    }
    if graph.on_member(ActionKind::Prove, member).next().is_none() {
        faults.push(broken_whole(FaultCode::LawAdoptedWhole, format!("{member} is not proven")));
    }
    let outs = graph.of(ActionKind::Drain).chain(graph.of(ActionKind::StopService));
    for out in outs {
        if graph.on_member(ActionKind::Prove, member).any(|proof| !graph.before(proof, out)) {
            let text = format!("{member}, which stays, is not proven before it");
            faults.push(broken(FaultCode::LawAdoptedWhole, out, text));
        }
    }
}

fn old(case: &Case<'_>, member: &MemberName, faults: &mut Vec<Fault>) {
    for kind in WAY {
        let count = case.forward.on_member(kind, member).count();
        if count == 0 || (kind != ActionKind::Prove && count > 1) {
            let text = format!("{member} has {count} steps {kind}");
            faults.push(broken_whole(FaultCode::LawAdoptedWhole, text).allowed("one"));
        }
    }
}
