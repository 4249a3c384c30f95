//! Law: a door that mints a login needs a way to tell it to the upgrade tool.

use super::{Case, broken};
use crate::{
    cluster::Door,
    fault::{Fault, FaultCode},
    plan::{Action, action::CredentialDelivery},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    for step in case.forward.steps() {
        let Action::UpgradeDatabase(upgrade) = &step.action else { continue };
        let Some(spec) = case.plan.targets.databases.get(&upgrade.database) else {
            faults.push(broken(
                FaultCode::LawCredentialDelivered,
                step,
                "its database is not among the targets",
            ));
            continue;
        };
        if spec.door == Door::Login && upgrade.credential == CredentialDelivery::None {
            faults.push(
                broken(FaultCode::LawCredentialDelivered, step, "the door mints a login, but the tool is told none")
                    .help("set upgrade.template or upgrade.environment; a door on the database's host, which needs no login, comes with a later version"),
            );
        }
        let said: Vec<&String> = upgrade.command.argv.iter().chain(upgrade.command.env.values()).collect();
        let wants_file = said.iter().any(|text| text.contains("{credential.file}"));
        if wants_file && !matches!(upgrade.credential, CredentialDelivery::FileTemplate { .. }) {
            let text = "it names {credential.file}, but no file is made";
            faults.push(broken(FaultCode::LawCredentialDelivered, step, text).help("set upgrade.template"));
        }
    }
}
