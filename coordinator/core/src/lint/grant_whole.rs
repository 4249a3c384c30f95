//! Law: a grant is exactly four steps on one database in this order: the holder makes its credential, another agent
//! lets it in, it makes its one attempt, another agent takes its way in away.

use super::{Case, broken, broken_whole};
use crate::{
    fault::{Fault, FaultCode},
    plan::{ActionKind, Step, Target},
};

const GROUP: [ActionKind; 4] = [
    ActionKind::MintCredential,
    ActionKind::AdmitHolder,
    ActionKind::UpgradeDatabase,
    ActionKind::CloseGrant,
];

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    for database in case.plan.targets.databases.keys() {
        let group: Vec<&Step> = case.forward.steps().filter(|s| s.grant.as_ref() == Some(database)).collect();
        let kinds: Vec<ActionKind> = group.iter().map(|s| s.action.kind()).collect();
        if kinds != GROUP {
            let found = kinds.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", ");
            faults.push(
                broken_whole(FaultCode::LawGrantWhole, format!("the grant of {database} is not whole"))
                    .found(if found.is_empty() { "no steps".to_owned() } else { found })
                    .allowed("mint-credential, admit-holder, upgrade-database, close-grant"),
            );
        }
        for pair in group.windows(2) {
            if let [earlier, later] = pair
                && !case.forward.before(earlier, later)
            {
                faults.push(broken(
                    FaultCode::LawGrantWhole,
                    later,
                    format!("it does not wait for step {}", earlier.id),
                ));
            }
        }
    }
    for step in case.every_step() {
        let belongs = GROUP.contains(&step.action.kind());
        let target = match &step.target {
            Target::Database(d) => Some(d),
            Target::Member(_) | Target::Balancer(_, _) => None,
        };
        if belongs && (step.grant.is_none() || step.grant.as_ref() != target) {
            faults.push(broken(FaultCode::LawGrantWhole, step, "it is not part of its database's grant"));
        }
        if !belongs && step.grant.is_some() {
            faults.push(broken(FaultCode::LawGrantWhole, step, "it is no part of a grant"));
        }
    }
}
