//! Law: no database is proven idle, backed up, shut or upgraded while the application of any member may still run.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, Target},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    for step in graph.steps().filter(|s| matches!(s.target, Target::Database(_))) {
        for member in case.plan.bound.members.keys() {
            if !graph.any_before(graph.on_member(ActionKind::StopService, member), step) {
                let text = format!("{member} is not stopped before it");
                faults.push(broken(FaultCode::LawStopBeforeDatabase, step, text));
            }
        }
    }
}
