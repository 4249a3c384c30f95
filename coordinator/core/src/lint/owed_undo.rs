//! Law: whatever the way forward changes before the point of no return can be given back, and the way back touches
//! nothing else. Doors are opened first, then members are started and proven, then they are admitted.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, OwedKey},
};
use std::collections::BTreeSet;

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let given: BTreeSet<&OwedKey> = case
        .undo
        .steps()
        .filter(|s| s.action.kind() != ActionKind::Prove)
        .filter_map(|s| s.settles.as_ref())
        .collect();
    let owed: BTreeSet<&OwedKey> = case.forward.steps().filter_map(|s| s.owes.as_ref()).collect();
    for step in case.forward.steps().filter(|s| s.owes.as_ref().is_some_and(|key| !given.contains(key))) {
        faults.push(broken(FaultCode::LawOwedUndo, step, "what it changes has no undo"));
    }
    for step in case.undo.steps() {
        match &step.settles {
            Some(key) if !owed.contains(key) => {
                faults.push(broken(FaultCode::LawOwedUndo, step, format!("{key} is not owed by any step")));
            }
            Some(_) => {}
            None if step.while_owed.as_ref().is_some_and(|key| owed.contains(key)) => {}
            // A step that gives nothing back would never be taken.
            None => faults.push(broken(FaultCode::LawOwedUndo, step, "it gives nothing back")),
        }
    }
}
