//! `SystemHost`: the shipped implementation of the agent's `Host` port.
//!
//! Takes each action to the room that knows it. Knows nothing about order: whether a step may be done now was decided
//! elsewhere, and this host only looks, acts and tells what it saw.

mod attempt;
mod balancer;
pub mod before_start;
mod engines;
mod facts;
mod judge;
pub mod machine;
mod prove;
mod release;
mod run;
mod service;
mod timed;
mod twin;
mod upgrade;

pub use attempt::{AttemptDir, Note};
pub use timed::Timed;

use crate::{HostCode, exec::unit::Units, probe::settle::Progress, template::Values};
use async_trait::async_trait;
use engines::Engines;
use lockkeeper_agent::host::{Done, FactsQuery, Failure, Host, HostFacts, Postcheck, Precheck, Unit, Work};
use lockkeeper_core::{ids::MemberName, plan::Action};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// What a host must know of itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The agent's data directory; `spool/`, `services/` and `grants/` below it are this crate's.
    pub data_dir: PathBuf,
    /// The member whose host this is.
    pub member: MemberName,
    /// The binary that knows `step-runner`: this very program.
    pub program: PathBuf,
    /// Directory of the database engines' programs; empty: the search path.
    pub database_programs: PathBuf,
}

/// The host this agent runs on, and what it can reach.
pub struct SystemHost {
    settings: Settings,
    units: Units,
    engines: Engines,
    /// How far the proofs of running attempts are. Lost with the agent, and then begun anew: that is only slower.
    proofs: Mutex<BTreeMap<String, Progress>>,
}

impl SystemHost {
    /// Removes the rests of very old attempts from the spool, and touches nothing else until it is asked.
    pub fn new(settings: Settings) -> Self {
        attempt::prune(&settings.data_dir.join("spool"));
        let units = Units::new(&settings.program, settings.data_dir.join("spool"));
        let engines = Engines::new(&settings);
        Self { units, engines, settings, proofs: Mutex::default() }
    }

    fn attempt(&self, work: &Work) -> AttemptDir {
        AttemptDir::new(&self.settings.data_dir.join("spool"), work)
    }

    fn take_progress(&self, name: &str) -> Progress {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner).remove(name).unwrap_or_default()
    }

    fn put_progress(&self, name: &str, progress: Progress) {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), progress);
    }

    /// What the work itself fills: the token, and where databases are. What serves opens a SQLite database by its link,
    /// which the door keeps; the path that earlier steps told is that of one grant.
    fn values(&self, work: &Work) -> Values {
        let mut values = Values::default();
        values.plain("token", attempt::token_word(work.token));
        for (name, value) in &work.inputs {
            if name.starts_with("database.") && name.ends_with(".path") {
                values.plain(name.clone(), value.clone());
            }
        }
        for (name, spec) in &work.targets.databases {
            if let Some(link) = engines::serving_path(spec) {
                values.plain(format!("database.{name}.path"), link.display().to_string());
            }
        }
        values
    }
}

/// A pre-check from a fallible look: what cannot be looked at is unknown.
fn looked(look: Result<Precheck, Failure>) -> Precheck {
    look.unwrap_or_else(|failure| Precheck::Unknown(failure.to_string()))
}

/// A post-check from a fallible look: what cannot be looked at now may be later.
fn proven(look: Result<Postcheck, Failure>) -> Postcheck {
    look.unwrap_or_else(|failure| Postcheck::NotYet(failure.to_string()))
}

/// Adds what was read back, if the step gives something back.
fn reading_back(work: &Work, done: Done, value: &str) -> Done {
    Done { read_back: work.captured.as_ref().map(|_| value.to_owned()), ..done }
}

/// Runs blocking file work. It goes on when the caller stops waiting, which every such work must bear.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(HostCode::Files.failure(format!("the file work broke off: {error}"))),
    }
}

#[async_trait]
impl Host for SystemHost {
    async fn precheck(&self, work: &Work) -> Precheck {
        if let Some(refused) = self.look_for_twin(work).await {
            return refused;
        }
        match &work.action {
            Action::StageRelease(step) => looked(release::look_staged(step).await),
            Action::SwitchRelease(step) => looked(release::look_switched(work, step)),
            Action::Drain(server) => looked(balancer::look_drained(work, server).await),
            Action::Admit(server) => looked(balancer::look_admitted(work, server).await),
            Action::StopService(action) => looked(self.look_stopped(work, action).await),
            Action::StartService(action) => looked(self.look_started(work, action).await),
            Action::Prove(_) | Action::JudgeSchema(_) => Precheck::Ready { captured: String::new() },
            Action::Run(step) => looked(self.look_run(work, step).await),
            Action::UpgradeDatabase(step) => looked(self.look_upgraded(work, step).await),
            Action::ProveNoWriters(step)
            | Action::Backup(step)
            | Action::ProveBackup(step)
            | Action::ShutDoor(step)
            | Action::MintCredential(step)
            | Action::AdmitHolder(step)
            | Action::CloseGrant(step)
            | Action::OpenDoor(step)
            | Action::RestoreDatabase(step) => match self.engines.of(&work.targets, &step.database) {
                Ok(adapter) => adapter.precheck(work).await,
                Err(failure) => Precheck::Unknown(failure.to_string()),
            },
        }
    }

    async fn perform(&self, work: &Work, started: &(dyn Fn(Unit) + Send + Sync)) -> Result<(), Failure> {
        self.mark_effect(work).await?;
        let attempt = self.attempt(work);
        match &work.action {
            Action::StageRelease(step) => attempt.noting(release::stage(step)).await,
            Action::SwitchRelease(step) => attempt.noting(async { release::switch(work, step) }).await,
            Action::Drain(server) => attempt.noting(balancer::drain(work, server)).await,
            Action::Admit(server) => attempt.noting(balancer::admit(work, server)).await,
            Action::StopService(action) => attempt.noting(self.stop_service(work, action, started)).await,
            Action::StartService(action) => attempt.noting(self.start_service(work, action, started)).await,
            Action::Prove(step) => self.begin_proof(work, &step.probes),
            // All of it is the look afterwards.
            Action::JudgeSchema(_) => Ok(()),
            Action::Run(step) => self.run_command(work, step, started).await,
            Action::UpgradeDatabase(step) => self.upgrade(work, step, started).await,
            Action::ProveNoWriters(step)
            | Action::Backup(step)
            | Action::ProveBackup(step)
            | Action::ShutDoor(step)
            | Action::MintCredential(step)
            | Action::AdmitHolder(step)
            | Action::CloseGrant(step)
            | Action::OpenDoor(step)
            | Action::RestoreDatabase(step) => {
                self.engines.of(&work.targets, &step.database)?.perform(work).await
            }
        }
    }

    async fn adopt(&self, work: &Work, unit: &Unit) -> Result<(), Failure> {
        let result = self.units.wait(unit).await?;
        self.attempt(work)
            .noting(async {
                match &work.action {
                    Action::UpgradeDatabase(step) => self.upgraded(work, step, &result).await,
                    Action::StartService(action) | Action::StopService(action) => {
                        service::judge(&work.action, &action.service, &result)
                    }
                    Action::Run(step) => {
                        result.judge(&run::what(&step.command), &step.command.success).map(|()| String::new())
                    }
                    Action::StageRelease(_)
                    | Action::SwitchRelease(_)
                    | Action::Drain(_)
                    | Action::Admit(_)
                    | Action::Prove(_)
                    | Action::JudgeSchema(_)
                    | Action::ProveNoWriters(_)
                    | Action::Backup(_)
                    | Action::ProveBackup(_)
                    | Action::ShutDoor(_)
                    | Action::MintCredential(_)
                    | Action::AdmitHolder(_)
                    | Action::CloseGrant(_)
                    | Action::OpenDoor(_)
                    | Action::RestoreDatabase(_) => Err(HostCode::SpoolDamaged.failure(format!(
                        "{} never runs in a unit, but one was recorded",
                        work.action.kind()
                    ))),
                }
            })
            .await
    }

    async fn kill(&self, work: &Work, unit: &Unit) -> Result<(), Failure> {
        self.units.kill(unit).await?;
        self.forget_credential(work);
        Ok(())
    }

    async fn postcheck(&self, work: &Work) -> Postcheck {
        match &work.action {
            Action::StageRelease(step) => proven(self.prove_staged(work, step).await),
            Action::SwitchRelease(step) => proven(self.prove_switched(work, step)),
            Action::Drain(server) => proven(self.prove_drained(work, server).await),
            Action::Admit(server) => proven(self.prove_admitted(work, server).await),
            Action::StopService(action) => proven(self.prove_stopped(work, action).await),
            Action::StartService(action) => proven(self.prove_started(work, action).await),
            Action::Prove(step) => self.prove(work, step).await,
            Action::JudgeSchema(step) => self.judge_schema(work, step).await,
            Action::Run(step) => proven(self.prove_run(work, step).await),
            Action::UpgradeDatabase(step) => proven(self.prove_upgraded(work, step).await),
            Action::ProveNoWriters(step)
            | Action::Backup(step)
            | Action::ProveBackup(step)
            | Action::ShutDoor(step)
            | Action::MintCredential(step)
            | Action::AdmitHolder(step)
            | Action::CloseGrant(step)
            | Action::OpenDoor(step)
            | Action::RestoreDatabase(step) => match self.engines.of(&work.targets, &step.database) {
                Ok(adapter) => adapter.postcheck(work).await,
                Err(failure) => Postcheck::Refuted(failure),
            },
        }
    }

    async fn facts(&self, query: &FactsQuery) -> HostFacts {
        self.look_at_host(query).await
    }
}
