//! A directory with a SQLite database as members use it, works for an adapter, and a process that holds a file open.

use lockkeeper_adapters::database::{
    DatabaseAdapter, Means, ProgramEnd, ProgramRun, Programs, Secrets, sqlite::Sqlite,
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use lockkeeper_core::{
    cluster::{DatabaseSpec, Door, Engine, SecretRef},
    ids::{Attempt, ClusterId, DatabaseName, Generation, LogIndex, MemberName, RolloutId, StepId, Token},
    plan::{
        Action, Targets,
        action::{DatabaseAction, SchemaJudge},
    },
};
use rusqlite::Connection;
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};
use tempfile::TempDir;

pub const SCHEMA: &str = "select version from schema";

struct Nothing;

#[async_trait::async_trait]
impl Secrets for Nothing {
    async fn resolve(&self, _reference: &SecretRef) -> Result<SecretString, String> {
        Err("SQLite asks for no secret".into())
    }
}

#[async_trait::async_trait]
impl Programs for Nothing {
    async fn run(&self, _run: ProgramRun) -> Result<ProgramEnd, String> {
        Err("SQLite starts no program".into())
    }
}

pub struct Bed {
    pub home: TempDir,
}

impl Bed {
    /// `current` -> `main.db` in write-ahead mode, with a schema version and some rows.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let bed = Self { home };
        std::fs::create_dir(bed.directory()).unwrap();
        let connection = Connection::open(bed.file("main.db")).unwrap();
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
        connection
            .execute_batch(
                "pragma application_id = 4711; create table schema (version text); insert into schema values ('1');
                 create table record (id integer primary key autoincrement, body text, raw blob);
                 insert into record (body, raw) values ('a', x'00ff'), ('b', null), ('c', x'');
                 create index by_body on record (body); create view shown as select body from record",
            )
            .unwrap();
        drop(connection);
        std::os::unix::fs::symlink("main.db", bed.file("current")).unwrap();
        bed
    }

    pub fn directory(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    pub fn spec(&self) -> DatabaseSpec {
        DatabaseSpec {
            engine: Engine::Sqlite,
            instances: vec![self.directory().to_string_lossy().into_owned()],
            name: "main".into(),
            admin: None,
            tls: None,
            door: Door::PathPerEpoch,
            owner: String::new(),
            infrastructure: Vec::new(),
            backups: self.home.path().join("backups").to_string_lossy().into_owned(),
            executors: Vec::new(),
        }
    }

    pub fn adapter(&self) -> Sqlite {
        let means = Means {
            data: self.home.path().join("agent"),
            secrets: Arc::new(Nothing),
            programs: Arc::new(Nothing),
            bin: PathBuf::new(),
        };
        Sqlite::new(main_database(), self.spec(), &means)
    }

    /// Where `current` points.
    pub fn current(&self) -> Option<String> {
        std::fs::read_link(self.file("current")).ok().map(|target| target.to_string_lossy().into_owned())
    }

    /// Runs statements on a file as the application would.
    pub fn sql(&self, file: &str, sql: &str) {
        Connection::open(self.file(file)).unwrap().execute_batch(sql).unwrap();
    }

    pub fn value(&self, file: &str, sql: &str) -> String {
        Connection::open(self.file(file))
            .unwrap()
            .query_row(sql, [], |row| row.get_ref(0).map(|value| format!("{value:?}")))
            .unwrap()
    }
}

pub fn main_database() -> DatabaseName {
    DatabaseName::new("main").unwrap()
}

pub fn token(index: u64) -> Token {
    Token { generation: Generation(1), index: LogIndex(index) }
}

pub fn probe() -> SchemaJudge {
    SchemaJudge { query: SCHEMA.into(), before: "1".into(), after: "2".into() }
}

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

#[derive(Debug, Clone)]
pub struct Rollout {
    pub cluster: ClusterId,
    pub inputs: BTreeMap<String, String>,
    pub grants: BTreeMap<DatabaseName, (MemberName, Token)>,
    pub captured: Option<String>,
}

impl Rollout {
    pub fn new(cluster: &str) -> Self {
        Self {
            cluster: ClusterId(cluster.into()),
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
            rollout: RolloutId(7),
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

pub async fn refused(adapter: &dyn DatabaseAdapter, work: &Work) -> String {
    match adapter.precheck(work).await {
        Precheck::Blocked(blocked) => blocked.code,
        Precheck::Unknown(text) => text.split(' ').next().unwrap_or_default().to_owned(),
        Precheck::Refused(failure) => failure.code,
        other => panic!("{other:?}"),
    }
}

/// A process that works one file by statements it is told, one a line; it can be frozen in between.
pub struct Holder {
    child: Child,
    told: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Python's SQLite: another program and another copy of the library than the adapter's.
const PROGRAM: &str = "
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
print('open', flush=True)
for line in sys.stdin:
    try:
        connection.execute(line)
        print('done', flush=True)
    except sqlite3.Error as error:
        print('error ' + str(error), flush=True)
";

impl Holder {
    pub fn open(file: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", PROGRAM])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is not installed: apt-get install python3 (tests/run does it)");
        let (told, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut holder = Self { child, told, answers };
        assert_eq!(holder.answer(), "open");
        holder
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells a statement without waiting for the answer, as for a process that is frozen.
    pub fn tell(&mut self, sql: &str) {
        writeln!(self.told, "{sql}").unwrap();
        self.told.flush().unwrap();
    }

    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    pub fn run(&mut self, sql: &str) {
        self.tell(sql);
        assert_eq!(self.answer(), "done", "{sql}");
    }

    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
