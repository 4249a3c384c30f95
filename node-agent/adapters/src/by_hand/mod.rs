//! What a person types when Lockkeeper cannot act: the vendors' own commands for the actions of a plan.
//!
//! Knows the words of HAProxy, PostgreSQL, SQLite, links and processes. Runs nothing, and decides nothing: which
//! action is due, and with which captured value, is the caller's. A line that begins with `#` is for the reader; every
//! other line may be pasted into a shell of the host that the caller names. No line holds a secret.

mod balancer;
mod database;
mod release;
mod service;
mod shell;

pub use database::{holder_out, restore};

use lockkeeper_core::plan::{
    Action, Plan,
    action::{Probe, RunCommand},
};

/// The lines that do `action` by hand. `captured` is the value to give back when the action settles something that is
/// owed; without it the action is done as the plan has it.
pub fn act(plan: &Plan, action: &Action, captured: Option<&str>) -> Vec<String> {
    match action {
        Action::StageRelease(stage) => release::stage(stage),
        Action::SwitchRelease(switch) => release::switch(switch, captured),
        Action::Drain(server) => balancer::drain(plan, server),
        Action::Admit(server) => balancer::admit(plan, server, captured),
        Action::StopService(service) => service::stop(plan, service),
        Action::StartService(service) => service::start(plan, service, captured),
        Action::ProveNoWriters(act) => database::sessions(plan, &act.database),
        Action::Backup(act) | Action::ProveBackup(act) => database::backup(plan, act),
        Action::ShutDoor(act) => database::shut(plan, &act.database),
        Action::MintCredential(_) => vec!["# nothing by hand: the credential was for Lockkeeper's grant".to_owned()],
        Action::AdmitHolder(act) => database::admit(plan, &act.database),
        Action::UpgradeDatabase(upgrade) => database::upgrade(plan, upgrade),
        Action::CloseGrant(_) => vec!["# see \"put the holder out\"; by hand no grant is open".to_owned()],
        Action::RestoreDatabase(act) => database::restore(plan, &act.database, &act.set),
        Action::JudgeSchema(judge) => vec![probe(
            plan,
            &Probe::Sql {
                database: judge.database.clone(),
                query: judge.schema.query.clone(),
                equals: judge.schema.after.clone(),
            },
        )],
        Action::OpenDoor(act) => database::open(plan, &act.database, captured),
        Action::Prove(prove) => prove.probes.iter().map(|p| probe(plan, p)).collect(),
        Action::Run(run) => command(plan, run),
    }
}

fn command(plan: &Plan, run: &RunCommand) -> Vec<String> {
    let mut lines = vec![shell::command(plan, &run.command)];
    lines.extend(run.done.iter().map(|p| probe(plan, p)));
    lines
}

/// A probe as a line that shows what it looks at.
fn probe(plan: &Plan, probe: &Probe) -> String {
    match probe {
        Probe::Http { url, status, contains, .. } => {
            let body = if contains.is_empty() { String::new() } else { format!(", body contains {contains:?}") };
            format!("curl -sS -i {}   # expect {status}{body}", shell::word(url))
        }
        Probe::Tcp { address, .. } => {
            format!("socat -u /dev/null TCP:{}   # expect exit 0", shell::word(address))
        }
        Probe::Sql { database, query, equals } => {
            format!("{}   # expect {equals}", database::ask(plan, database, query))
        }
        Probe::Command { command, contains } => {
            let said = if contains.is_empty() { String::new() } else { format!(", output contains {contains:?}") };
            format!("{}   # expect success{said}", shell::command(plan, command))
        }
        Probe::Log { file, must, must_not } => {
            format!("tail -n 200 {}   # expect {must:?}, and none of {must_not:?}", shell::word(file))
        }
    }
}
