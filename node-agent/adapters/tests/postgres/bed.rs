//! A PostgreSQL server in a temporary directory, a small application database, and works to give an adapter.

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
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What the application's schema says.
pub const SCHEMA: &str = "select value from metadata where name = 'schema_version'";

/// Where Debian puts the server's programs.
pub fn bin() -> PathBuf {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .expect("PostgreSQL is not installed: apt-get install postgresql (tests/run does it)")
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .filter(|bin| bin.join("initdb").exists())
            .collect();
        versions.sort();
        versions.pop().expect("/usr/lib/postgresql holds no server: apt-get install postgresql")
    })
    .clone()
}

/// Runs a program of the server as its own user, since it refuses to run as root.
fn as_postgres(program: &str, arguments: &[&str]) {
    let path = bin().join(program);
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(&path);
        command
    } else {
        Command::new(&path)
    };
    let output =
        command.args(arguments).current_dir("/").stdin(Stdio::null()).output().expect("runuser is missing");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// One server; stopped and removed when dropped.
pub struct Server {
    dir: TempDir,
    pub port: u16,
}

impl Server {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("lkpg").tempdir_in("/tmp").expect("a temporary directory");
        give_away(dir.path());
        let data = dir.path().join("data");
        copy_template(&data);
        Self::configure(&data, dir.path());
        let mut server = Self { dir, port: 0 };
        server.run();
        server
    }

    fn configure(data: &Path, sockets: &Path) {
        let settings = format!(
            "\nunix_socket_directories='{}'\nfsync=off\nmax_prepared_transactions=5\nmax_connections=40\n\
             wal_level=replica\nshared_buffers=16MB\n",
            sockets.display()
        );
        let file = data.join("postgresql.conf");
        let old = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, old + &settings).unwrap();
        std::fs::write(
            data.join("pg_hba.conf"),
            "local all postgres trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n",
        )
        .unwrap();
    }

    /// Starts on a free port; another process may take it first, so it is tried again.
    fn run(&mut self) {
        for attempt in 0.. {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let options = format!("-c listen_addresses=127.0.0.1 -c port={port}");
            let log = self.dir.path().join("log");
            let started = std::panic::catch_unwind(|| {
                as_postgres(
                    "pg_ctl",
                    &["-D", text(&self.data()), "-l", text(&log), "-o", &options, "-w", "-t", "30", "start"],
                );
            });
            match started {
                Ok(()) => {
                    self.port = port;
                    return;
                }
                Err(_) if attempt < 3 => {}
                Err(panic) => {
                    let log = std::fs::read_to_string(&log).unwrap_or_default();
                    panic!("PostgreSQL does not start: {log}: {panic:?}");
                }
            }
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn sockets(&self) -> &Path {
        self.dir.path()
    }

    pub fn stop(&self) {
        as_postgres("pg_ctl", &["-D", text(&self.data()), "-m", "immediate", "-w", "stop"]);
    }

    /// A copy of the files of a stopped server, started elsewhere: what a clone of the host would be.
    pub fn copy_of(original: &Server) -> Self {
        let dir = tempfile::Builder::new().prefix("lkpg").tempdir_in("/tmp").unwrap();
        copy(&original.data(), dir.path());
        give_away(dir.path());
        let mut copy = Self { dir, port: 0 };
        std::fs::remove_file(copy.data().join("postmaster.pid")).ok();
        Self::configure(&copy.data(), copy.sockets());
        copy.run();
        copy
    }

    /// Statements as the superuser nobody but the test uses.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self
            .psql("postgres", database)
            .args(["-Atq", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn psql(&self, user: &str, database: &str) -> Command {
        let mut command = Command::new(bin().join("psql"));
        command
            .args([
                "-X",
                "-w",
                "-h",
                text(self.sockets()),
                "-p",
                &self.port.to_string(),
                "-U",
                user,
                "-d",
                database,
            ])
            .env("PGPASSWORD", format!("{user}-secret"))
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            let stopped = std::panic::catch_unwind(|| self.stop());
            if stopped.is_err() {
                eprintln!("a test server in {} could not be stopped", self.dir.path().display());
            }
        }
    }
}

/// An empty cluster, made once for all tests and runs: `initdb` takes longer than most of them.
fn copy_template(data: &Path) {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        let version = bin().parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{version}-template"));
        if !kept.exists() {
            let dir = tempfile::Builder::new().prefix("lkpg").tempdir_in("/tmp").unwrap();
            give_away(dir.path());
            let made = dir.path().join("data");
            as_postgres(
                "initdb",
                &[
                    "-D",
                    text(&made),
                    "-U",
                    "postgres",
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--locale=C.UTF-8",
                    "--no-sync",
                ],
            );
            let part = kept.with_extension("part");
            std::fs::remove_dir_all(&part).ok();
            copy(&made, &part);
            std::fs::rename(&part, &kept).unwrap();
        }
        kept
    });
    copy(template, data);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp is missing");
    assert!(copied.success(), "{} cannot be copied", from.display());
}

fn give_away(path: &Path) {
    if rustix::process::geteuid().is_root() {
        let changed = Command::new("chown").arg("-R").arg("postgres:").arg(path).status().unwrap();
        assert!(changed.success(), "there is no user postgres");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

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
                match adapter.postcheck(&work).await {
                    Postcheck::Proven(done) => done,
                    other => panic!("{what:?}: {other:?}"),
                }
            }
            other => panic!("{what:?}: {other:?}"),
        };
        self.inputs.extend(done.outputs.clone());
        done
    }
}

/// The code of a refusal, whichever of the three answers it is.
pub async fn refused(adapter: &dyn DatabaseAdapter, work: &Work) -> String {
    match adapter.precheck(work).await {
        Precheck::Blocked(blocked) => blocked.code,
        Precheck::Unknown(text) => text.split(' ').next().unwrap_or_default().to_owned(),
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

/// Waits for a condition, half a minute at most.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
