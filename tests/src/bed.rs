//! Three Kinto members on one PostgreSQL behind one HAProxy, each on a host of its own, with a client that never
//! stops asking. The bed knows the real products and the hosts they run on; it does not know Lockkeeper: a test puts
//! that on top by its command line.
//!
//! A bed belongs to the thread that started it: its hosts lose their power when that thread ends, however it ends.

pub mod haproxy;
pub mod host;
pub mod kinto;
pub mod load;
pub mod network;
pub mod oracle;
pub mod postgres;
pub mod process;
pub mod site;
pub mod tools;

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use self::haproxy::Haproxy;
use self::host::{Daemon, Host};
use self::kinto::Member;
use self::load::Load;
use self::network::{Guard, Switch};
use self::postgres::Postgres;

/// The release the bed starts with.
pub const OLD: &str = "20.6.1";
/// The release the bed is taken to.
pub const NEW: &str = "26.5.0";
/// Schema versions that belong to [`OLD`] and [`NEW`].
pub const OLD_SCHEMA: u32 = 23;
/// See [`OLD_SCHEMA`].
pub const NEW_SCHEMA: u32 = 26;

/// Addresses of the hosts. Members are `.11` to `.13`.
pub const FRONT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);
/// The database host, also the place of a witness.
pub const DB: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 20);
/// Where the load comes from; also the operator's desk.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 30);
/// First member.
const MEMBERS: [(&str, Ipv4Addr); 3] = [
    ("n1", Ipv4Addr::new(10, 77, 0, 11)),
    ("n2", Ipv4Addr::new(10, 77, 0, 12)),
    ("n3", Ipv4Addr::new(10, 77, 0, 13)),
];

/// A member that nobody remembers: in no cluster file, in no balancer.
const FORGOTTEN: (&str, Ipv4Addr) = ("old4", Ipv4Addr::new(10, 77, 0, 14));

/// What a test may choose about its bed.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Requests per second of the client, open loop.
    pub rate: u32,
    /// How long the test-only trigger holds each of the three migration steps (23-24, 24-25, 25-26).
    pub slow_step: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { rate: 50, slow_step: Duration::from_secs(1) }
    }
}

/// The running bed. Fields drop in order: what runs on the hosts first, then the hosts, then the files.
#[derive(Debug)]
pub struct Bed {
    /// The balancer on host `front`.
    pub haproxy: Haproxy,
    /// The database on host `db1`.
    pub postgres: Postgres,
    /// `n1`, `n2`, `n3`.
    pub members: Vec<Member>,
    /// The host the load comes from.
    pub client: Host,
    options: Options,
    samples: Option<Daemon>,
    switch: Switch,
    _guard: Guard,
    _lock: File,
    directory: Directory,
}

/// The bed's files: removed when the test said it passed, else kept for whoever looks for the reason.
#[derive(Debug)]
struct Directory {
    files: Option<TempDir>,
    path: PathBuf,
    passed: bool,
}

impl Drop for Directory {
    fn drop(&mut self) {
        let keep = !self.passed || std::env::var_os("LOCKKEEPER_BED_KEEP").is_some();
        if keep && let Some(files) = self.files.take() {
            // Straight to standard error: a failing test has no subscriber, and this line is what one looks for.
            eprintln!("the bed's files are kept: {}", files.keep().display());
        }
    }
}

impl Bed {
    /// Builds the hosts, installs both Kinto releases on every member, and starts database, balancer and the old
    /// release everywhere. Waits until all three members are in the balancer. Takes about 12 s when the virtual
    /// environments are there already. Only one bed runs at a time on a machine (a file lock): two cores carry one.
    pub fn start(options: Options) -> Result<Self> {
        tools::require_root()?;
        let releases = tools::releases()?;
        let lock = tools::exclusive()?;
        let directory =
            tempfile::Builder::new().prefix("lk-bed-").tempdir().context("the bed's directory")?;
        let path = directory.path().to_path_buf();
        let directory = Directory { files: Some(directory), path: path.clone(), passed: false };
        tools::let_all_pass(&path)?;

        let guard = Guard::set()?;
        let names: Vec<(&str, Ipv4Addr)> =
            [("front", FRONT), ("db1", DB), ("client", CLIENT)].into_iter().chain(MEMBERS).collect();
        let mut switch = Switch::start(&path)?;
        let mut plugged = |name: &str, address| -> Result<Host> {
            let host = Host::start(name, address, &path, &names)?;
            switch.plug(&host)?;
            Ok(host)
        };
        let (front, db, client) = (plugged("front", FRONT)?, plugged("db1", DB)?, plugged("client", CLIENT)?);
        let hosts = MEMBERS.iter().map(|(name, at)| plugged(name, *at)).collect::<Result<Vec<_>>>()?;

        let postgres = Postgres::start(db, &path)?;
        let members = hosts
            .into_iter()
            .map(|host| Member::install(host, &releases, &postgres))
            .collect::<Result<Vec<_>>>()?;
        members[0].migrate_as_owner(OLD)?;
        postgres.slow_migration(options.slow_step)?;
        for member in &members {
            member.start()?;
        }
        let haproxy = Haproxy::start(front, &members)?;
        for member in &members {
            member.wait_ready(OLD)?;
            haproxy.wait_up(member.name())?;
        }
        Ok(Self {
            haproxy,
            postgres,
            members,
            client,
            options,
            samples: None,
            switch,
            _guard: guard,
            _lock: lock,
            directory,
        })
    }

    /// The test passed: the bed's files go when it is dropped. Without this they are kept.
    pub fn passed(mut self) {
        self.directory.passed = true;
    }

    /// One Kinto more on a host of its own, on the same database, with the application's login and open sessions.
    /// Answers when it serves.
    pub fn start_forgotten(&mut self) -> Result<Member> {
        let (name, address) = FORGOTTEN;
        let host = Host::start(name, address, self.path(), &[FORGOTTEN, ("db1", DB)])?;
        self.switch.plug(&host)?;
        let member = Member::install(host, &tools::releases()?, &self.postgres)?;
        member.start()?;
        member.wait_ready(OLD)?;
        Ok(member)
    }

    /// The directory that holds every host's files and all logs.
    pub fn path(&self) -> &Path {
        &self.directory.path
    }

    /// Starts the client and the sampler of the balancer's states; returns when `acknowledged` writes are in.
    pub fn start_load(&mut self, acknowledged: usize) -> Result<Load> {
        self.samples = Some(self.haproxy.sample(&self.path().join("states.jsonl"))?);
        let load = Load::start(&self.client, self.options.rate, &self.path().join("client.jsonl"))?;
        load.wait_acknowledged(acknowledged)?;
        Ok(load)
    }

    /// Collects what the oracle reads, into `evidence/` below [`Bed::path`]. `since` is the database's clock when the
    /// rollout began (see [`Postgres::now`]).
    pub fn evidence(&mut self, since: &str) -> Result<oracle::Evidence> {
        if let Some(samples) = self.samples.take() {
            samples.stop()?;
        }
        let evidence = oracle::Evidence::at(self.path().join("evidence"), since)?;
        self.postgres.rows(&evidence.file("rows-after.jsonl"))?;
        fs::rename(self.path().join("rows-before.jsonl"), evidence.file("rows-before.jsonl"))
            .context("rows before the rollout: call Bed::note_rows_before first")?;
        fs::copy(self.postgres.csvlog(), evidence.file("postgresql.csv"))?;
        fs::copy(self.haproxy.log(), evidence.file("haproxy.log"))?;
        for name in ["client.jsonl", "states.jsonl"] {
            fs::copy(self.path().join(name), evidence.file(name))?;
        }
        let mut served = serde_json::Map::new();
        for member in &self.members {
            served.insert(member.name().to_owned(), member.served_version()?.into());
        }
        fs::write(evidence.file("served.json"), serde_json::to_vec(&served)?)?;
        fs::write(evidence.file("schema.txt"), self.postgres.schema_version()?.to_string())?;
        Ok(evidence)
    }

    /// Dumps every row as it is now, and returns the database's clock: the start of what the oracle looks at.
    pub fn note_rows_before(&self) -> Result<String> {
        self.postgres.rows(&self.path().join("rows-before.jsonl"))?;
        self.postgres.now()
    }
}
