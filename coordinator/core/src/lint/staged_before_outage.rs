//! Law: what users need not be out for is done before they are: every release is staged and compared before the
//! first drain or stop.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, Phase},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    let outs: Vec<_> = graph.of(ActionKind::Drain).chain(graph.of(ActionKind::StopService)).collect();
    for out in &outs {
        if let Some(late) = graph.of(ActionKind::StageRelease).find(|stage| !graph.before(stage, out)) {
            let text = format!(
                "users are put out before step {} has staged the release on {}",
                late.id, late.target
            );
            faults.push(broken(FaultCode::LawStagedBeforeOutage, out, text));
        }
        if out.phase == Phase::Before {
            faults.push(broken(FaultCode::LawStagedBeforeOutage, out, "it is planned before the outage"));
        }
    }
}
