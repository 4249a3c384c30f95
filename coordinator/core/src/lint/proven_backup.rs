//! Law: before any point of no return, every database that will be upgraded has a backup set that was taken after
//! the last possible write and proven by restore.

use super::{Case, broken, graph::set};
use crate::{
    fault::{Fault, FaultCode},
    ids::DatabaseName,
    plan::{ActionKind, Step},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    for upgrade in graph.steps().filter(|s| s.irreversible) {
        for database in case.plan.targets.databases.keys() {
            if !is_proven(case, database, upgrade) {
                let text = format!(
                    "{database} has no backup before it that was taken with nobody writing and proven"
                );
                faults.push(broken(FaultCode::LawBackupBeforeUpgrade, upgrade, text));
            }
        }
    }
}

fn is_proven(case: &Case<'_>, database: &DatabaseName, upgrade: &Step) -> bool {
    let graph = &case.forward;
    graph.on_database(ActionKind::ProveBackup, database).filter(|proof| graph.before(proof, upgrade)).any(
        |proof| {
            let same =
                |backup: &&Step| set(&backup.action) == set(&proof.action) && graph.before(backup, proof);
            graph.on_database(ActionKind::Backup, database).filter(same).any(|backup| {
                graph.any_before(graph.on_database(ActionKind::ProveNoWriters, database), backup)
            })
        },
    )
}
