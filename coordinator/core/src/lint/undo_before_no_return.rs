//! Law: the way back holds only what undoes steps before the point of no return; past it there is none.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, OwedKey, Step},
};
use std::collections::BTreeMap;

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    let irreversible: Vec<&Step> = graph.steps().filter(|s| s.irreversible).collect();
    let mut owing: BTreeMap<&OwedKey, &Step> = BTreeMap::new();
    for step in graph.steps() {
        if let Some(key) = &step.owes {
            owing.entry(key).or_insert(step);
        }
    }
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
        let owing = step.settles.as_ref().and_then(|key| owing.get(key));
        if let Some(owing) = owing
            && let Some(late) = irreversible.iter().find(|u| graph.before(u, owing))
        {
            let text = format!(
                "it undoes step {}, which comes after the point of no return ({})",
                owing.id, late.id
            );
            faults.push(broken(FaultCode::LawUndoBeforeNoReturn, step, text));
        }
    }
}
