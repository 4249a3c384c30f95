//! A small application database on a server of its own, and works to give an adapter.

pub use super::server::*;
use async_trait::async_trait;
use lockkeeper_adapters::database::{
    DatabaseAdapter, Means, ProgramEnd, ProgramRun, Programs, Secrets, postgres::Postgres,
};
use lockkeeper_agent::host::{Done, Failure, Postcheck, Precheck, Work};
use lockkeeper_core::{
    cluster::{AdminLogin, DatabaseSpec, Door, Engine, Infrastructure, SecretRef},
    ids::{Attempt, ClusterId, DatabaseName, Generation, LogIndex, MemberName, RolloutId, StepId, Token},
    plan::{
        Action, Targets,
        action::{DatabaseAction, SchemaJudge},
    },
};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::Path, process::Stdio, sync::Arc};
use tempfile::TempDir;

/// What the application's schema says.
pub const SCHEMA: &str = "select value from metadata where name = 'schema_version'";

/// Starts programs for the adapter as the shipped runner does, as far as a test needs it.
struct Direct;

#[async_trait]
impl Programs for Direct {
    async fn run(&self, run: ProgramRun) -> Result<ProgramEnd, String> {
        let (program, arguments) = run.argv.split_first().ok_or("no program")?;
        let output = tokio::process::Command::new(program)
            .args(arguments)
            .envs(&run.env)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(run.timeout, output).await.map_err(|e| e.to_string())?;
        let output = output.map_err(|e| e.to_string())?;
        Ok(ProgramEnd {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Every secret of the tests is the login's name with a suffix.
struct Suffixed;

#[async_trait]
impl Secrets for Suffixed {
    async fn resolve(&self, reference: &SecretRef) -> Result<SecretString, String> {
        Ok(SecretString::from(reference.0.clone()))
    }
}

/// A server with the application's database, and the directories of two agents.
pub struct Bed {
    pub server: Server,
    pub spec: DatabaseSpec,
    home: TempDir,
}

impl Bed {
    /// Owner role `appowner` without log-in, logins `app` (a member of it) and `reporting` (reads), a superuser
    /// `lockkeeper`, and the declared superuser `postgres`.
    pub fn new() -> Self {
        let server = Server::start();
        server.sql(
            "postgres",
            "create role lockkeeper superuser login password 'lockkeeper-secret';
             create role appowner; create role app login password 'app-secret' in role appowner;
             create role reporting login password 'reporting-secret';
             create role frozen nologin password 'frozen-secret'",
        );
        server.sql("postgres", "create database appdb owner appowner");
        server.sql(
            "appdb",
            "set role appowner;
             create table metadata (name text primary key, value text not null);
             insert into metadata values ('schema_version', '23');
             create table record (id bigint generated always as identity primary key, body text not null, at timestamptz
                 default '2026-01-01 00:00:00Z', gone int);
             alter table record drop column gone;
             insert into record (body) select 'row ' || n from generate_series(1, 500) n;
             create index record_body on record (body);
             create view recent as select * from record where id > 400;
             create type mood as enum ('calm', 'storm');
             create table part (id int, m mood) partition by range (id);
             create table part_1 partition of part for values from (0) to (100);
             insert into part select n, 'calm' from generate_series(1, 50) n;
             create function twice(n int) returns int language sql immutable as 'select n * 2';
             comment on table record is 'what users keep';
             grant select on all tables in schema public to reporting",
        );
        server.sql("postgres", "alter database appdb set work_mem = '5MB'; alter role app in database appdb set search_path = \"$user\", public");
        let home = tempfile::tempdir().unwrap();
        let spec = DatabaseSpec {
            engine: Engine::Postgres,
            instances: vec![format!("127.0.0.1:{}", server.port)],
            name: "appdb".into(),
            admin: Some(AdminLogin {
                user: "lockkeeper".into(),
                password: SecretRef("lockkeeper-secret".into()),
            }),
            tls: None,
            door: Door::Login,
            owner: String::new(),
            infrastructure: vec![Infrastructure {
                login: "postgres".into(),
                host: "local".into(),
                program: "psql".into(),
            }],
            backups: home.path().join("backups").to_string_lossy().into_owned(),
            executors: Vec::new(),
        };
        Self { server, spec, home }
    }

    /// The adapter of one member's agent.
    pub fn adapter(&self, member: &str) -> Postgres {
        self.adapter_for(member, self.spec.clone())
    }

    pub fn adapter_for(&self, member: &str, spec: DatabaseSpec) -> Postgres {
        let means = Means {
            data: self.home.path().join(member),
            secrets: Arc::new(Suffixed),
            programs: Arc::new(Direct),
            bin: bin(),
        };
        Postgres::new(main_database(), spec, means)
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Roles that can log in, as the catalog has them.
    pub fn logins(&self) -> String {
        self.server.sql(
            "postgres",
            "select string_agg(rolname, ',' order by rolname) from pg_roles where rolcanlogin",
        )
    }

    /// Whether a login can open a session in the application's database.
    pub fn can_enter(&self, user: &str) -> bool {
        self.server.psql(user, "appdb").args(["-c", "select 1"]).output().unwrap().status.success()
    }
}

pub fn main_database() -> DatabaseName {
    DatabaseName::new("main").unwrap()
}

pub fn token(index: u64) -> Token {
    Token { generation: Generation(1), index: LogIndex(index) }
}

/// The database action a test wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Do {
    Quiet,
    Backup,
    Prove,
    Shut,
    Mint,
    Admit,
    Close,
    Open,
    Restore,
}

/// Works of one rollout, with outputs handed on as the coordinator does.
#[derive(Debug, Clone)]
pub struct Rollout {
    pub cluster: ClusterId,
    pub id: RolloutId,
    pub inputs: BTreeMap<String, String>,
    pub grants: BTreeMap<DatabaseName, (MemberName, Token)>,
    pub captured: Option<String>,
}

impl Rollout {
    pub fn new(cluster: &str) -> Self {
        Self {
            cluster: ClusterId(cluster.into()),
            id: RolloutId(7),
            inputs: BTreeMap::new(),
            grants: BTreeMap::new(),
            captured: None,
        }
    }

    pub fn granted(mut self, member: &str, at: Token) -> Self {
        self.grants.insert(main_database(), (MemberName::new(member).unwrap(), at));
        self
    }

    pub fn work(&self, me: &str, what: Do, at: Token) -> Work {
        let action = DatabaseAction { database: main_database(), set: "set-7".into() };
        Work {
            cluster: self.cluster.clone(),
            me: MemberName::new(me).unwrap(),
            rollout: self.id,
            step: StepId(1),
            attempt: Attempt(1),
            token: at,
            action: match what {
                Do::Quiet => Action::ProveNoWriters(action),
                Do::Backup => Action::Backup(action),
                Do::Prove => Action::ProveBackup(action),
                Do::Shut => Action::ShutDoor(action),
                Do::Mint => Action::MintCredential(action),
                Do::Admit => Action::AdmitHolder(action),
                Do::Close => Action::CloseGrant(action),
                Do::Open => Action::OpenDoor(action),
                Do::Restore => Action::RestoreDatabase(action),
            },
            targets: Arc::new(Targets {
                balancers: BTreeMap::new(),
                databases: BTreeMap::new(),
                members: BTreeMap::new(),
            }),
            inputs: self.inputs.clone(),
            captured: if what == Do::Open { self.captured.clone() } else { None },
            grants: self.grants.clone(),
            owes: None,
            marks: Arc::default(),
        }
    }

    /// Does one step as an agent does: look, act, look; outputs and the captured value are handed on.
    pub async fn step(&mut self, adapter: &dyn DatabaseAdapter, me: &str, what: Do, at: Token) -> Done {
        let work = self.work(me, what, at);
        let done = match adapter.precheck(&work).await {
            Precheck::AlreadyDone(done) => done,
            Precheck::Ready { captured } => {
                if what == Do::Shut {
                    self.captured = Some(captured);
                }
                adapter.perform(&work).await.unwrap_or_else(|failure| panic!("{what:?}: {failure}"));
                proven(adapter, &work).await
            }
            other => panic!("{what:?}: {other:?}"),
        };
        self.inputs.extend(done.outputs.clone());
        done
    }
}

/// Looks as an agent does: what is not so yet, such as a standby that has not replayed, is looked at again.
async fn proven(adapter: &dyn DatabaseAdapter, work: &Work) -> Done {
    let begun = std::time::Instant::now();
    loop {
        match adapter.postcheck(work).await {
            Postcheck::Proven(done) => return done,
            Postcheck::NotYet(_) if begun.elapsed() < std::time::Duration::from_secs(30) => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            other => panic!("{:?}: {other:?}", work.action.kind()),
        }
    }
}

/// The code of a refusal, whichever of the three answers it is.
pub async fn refused(adapter: &dyn DatabaseAdapter, work: &Work) -> String {
    match adapter.precheck(work).await {
        Precheck::Blocked(blocked) => blocked.code,
        Precheck::Unknown(text) => text.split(' ').next().unwrap_or_default().to_owned(),
        Precheck::Refused(failure) => failure.code,
        Precheck::Ready { .. } => panic!("ready"),
        other => panic!("{other:?}"),
    }
}

/// The failure of acting without having looked.
pub async fn act_refused(adapter: &dyn DatabaseAdapter, work: &Work) -> Failure {
    adapter.perform(work).await.expect_err("the act was expected to be refused")
}

/// The probe of a rollout from 23 to 26.
pub fn probe() -> SchemaJudge {
    SchemaJudge { query: SCHEMA.into(), before: "23".into(), after: "26".into() }
}
