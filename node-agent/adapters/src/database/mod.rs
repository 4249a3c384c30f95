//! Databases: the acts on a database that a rollout needs, one engine a folder.
//!
//! Knows how an engine keeps people out, how it is copied and how it is asked. Knows nothing about plans, and decides
//! nothing: every act carries its fencing token, and the ledger beside the database refuses the lower ones.

pub mod code;
mod evidence;
mod foreign;
pub mod postgres;
pub mod sqlite;

pub use code::{Answer, DatabaseCode, Refusal};

use crate::door::judge::{Judgement, judge};
use async_trait::async_trait;
use lockkeeper_agent::host::{DatabaseFacts, Done, Failure, Postcheck, Precheck, Work};
use lockkeeper_core::{
    cluster::{DatabaseSpec, Door, Engine, SecretRef},
    ids::{DatabaseName, MemberName},
    observe::ForeignLocks,
    plan::{
        Action,
        action::{DatabaseAction, SchemaJudge},
    },
};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// One database, seen from one agent. All calls may be repeated; every call ends within its own limits.
#[async_trait]
pub trait DatabaseAdapter: Send + Sync {
    /// Looks, changes nothing. Serves the database actions except `UpgradeDatabase`.
    async fn precheck(&self, work: &Work) -> Precheck;

    /// Acts, under the token of `work`.
    async fn perform(&self, work: &Work) -> Result<(), Failure>;

    /// Looks whether the effect is there.
    async fn postcheck(&self, work: &Work) -> Postcheck;

    /// What the holder of the grant `work.token` fills into the upgrade tool's templates, by placeholder without
    /// braces: `credential.user`, `credential.password`, `credential.host`, `credential.port`, `credential.database`
    /// (PostgreSQL), `database.NAME.path` (SQLite).
    async fn holder_values(&self, work: &Work) -> Result<BTreeMap<String, SecretString>, Failure>;

    /// The one value a query answers, as text, in a read-only session; fails unless it is one row with one column.
    async fn query_value(&self, sql: &str) -> Result<String, Failure>;

    /// What the engine says of the database, with the schema's version by `schema`.
    async fn facts(&self, schema: &str) -> Result<DatabaseFacts, Failure>;

    /// Tries by harmless real acts what a rollout needs, each with its name and what was seen. Leaves nothing behind.
    async fn capabilities(&self) -> Vec<(&'static str, Result<String, Failure>)>;

    /// Other tools' locks in the database and who could hold them. Reads only; nothing is ever released.
    async fn foreign_locks(&self) -> Result<ForeignLocks, Failure>;

    /// What the boot guard asks: whether anybody upgrades, by the ledger, and the schema's version by `schema` (empty:
    /// not asked). Changes nothing; instances that do not answer do not matter as long as the one that takes writes does.
    async fn before_start(&self, schema: &str) -> Result<BeforeStart, Failure>;

    /// Refuses where the last effect in the ledger is none of this group's log. Changes nothing.
    async fn look_group(&self, work: &Work) -> Answer<()>;

    /// As [`DatabaseAdapter::look_group`], and marks this effect as the last one, in one act.
    async fn mark_group(&self, work: &Work) -> Answer<()>;

    /// Reads the schema's version and judges it. `ended_well`: the upgrade tool's exit was a success.
    async fn judge(&self, probe: &SchemaJudge, ended_well: bool) -> Result<(Judgement, String), Failure> {
        let value = self.query_value(&probe.query).await?;
        Ok((judge(probe, &value, ended_well), value))
    }
}

/// What the boot guard asks of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BeforeStart {
    /// Grants that are not closed and doors that are not open, of any group, for people.
    pub busy: Vec<String>,
    /// The schema's version; none if it was not asked.
    pub schema: Option<String>,
}

/// Finds secrets by reference, on this host.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret behind `reference`; the error says what is wrong and never holds the secret.
    async fn resolve(&self, reference: &SecretRef) -> Result<SecretString, String>;
}

/// One run of a program of the engine, such as `pg_dump`.
#[derive(Debug, Clone)]
pub struct ProgramRun {
    /// Program and arguments; never a secret.
    pub argv: Vec<String>,
    /// Additional environment; never a secret, only paths of files that hold one.
    pub env: BTreeMap<String, String>,
    /// Ended and failed after this long.
    pub timeout: Duration,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct ProgramEnd {
    /// Exit status; `None` when a signal or the time-out ended it.
    pub status: Option<i32>,
    /// Standard output, cut at a limit of the implementation that is at least 64 KiB.
    pub stdout: String,
    /// The last lines of standard error.
    pub stderr: String,
}

/// Starts programs and waits for them. The future owns the run: dropping it ends the process group.
#[async_trait]
pub trait Programs: Send + Sync {
    /// Runs to the end; the error says that it could not be started.
    async fn run(&self, run: ProgramRun) -> Result<ProgramEnd, String>;
}

/// What every adapter needs of its surroundings.
#[derive(Clone)]
pub struct Means {
    /// The agent's data directory; grants' secrets are kept below `grants/`.
    pub data: PathBuf,
    /// Finds secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Starts programs.
    pub programs: Arc<dyn Programs>,
    /// Directory of the engine's programs, empty to take them from the search path.
    pub bin: PathBuf,
}

/// The adapter of the database called `name` in the cluster file; refused when its engine has no such door.
pub fn adapter(
    name: &DatabaseName,
    spec: &DatabaseSpec,
    means: &Means,
) -> Result<Box<dyn DatabaseAdapter>, Failure> {
    match (spec.engine, spec.door) {
        (Engine::Postgres, Door::Login) => {
            Ok(Box::new(postgres::Postgres::new(name.clone(), spec.clone(), means.clone())))
        }
        (Engine::Sqlite, Door::PathPerEpoch) if matches!(spec.name.as_str(), "" | "ledger" | "current") => {
            let why = format!("{name}: a SQLite database cannot be called {:?}", spec.name);
            Err(DatabaseCode::Unsupported.refuse(why).into())
        }
        (Engine::Sqlite, Door::PathPerEpoch) => {
            Ok(Box::new(sqlite::Sqlite::new(name.clone(), spec.clone(), means)))
        }
        (engine @ Engine::Postgres, door @ Door::PathPerEpoch)
        | (engine @ Engine::Sqlite, door @ Door::Login) => {
            Err(DatabaseCode::Unsupported.refuse(format!("{name}: {engine:?} has no door {door:?}")).into())
        }
    }
}

/// The holder of the grant a step belongs to, as the log has it.
fn grant_holder(name: &DatabaseName, work: &Work) -> Answer<MemberName> {
    match work.grants.get(name) {
        Some((member, token)) if *token == work.token => Ok(member.clone()),
        Some((member, token)) => Err(DatabaseCode::StaleToken.refuse(format!(
            "the log's grant of {name} is {token} of {member}, the step carries {}",
            work.token
        ))),
        None => Err(DatabaseCode::GrantClosed
            .refuse(format!("the log has no open grant of {name}, the step carries {}", work.token))),
    }
}

/// What the attempt of a grant left: the schema's version as the output `judge.NAME`, and a sentence for the evidence.
/// A schema that cannot be read is told and leaves no output; then the attempt counts as having touched the database.
async fn judged(adapter: &dyn DatabaseAdapter, name: &DatabaseName, work: &Work, done: Done) -> Done {
    let Some(query) = work.inputs.get(&format!("schema.{name}.query")) else { return done };
    let mut done = done;
    let told = match adapter.query_value(query).await {
        Ok(value) => {
            let told = format!("; the schema reads {value}");
            done.outputs.insert(format!("judge.{name}"), value);
            told
        }
        Err(failure) => format!("; the schema cannot be read: {failure}"),
    };
    done.evidence = evidence::clip(done.evidence + &told);
    done
}

/// Runs what waits for files or for SQLite on a thread that may wait.
async fn blocking<T: Send + 'static>(job: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    match tokio::task::spawn_blocking(job).await {
        Ok(answer) => answer,
        Err(error) => Err(DatabaseCode::DoorFiles.refuse(format!("the work on files ended early: {error}"))),
    }
}

/// The actions on a database that an adapter does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    ProveNoWriters,
    Backup(&'a DatabaseAction),
    ProveBackup(&'a DatabaseAction),
    ShutDoor,
    MintCredential,
    AdmitHolder,
    CloseGrant,
    OpenDoor,
    RestoreDatabase(&'a DatabaseAction),
}

impl<'a> Step<'a> {
    fn of(action: &'a Action) -> Answer<Self> {
        match action {
            Action::ProveNoWriters(_) => Ok(Step::ProveNoWriters),
            Action::Backup(action) => Ok(Step::Backup(action)),
            Action::ProveBackup(action) => Ok(Step::ProveBackup(action)),
            Action::ShutDoor(_) => Ok(Step::ShutDoor),
            Action::MintCredential(_) => Ok(Step::MintCredential),
            Action::AdmitHolder(_) => Ok(Step::AdmitHolder),
            Action::CloseGrant(_) => Ok(Step::CloseGrant),
            Action::OpenDoor(_) => Ok(Step::OpenDoor),
            Action::RestoreDatabase(action) => Ok(Step::RestoreDatabase(action)),
            Action::StageRelease(_)
            | Action::SwitchRelease(_)
            | Action::Drain(_)
            | Action::Admit(_)
            | Action::StopService(_)
            | Action::StartService(_)
            | Action::UpgradeDatabase(_)
            | Action::JudgeSchema(_)
            | Action::Prove(_)
            | Action::Run(_) => Err(DatabaseCode::Unsupported
                .refuse(format!("{} is no action of a database adapter", action.kind()))),
        }
    }
}
