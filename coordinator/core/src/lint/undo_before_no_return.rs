//! Law: the way back holds only what undoes steps before the point of no return; past it there is none.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::ActionKind,
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    for step in case.undo.steps() {
        let harmless = matches!(
            step.action.kind(),
            ActionKind::OpenDoor
                | ActionKind::StartService
                | ActionKind::Prove
                | ActionKind::Admit
                | ActionKind::Run
        );
        if !harmless || step.irreversible || step.grant.is_some() {
            faults.push(broken(FaultCode::LawUndoBeforeNoReturn, step, "it has no place on the way back"));
        }
        let owing =
            step.settles.as_ref().and_then(|key| graph.steps().find(|s| s.owes.as_ref() == Some(key)));
        if let Some(owing) = owing
            && let Some(late) = graph.steps().filter(|s| s.irreversible).find(|u| graph.before(u, owing))
        {
            let text = format!(
                "it undoes step {}, which comes after the point of no return ({})",
                owing.id, late.id
            );
            faults.push(broken(FaultCode::LawUndoBeforeNoReturn, step, text));
        }
    }
}
