//! Law of strategy `rolling`: the database stays as it is, one member is out at a time, never fewer than the capacity floor
//! stay in a balancer, and each passes whole: out, stopped, at the right release, started, proven, in.

use super::{Case, broken, broken_whole, graph::Graph};
use crate::{
    fault::{Fault, FaultCode},
    ids::MemberName,
    plan::{Action, ActionKind, OwedKey, Phase, Step, Target},
};
use std::collections::BTreeSet;

/// What a member passes, in this order.
const PASS: [ActionKind; 6] = [
    ActionKind::Drain,
    ActionKind::StopService,
    ActionKind::SwitchRelease,
    ActionKind::StartService,
    ActionKind::Prove,
    ActionKind::Admit,
];

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    floor(case, faults);
    for step in case.every_step() {
        if matches!(step.target, Target::Database(_)) || step.grant.is_some() || step.irreversible {
            faults.push(broken(FaultCode::LawRolling, step, "a rolling plan does nothing at a database"));
        }
        if step.phase != Phase::Before {
            faults.push(broken(FaultCode::LawRolling, step, "a rolling plan has no outage"));
        }
    }
    for step in case.restore.steps() {
        faults.push(broken(FaultCode::LawRolling, step, "a rolling plan has nothing to restore"));
    }
    for (graph, version) in [(&case.forward, &case.plan.to), (&case.undo, &case.plan.from)] {
        one_at_a_time(graph, faults);
        for member in case.plan.bound.members.keys() {
            passes_whole(case, graph, member, faults);
        }
        for step in graph.steps() {
            let wrong = match &step.action {
                Action::StartService(start) => start.version != *version,
                Action::SwitchRelease(switch) => switch.version != *version,
                _ => false,
            };
            if wrong {
                faults.push(broken(FaultCode::LawRolling, step, format!("it is not about {version}")));
            }
        }
    }
    forward(case, faults);
    back(case, faults);
}

/// The floor is said, and whoever is taken out leaves enough others in.
fn floor(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let Some(floor) = case.plan.policy.capacity_floor else {
        faults.push(broken_whole(FaultCode::LawRolling, "a rolling plan says no capacity floor"));
        return;
    };
    for (balancer, spec) in &case.plan.targets.balancers {
        if !spec.servers.is_empty() && spec.servers.len() <= floor as usize {
            let text = format!("with one member out, fewer than {floor} are left in {balancer}");
            faults.push(broken_whole(FaultCode::LawRolling, text));
        }
    }
}

/// All that touches a member's service is in one serial run, which lets one member in at a time.
fn one_at_a_time(graph: &Graph<'_>, faults: &mut Vec<Fault>) {
    let mut runs = BTreeSet::new();
    for step in graph.steps().filter(|step| step.action.kind() != ActionKind::StageRelease) {
        match (&step.serial, &step.target) {
            (Some(serial), Target::Member(m) | Target::Balancer(_, m)) if serial.member == *m => {
                runs.insert(&serial.run);
                if serial.first.is_some() {
                    faults.push(broken(FaultCode::LawRolling, step, "there is no upgrader to go first"));
                }
            }
            (_, _) => {
                faults.push(broken(FaultCode::LawRolling, step, "another member could be out meanwhile"))
            }
        }
    }
    if runs.len() > 1 {
        faults
            .push(broken_whole(FaultCode::LawRolling, "members pass in runs that do not know of each other"));
    }
}

/// Each of a member's steps waits for the ones before it.
fn passes_whole(case: &Case<'_>, graph: &Graph<'_>, member: &MemberName, faults: &mut Vec<Fault>) {
    let of = |kind: ActionKind| -> Vec<&Step> {
        graph.on_member(kind, member).chain(graph.on_balancer(kind, member)).collect()
    };
    let mut earlier: Vec<&Step> = Vec::new();
    for kind in PASS {
        let steps = of(kind);
        for step in &steps {
            if let Some(late) = earlier.iter().find(|earlier| !graph.before(earlier, step)) {
                let text = format!("it does not wait for step {} of the same member", late.id);
                faults.push(broken(FaultCode::LawRolling, step, text));
            }
        }
        earlier.extend(steps);
    }
    for kind in [ActionKind::StartService, ActionKind::Prove] {
        if of(kind).is_empty() {
            faults.push(broken_whole(
                FaultCode::LawRolling,
                format!("{member} has no step {kind} on one of the ways"),
            ));
        }
    }
    for (balancer, spec) in &case.plan.targets.balancers {
        let admitted = of(ActionKind::Admit)
            .iter()
            .any(|s| matches!(&s.target, Target::Balancer(b, _) if b == balancer));
        if spec.servers.contains_key(member) && !admitted {
            faults.push(broken_whole(
                FaultCode::LawRolling,
                format!("{member} is not put back into {balancer}"),
            ));
        }
    }
}

/// With another version every member is switched to a release that is staged everywhere before the first is taken out.
fn forward(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    let restart = case.plan.from == case.plan.to;
    for start in graph.of(ActionKind::StartService) {
        let Target::Member(member) = &start.target else { continue };
        let switched = graph.any_before(graph.on_member(ActionKind::SwitchRelease, member), start);
        if switched == restart {
            let text = if restart {
                "a restart switches no release"
            } else {
                "its release is not switched before it"
            };
            faults.push(broken(FaultCode::LawRolling, start, text));
        }
        if !graph.any_before(graph.on_member(ActionKind::StopService, member), start) {
            faults.push(broken(FaultCode::LawRolling, start, "it is not stopped before it"));
        }
    }
    for switch in graph.of(ActionKind::SwitchRelease) {
        let Action::SwitchRelease(to) = &switch.action else { continue };
        let staged = graph.of(ActionKind::StageRelease).any(|stage| {
            matches!(&stage.action, Action::StageRelease(s) if s.directory == to.directory && s.version == to.version)
                && stage.target == switch.target
        });
        if !staged {
            faults.push(broken(FaultCode::LawRolling, switch, "this release is not staged there"));
        }
    }
    for drain in graph.of(ActionKind::Drain) {
        if let Some(late) = graph.of(ActionKind::StageRelease).find(|stage| !graph.before(stage, drain)) {
            let text = format!("a member is taken out before step {} has staged the release", late.id);
            faults.push(broken(FaultCode::LawRolling, drain, text));
        }
    }
}

/// The way back puts back only who is out, and takes nobody's service without draining it first.
fn back(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.undo;
    let owed: BTreeSet<(&OwedKey, &MemberName)> = case
        .forward
        .of(ActionKind::Drain)
        .filter_map(|drain| match &drain.target {
            Target::Balancer(_, member) => Some((drain.owes.as_ref()?, member)),
            Target::Member(_) | Target::Database(_) => None,
        })
        .collect();
    for step in graph.steps() {
        let (Target::Member(member) | Target::Balancer(_, member)) = &step.target else { continue };
        if !step.while_owed.as_ref().is_some_and(|key| owed.contains(&(key, member))) {
            faults.push(broken(FaultCode::LawRolling, step, "it would touch a member that is not out"));
        }
    }
    for stop in graph.of(ActionKind::StopService) {
        let Target::Member(member) = &stop.target else { continue };
        for balancer in
            case.plan.targets.balancers.iter().filter(|(_, spec)| spec.servers.contains_key(member))
        {
            let drains = graph
                .on_balancer(ActionKind::Drain, member)
                .filter(|s| matches!(&s.target, Target::Balancer(b, _) if b == balancer.0));
            if !graph.any_before(drains, stop) {
                faults.push(broken(
                    FaultCode::LawRolling,
                    stop,
                    format!("{member} is not drained from {}", balancer.0),
                ));
            }
        }
    }
    if case.plan.from == case.plan.to {
        return;
    }
    for start in graph.of(ActionKind::StartService) {
        let Target::Member(member) = &start.target else { continue };
        for kind in [ActionKind::StopService, ActionKind::SwitchRelease] {
            if !graph.any_before(graph.on_member(kind, member), start) {
                faults.push(broken(FaultCode::LawRolling, start, format!("there is no {kind} before it")));
            }
        }
    }
}
