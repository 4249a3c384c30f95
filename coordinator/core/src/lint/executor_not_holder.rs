//! Law: the holder of a grant never works its own door: a frozen holder could not shut it.

use super::{Case, broken, broken_whole};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, SharedTarget, Who},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    for step in case.every_step() {
        let right = match step.action.kind() {
            ActionKind::AdmitHolder | ActionKind::CloseGrant => step.who == Who::ExecutorNotHolder,
            ActionKind::MintCredential | ActionKind::UpgradeDatabase => matches!(&step.who, Who::Holder(_)),
            ActionKind::ProveNoWriters
            | ActionKind::Backup
            | ActionKind::ProveBackup
            | ActionKind::ShutDoor
            | ActionKind::OpenDoor
            | ActionKind::RestoreDatabase
            | ActionKind::JudgeSchema
            | ActionKind::Drain
            | ActionKind::Admit => step.who == Who::Executor,
            ActionKind::StageRelease
            | ActionKind::SwitchRelease
            | ActionKind::StopService
            | ActionKind::StartService
            | ActionKind::Prove
            | ActionKind::Run => {
                matches!((&step.who, &step.target), (Who::Member(m), crate::plan::Target::Member(t)) if m == t)
            }
        };
        if !right {
            faults.push(broken(FaultCode::LawExecutorNotHolder, step, "the wrong agent would do it"));
        }
    }
    for (database, upgraders) in &case.plan.policy.upgraders {
        let target = SharedTarget::Database(database.clone());
        let empty = Vec::new();
        let executors =
            case.plan.policy.executors.iter().find(|(t, _)| *t == target).map_or(&empty, |(_, e)| e);
        if upgraders.is_empty() {
            faults.push(broken_whole(
                FaultCode::LawExecutorNotHolder,
                format!("nobody may upgrade {database}"),
            ));
        }
        for member in upgraders.iter().filter(|m| executors.iter().all(|e| e == *m)) {
            let text = format!("if {member} upgrades {database}, nobody else can work its door");
            faults.push(broken_whole(FaultCode::LawExecutorNotHolder, text));
        }
    }
}
