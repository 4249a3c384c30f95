//! Steps in words.

use crate::{
    cluster::Door,
    ids::{MemberName, StepId},
    plan::{Action, Plan, Step, Target},
};
use std::collections::BTreeSet;

/// What a step does, for people.
pub(super) fn what(plan: &Plan, step: &Step) -> String {
    match &step.action {
        Action::StageRelease(stage) if stage.source.is_empty() => {
            format!("compare the staged release {}", stage.version)
        }
        Action::StageRelease(stage) => format!("stage release {}, compare hashes", stage.version),
        Action::SwitchRelease(switch) => format!("switch to {}", switch.version),
        Action::Drain(_) => "drain, wait for zero, out".to_owned(),
        Action::Admit(server) => format!("back into {}", server.balancer),
        Action::StopService(_) => "stop".to_owned(),
        Action::StartService(start) => format!("start {}", start.version),
        Action::ProveNoWriters(_) => "prove nobody writes (no session, no stranger)".to_owned(),
        Action::Backup(_) => "back up".to_owned(),
        Action::ProveBackup(_) => "prove the backup by restore".to_owned(),
        Action::ShutDoor(shut) => match plan.targets.databases.get(&shut.database).map(|d| d.door) {
            Some(Door::Login) => "shut the door (login per grant)".to_owned(),
            Some(Door::PathPerEpoch) => "shut the door (file per grant)".to_owned(),
            None => "shut the door".to_owned(),
        },
        Action::MintCredential(_) => "make the holder's credential".to_owned(),
        Action::AdmitHolder(_) => "let the holder in".to_owned(),
        Action::UpgradeDatabase(upgrade) => {
            let may = plan.policy.upgraders.get(&upgrade.database).map(|m| names(m)).unwrap_or_default();
            let schema = match (upgrade.schema.before.as_str(), upgrade.schema.after.as_str()) {
                ("", "") => String::new(),
                (before, "") => format!(" from schema {before}"),
                ("", after) => format!(" to schema {after}"),
                (before, after) => format!(" {before} -> {after}"),
            };
            format!("upgrade database{schema} on one of {may}")
        }
        Action::CloseGrant(_) => "shut the holder out".to_owned(),
        Action::OpenDoor(_) => "reopen the door".to_owned(),
        Action::RestoreDatabase(a) => format!("restore {} beside, prove it, swap names", a.set),
        Action::JudgeSchema(judge) => format!("judge the schema: {} is finished", judge.schema.after),
        Action::Prove(prove) => format!("prove, settle {}", prove.settle),
        Action::Run(run) => {
            run.command.argv.first().map_or("run".to_owned(), |program| format!("run {program}"))
        }
    }
}

/// Names for people; many are counted.
pub(super) fn names(members: &[MemberName]) -> String {
    match members {
        [] => "nobody".to_owned(),
        few if few.len() <= 4 => few.iter().map(MemberName::as_str).collect::<Vec<_>>().join(" "),
        many => format!("{} members", many.len()),
    }
}

/// Where some steps are done.
pub(super) fn place(plan: &Plan, steps: &[&Step]) -> String {
    let members: BTreeSet<&MemberName> = steps.iter().filter_map(|s| super::forecast::member_of(s)).collect();
    if members.is_empty() {
        let databases: BTreeSet<String> = steps
            .iter()
            .filter_map(|s| match &s.target {
                Target::Database(d) => Some(d.to_string()),
                Target::Member(_) | Target::Balancer(_, _) => None,
            })
            .collect();
        return databases.into_iter().collect::<Vec<_>>().join(" ");
    }
    let all: Vec<MemberName> = members.into_iter().cloned().collect();
    if all.len() > 3 && all.len() == plan.bound.members.len() {
        format!("all {}", all.len())
    } else {
        names(&all)
    }
}

/// Numbers for people: `7`, `4-6`, `10,14`.
pub(super) fn numbers(steps: &[StepId]) -> String {
    match steps {
        [] => String::new(),
        [one] => one.to_string(),
        [first, .., last] if (last.0 - first.0) as usize + 1 == steps.len() => format!("{first}-{last}"),
        few if few.len() <= 3 => few.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        [first, .., last] => format!("{first}..{last}"),
    }
}

/// What an adopted plan takes over, line by line.
pub(super) fn adopts(plan: &Plan) -> Vec<String> {
    let Some(adoption) = &plan.adopt else { return Vec::new() };
    let at = |new: bool| -> Vec<MemberName> {
        let members = plan.bound.members.iter().filter(|(_, m)| (m.version == plan.to) == new);
        members.map(|(name, _)| name.clone()).collect()
    };
    let mut lines: Vec<String> = adoption
        .finished
        .iter()
        .map(|(database, judge)| {
            format!("{database} reads {}: its upgrade is finished, there will be no other", judge.after)
        })
        .collect();
    if !at(true).is_empty() {
        lines.push(format!("{} at {}: only proven and admitted", names(&at(true)), plan.to));
    }
    if !at(false).is_empty() {
        lines.push(format!(
            "{} at {}: out and stopped before anything is relied on",
            names(&at(false)),
            plan.from
        ));
    }
    for (balancer, servers) in &plan.bound.out {
        let out =
            servers.iter().map(|(member, state)| format!("{member} {state}")).collect::<Vec<_>>().join(", ");
        lines.push(format!("found out of {balancer}, not ours, neither owed nor undone: {out}"));
    }
    lines
}

/// Names of the backup sets.
pub(super) fn sets(plan: &Plan) -> Vec<String> {
    let set =
        |step: &Step| if let Action::Backup(backup) = &step.action { Some(backup.set.clone()) } else { None };
    plan.steps.iter().filter_map(set).collect()
}
