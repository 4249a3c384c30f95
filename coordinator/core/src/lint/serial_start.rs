//! Law: members start one after another, each proven before the next begins, the upgrader first.

use super::{Case, broken, graph::Graph};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, Target},
};
use std::collections::BTreeSet;

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    way(case, &case.forward, true, faults);
    way(case, &case.undo, false, faults);
    way(case, &case.restore, false, faults);
}

fn way(case: &Case<'_>, graph: &Graph<'_>, forward: bool, faults: &mut Vec<Fault>) {
    let mut runs = BTreeSet::new();
    for start in graph.of(ActionKind::StartService) {
        let Some(serial) = &start.serial else {
            faults.push(broken(FaultCode::LawSerialStart, start, "members could start at the same time"));
            continue;
        };
        runs.insert(&serial.run);
        let own_proof = graph.on_member(ActionKind::Prove, &serial.member).any(|proof| {
            graph.before(start, proof)
                && proof.serial.as_ref().is_some_and(|s| s.run == serial.run && s.member == serial.member)
        });
        if !own_proof {
            faults.push(broken(
                FaultCode::LawSerialStart,
                start,
                "the next member could start before it is proven",
            ));
        }
        let upgrades = case
            .forward
            .of(ActionKind::UpgradeDatabase)
            .any(|u| matches!(&u.target, Target::Database(d) if serial.first.as_ref() == Some(d)));
        if case.plan.adopt.is_some() {
            if serial.first.is_some() {
                faults.push(broken(FaultCode::LawSerialStart, start, "nobody is elected, so nobody is first"));
            }
        } else if forward && !case.plan.targets.databases.is_empty() && !upgrades {
            faults.push(broken(
                FaultCode::LawSerialStart,
                start,
                "the elected upgrader is not the first to start",
            ));
        }
    }
    if runs.len() > 1
        && let Some(start) = graph.of(ActionKind::StartService).last()
    {
        faults.push(broken(
            FaultCode::LawSerialStart,
            start,
            "members start in runs that do not know of each other",
        ));
    }
    for step in graph.steps() {
        if let Some(serial) = &step.serial
            && !matches!(&step.target, Target::Member(m) | Target::Balancer(_, m) if *m == serial.member)
        {
            faults.push(broken(
                FaultCode::LawSerialStart,
                step,
                format!("it is in the run of {}", serial.member),
            ));
        }
    }
}
