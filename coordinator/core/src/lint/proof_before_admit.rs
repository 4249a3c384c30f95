//! Law: a member is admitted only after it was proven, and proven only after its last start.

use super::{Case, broken, graph::Graph};
use crate::{
    fault::{Fault, FaultCode},
    plan::{Action, ActionKind, Target},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    way(&case.forward, faults);
    way(&case.undo, faults);
    way(&case.restore, faults);
}

fn way(graph: &Graph<'_>, faults: &mut Vec<Fault>) {
    for admit in graph.of(ActionKind::Admit) {
        let Target::Balancer(_, member) = &admit.target else { continue };
        let proven = graph
            .on_member(ActionKind::Prove, member)
            .filter(|proof| graph.before(proof, admit))
            .any(|proof| {
                graph.on_member(ActionKind::StartService, member).all(|start| graph.before(start, proof))
            });
        if !proven {
            faults.push(broken(
                FaultCode::LawProofBeforeAdmit,
                admit,
                format!("{member} is not proven before it"),
            ));
        }
    }
    for step in graph.steps() {
        let empty = matches!(&step.action, Action::Prove(prove) if prove.probes.is_empty())
            || matches!(&step.action, Action::Run(run) if run.done.is_empty());
        if empty {
            faults.push(broken(
                FaultCode::LawProofBeforeAdmit,
                step,
                "a proof without a probe proves nothing",
            ));
        }
    }
    for start in graph.of(ActionKind::StartService) {
        let Target::Member(member) = &start.target else { continue };
        if !graph.on_member(ActionKind::Prove, member).any(|proof| graph.before(start, proof)) {
            faults.push(broken(FaultCode::LawProofBeforeAdmit, start, "nothing proves it"));
        }
    }
}
