//! Databases by name for one piece of work, and what their adapters need of this host.

use super::Settings;
use crate::{
    HostCode,
    database::{self, DatabaseAdapter, Means, ProgramEnd, ProgramRun, Programs, Secrets},
    exec::{End, Job, direct},
    secret,
};
use async_trait::async_trait;
use lockkeeper_agent::host::Failure;
use lockkeeper_core::{
    cluster::{DatabaseSpec, Engine, SecretRef},
    ids::DatabaseName,
    plan::{
        Targets,
        action::{CommandSpec, OnAgentLoss},
    },
    time::Millis,
};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// References resolved on this host.
struct HostSecrets;

#[async_trait]
impl Secrets for HostSecrets {
    async fn resolve(&self, reference: &SecretRef) -> Result<SecretString, String> {
        secret::resolve(reference).await.map_err(|failure| failure.to_string())
    }
}

/// Programs of the engines, run directly: they end with the call.
struct HostPrograms;

#[async_trait]
impl Programs for HostPrograms {
    async fn run(&self, run: ProgramRun) -> Result<ProgramEnd, String> {
        let command = CommandSpec {
            argv: run.argv,
            env: run.env,
            dir: String::new(),
            shell: false,
            timeout: Millis(u64::try_from(run.timeout.as_millis()).unwrap_or(u64::MAX)),
            success: vec![0],
            on_agent_loss: OnAgentLoss::Kill,
        };
        let result =
            direct::run(&Job::new(&command, Vec::new())).await.map_err(|failure| failure.to_string())?;
        let status = match result.end {
            End::Exited(code) => Some(code),
            End::Signalled(_) | End::TimedOut | End::AgentLost | End::Killed | End::NotStarted(_) => None,
        };
        Ok(ProgramEnd { status, stdout: result.stdout, stderr: result.stderr })
    }
}

/// The name in a SQLite database's directory that members open; the door `path-per-epoch` takes it away and gives it
/// back (`database::sqlite`).
const SQLITE_LINK: &str = "current";

/// Where what serves opens a database that is a file; `None` for one with a server.
pub(super) fn serving_path(spec: &DatabaseSpec) -> Option<PathBuf> {
    match spec.engine {
        Engine::Postgres => None,
        Engine::Sqlite => spec.instances.first().map(|directory| Path::new(directory).join(SQLITE_LINK)),
    }
}

/// Makes adapters.
pub(super) struct Engines {
    means: Means,
}

impl Engines {
    pub(super) fn new(settings: &Settings) -> Self {
        let means = Means {
            data: settings.data_dir.clone(),
            secrets: Arc::new(HostSecrets),
            programs: Arc::new(HostPrograms),
            bin: settings.database_programs.clone(),
        };
        Self { means }
    }

    /// The adapter of one database.
    pub(super) fn open(
        &self,
        name: &DatabaseName,
        spec: &DatabaseSpec,
    ) -> Result<Arc<dyn DatabaseAdapter>, Failure> {
        database::adapter(name, spec, &self.means).map(Arc::from)
    }

    /// The adapter of a database that the work names.
    pub(super) fn of(
        &self,
        targets: &Targets,
        name: &DatabaseName,
    ) -> Result<Arc<dyn DatabaseAdapter>, Failure> {
        let spec = targets.databases.get(name).ok_or_else(|| {
            HostCode::TargetMissing.failure(format!("the plan has no connection to database {name}"))
        })?;
        self.open(name, spec)
    }

    /// The adapters of all databases of the work.
    pub(super) fn all(
        &self,
        targets: &Targets,
    ) -> Result<BTreeMap<DatabaseName, Arc<dyn DatabaseAdapter>>, Failure> {
        targets.databases.iter().map(|(name, spec)| Ok((name.clone(), self.open(name, spec)?))).collect()
    }
}
