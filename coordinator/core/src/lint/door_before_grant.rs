//! Law: a grant is opened only behind a shut door, the door is shut only after the backup is proven, and it is
//! opened only after the grant is closed.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, Target},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    let mut fault = |step, text: String| faults.push(broken(FaultCode::LawDoorBeforeGrant, step, text));
    for step in graph.steps().filter(|s| s.grant.is_some() || s.irreversible) {
        for database in case.plan.targets.databases.keys() {
            if !graph.any_before(graph.on_database(ActionKind::ShutDoor, database), step) {
                fault(step, format!("the door of {database} is not shut before it"));
            }
        }
    }
    for shut in graph.of(ActionKind::ShutDoor) {
        let Target::Database(database) = &shut.target else { continue };
        if !graph.any_before(graph.on_database(ActionKind::ProveBackup, database), shut) {
            fault(shut, "the backup is not proven before it".to_owned());
        }
    }
    for open in graph.of(ActionKind::OpenDoor) {
        let Target::Database(database) = &open.target else { continue };
        if !graph.any_before(graph.on_database(ActionKind::CloseGrant, database), open) {
            fault(open, "the grant is not closed before it".to_owned());
        }
    }
}
