//! Law: a plan that adopts a finished schema never upgrades it again: no grant, no backup, no restore, no election, and
//! no point of no return. An ordinary plan judges no schema beforehand.

use super::{Case, broken, broken_whole};
use crate::{
    fault::{Fault, FaultCode},
    plan::ActionKind,
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    for step in case.every_step() {
        let forbidden = matches!(
            step.action.kind(),
            ActionKind::UpgradeDatabase
                | ActionKind::MintCredential
                | ActionKind::AdmitHolder
                | ActionKind::CloseGrant
                | ActionKind::Backup
                | ActionKind::ProveBackup
                | ActionKind::RestoreDatabase
        );
        if forbidden || step.irreversible || step.grant.is_some() {
            let text = "the database is upgraded already, so it has no place in this plan";
            faults.push(broken(FaultCode::LawAdoptedNoUpgrade, step, text));
        }
    }
    for step in case.every_step() {
        if let crate::plan::Target::Balancer(balancer, member) = &step.target
            && case.plan.bound.out.get(balancer).is_some_and(|servers| servers.contains_key(member))
            && (step.owes.is_some() || step.settles.is_some())
        {
            let text = format!("{member} was out of {balancer} before this plan, so that is not ours");
            faults.push(broken(FaultCode::LawAdoptedNoUpgrade, step, text));
        }
    }
    if !case.plan.policy.upgraders.is_empty() {
        faults.push(broken_whole(FaultCode::LawAdoptedNoUpgrade, "somebody could be elected upgrader"));
    }
}
