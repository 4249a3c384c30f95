//! Law: each database is upgraded by exactly one step, and exactly those steps are points of no return.

use super::{Case, broken, broken_whole};
use crate::{
    fault::{Fault, FaultCode},
    plan::{Action, ActionKind},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    for database in case.plan.targets.databases.keys() {
        let count = case.forward.on_database(ActionKind::UpgradeDatabase, database).count();
        if count != 1 {
            let text = format!("{database} is upgraded {count} times");
            faults.push(broken_whole(FaultCode::LawOneUpgrade, text).allowed("exactly once"));
        }
    }
    for step in case.every_step() {
        let upgrades = step.action.kind() == ActionKind::UpgradeDatabase;
        if upgrades != step.irreversible {
            let text = if upgrades {
                "it is not marked as a point of no return"
            } else {
                "it is no point of no return"
            };
            faults.push(broken(FaultCode::LawOneUpgrade, step, text));
        }
        if let Action::UpgradeDatabase(upgrade) = &step.action
            && step.target != crate::plan::Target::Database(upgrade.database.clone())
        {
            faults.push(broken(FaultCode::LawOneUpgrade, step, format!("it upgrades {}", upgrade.database)));
        }
    }
}
