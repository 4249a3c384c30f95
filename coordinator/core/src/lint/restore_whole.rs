//! Law: a plan with a point of no return holds a whole way back behind it: every database from the set that the way
//! forward proves, every member taken out, stopped, switched back, started at the old version, proven and admitted.

use super::{Case, broken, broken_whole};
use crate::{
    fault::{Fault, FaultCode},
    plan::{Action, ActionKind, OwedKey, Target},
};
use std::collections::BTreeSet;

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let irreversible = case.forward.steps().any(|step| step.irreversible);
    if !irreversible {
        for step in case.restore.steps() {
            faults.push(broken(FaultCode::LawRestoreWhole, step, "nothing of this plan is irreversible"));
        }
        return;
    }
    databases(case, faults);
    members(case, faults);
    let given: BTreeSet<&OwedKey> = case.restore.steps().filter_map(|s| s.settles.as_ref()).collect();
    for step in case.forward.steps().filter(|s| s.owes.as_ref().is_some_and(|key| !given.contains(key))) {
        faults.push(broken(
            FaultCode::LawRestoreWhole,
            step,
            "what it changes is not given back by the restore",
        ));
    }
    for step in case.restore.steps() {
        let belongs = matches!(
            step.action.kind(),
            ActionKind::Drain
                | ActionKind::StopService
                | ActionKind::ProveNoWriters
                | ActionKind::ShutDoor
                | ActionKind::RestoreDatabase
                | ActionKind::SwitchRelease
                | ActionKind::OpenDoor
                | ActionKind::StartService
                | ActionKind::Prove
                | ActionKind::Admit
                | ActionKind::Run
        );
        if !belongs || step.grant.is_some() {
            faults.push(broken(FaultCode::LawRestoreWhole, step, "it has no place in a restore"));
        }
    }
    for step in case.forward.steps().chain(case.undo.steps()) {
        if step.action.kind() == ActionKind::RestoreDatabase {
            faults.push(broken(
                FaultCode::LawRestoreWhole,
                step,
                "a database is restored outside the restore",
            ));
        }
    }
}

fn databases(case: &Case<'_>, faults: &mut Vec<Fault>) {
    for upgrade in case.forward.of(ActionKind::UpgradeDatabase) {
        let Target::Database(database) = &upgrade.target else { continue };
        let proven: BTreeSet<&str> = case
            .forward
            .on_database(ActionKind::ProveBackup, database)
            .filter_map(|step| super::graph::set(&step.action))
            .collect();
        let restored: Vec<&str> = case
            .restore
            .on_database(ActionKind::RestoreDatabase, database)
            .filter_map(|step| match &step.action {
                Action::RestoreDatabase(restore) if restore.database == *database => {
                    Some(restore.set.as_str())
                }
                _ => None,
            })
            .collect();
        if restored.len() != 1 || restored.iter().any(|set| !proven.contains(set)) {
            let text = format!("{database} is not restored once from the set that was proven");
            faults.push(broken_whole(FaultCode::LawRestoreWhole, text).found(restored.join(", ")));
        }
    }
}

fn members(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let mut missing = |kind: ActionKind, place: String| {
        faults
            .push(broken_whole(FaultCode::LawRestoreWhole, format!("the restore has no {kind} for {place}")));
    };
    for member in case.plan.bound.members.keys() {
        let switches = case.forward.on_member(ActionKind::SwitchRelease, member).next().is_some();
        for kind in
            [ActionKind::StopService, ActionKind::SwitchRelease, ActionKind::StartService, ActionKind::Prove]
        {
            let needed = kind != ActionKind::SwitchRelease || switches;
            if needed && case.restore.on_member(kind, member).next().is_none() {
                missing(kind, member.to_string());
            }
        }
        for (balancer, spec) in &case.plan.targets.balancers {
            for kind in [ActionKind::Drain, ActionKind::Admit] {
                let has = case
                    .restore
                    .on_balancer(kind, member)
                    .any(|s| matches!(&s.target, Target::Balancer(b, _) if b == balancer));
                if spec.servers.contains_key(member) && !has {
                    missing(kind, format!("{member} at {balancer}"));
                }
            }
        }
    }
}
