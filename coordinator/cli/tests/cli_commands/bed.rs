//! A directory for one test, scripted agents in it, and the binary run against them.

use crate::agent::Agent;
use lockkeeper_coordinator::pki::{
    CertificateRequest, IssuingCa, OperatorContext, PrivateKey, RootCa, Validity,
};
use lockkeeper_core::{
    cluster::read_cluster,
    identity::Role,
    ids::{ActorName, ClusterId, ClusterName, Digest, Incarnation, MemberName},
    plan::{ActionKind, Observed, ObservedDatabase, ObservedMember, PlanInput, render},
    profile::ProfileCatalog,
    time::LogTime,
    version::Version,
};
use lockkeeper_proto::transport::{Credentials, ListenLimits, Revocations, Tls, listen, listen_unix};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

pub const RUNNING: &str = include_str!("../../src/render/tests/views/running.json");
pub const BEFORE: &str = include_str!("../../src/render/tests/views/before.json");
pub const HALTED: &str = include_str!("../../src/render/tests/views/halted.json");
pub const COMPLETED: &str = include_str!("../../src/render/tests/views/completed.json");
pub const IDLE: &str = include_str!("../../src/render/tests/views/idle.json");
pub const MEMBERS: &str = include_str!("../../src/render/tests/views/members.json");
pub const OWED: &str = include_str!("../../src/render/tests/views/owed.json");
pub const LOCKS: &str = include_str!("../../src/render/tests/views/locks.json");
pub const HISTORY: &str = include_str!("../../src/render/tests/views/history.json");
/// The sample cluster file that operators get.
pub const SAMPLE: &str = include_str!("../../../../deploy/sample/cluster.toml");

/// No command of these tests takes longer, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Nobody listens there: the port is reserved and never assigned.
pub const NOBODY: &str = "127.0.0.1:1";

/// A view whose agents' addresses lead nowhere, so that nothing is looked for beyond this machine.
pub fn nowhere(view: &str) -> String {
    ["10.77.0.11", "10.77.0.12", "10.77.0.13", "10.77.0.20"]
        .iter()
        .fold(view.to_owned(), |text, host| text.replace(&format!("{host}:7440"), NOBODY))
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Checks the exit code and shows everything if it is another one.
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// One test's world.
pub struct Bed {
    pub home: TempDir,
}

impl Bed {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// An agent on the socket `agent.sock`.
    pub fn agent(&self, status: &str) -> Agent {
        let mut agent = Agent::new(status);
        agent.serve(listen_unix(&self.path("agent.sock"), None).unwrap());
        agent
    }

    /// The binary with these words, in the bed's directory, without anything of this machine.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
        command
            .args(words)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command with the bed's socket.
    pub async fn run(&self, words: &[&str]) -> Ran {
        let mut all = vec!["--socket", "agent.sock"];
        all.extend(words);
        self.run_plain(&all).await
    }

    /// Runs a command as it stands.
    pub async fn run_plain(&self, words: &[&str]) -> Ran {
        ended(self.command(words).spawn().unwrap()).await
    }

    /// Runs a command that reads `input`.
    pub async fn run_with_input(&self, words: &[&str], input: &str) -> Ran {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        ended(child).await
    }
}

/// Waits for the end of a process.
pub async fn ended(child: Child) -> Ran {
    let output =
        tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("it ends in time").unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Reads a stream until `wanted` was said; answers everything up to there.
pub async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), wanted: &str) -> String {
    let mut text = String::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while !text.contains(wanted) {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the stream ended without {wanted:?}: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    if tokio::time::timeout(LIMIT, reading).await.is_err() {
        panic!("{wanted:?} was not said: {text}");
    }
    text
}

/// Waits until something holds.
pub async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("it holds in time");
}

/// Everything a stream still says.
pub async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut text)).await.expect("it ends in time").unwrap();
    text
}

/// The moment certificates are made at.
fn now() -> LogTime {
    LogTime(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap())
}

/// A cluster's authority.
pub struct Authority {
    pub cluster: ClusterId,
    pub issuing: IssuingCa,
    pub roots: Vec<Vec<u8>>,
}

impl Authority {
    pub fn new(id: &str) -> Self {
        let cluster = ClusterId(id.to_owned());
        let root = RootCa::create(&cluster, now()).unwrap();
        Self { issuing: root.issuing(now()).unwrap(), roots: vec![root.certificate().to_vec()], cluster }
    }

    fn credentials(&self, key: &PrivateKey, chain: Vec<Vec<u8>>) -> Credentials {
        Credentials { cluster: self.cluster.clone(), chain, key: key.to_der(), roots: self.roots.clone() }
    }

    /// A node's TLS agent on a free loopback port, and its address.
    pub async fn agent(&self, name: &str, status: &str) -> (Agent, String) {
        let key = PrivateKey::generate().unwrap();
        let member = MemberName::new(name).unwrap();
        let issued =
            self.issuing.issue_node(&key.request().unwrap(), &member, Incarnation(1), Validity::leaf(now()));
        let credentials = self.credentials(&key, issued.unwrap().chain);
        let tls = Tls::new(credentials, Revocations::none()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accepted = listen(listener, tls, ListenLimits::default()).unwrap();
        let address = accepted.address.to_string();
        let mut agent = Agent::new(status);
        agent.serve(accepted.peers);
        (agent, address)
    }

    /// A certificate chain for an operator's request.
    pub fn operator(&self, request: &[u8], name: &str, role: Role) -> Vec<Vec<u8>> {
        let request = CertificateRequest::from_der(request).unwrap();
        let name = ActorName::new(name).unwrap();
        self.issuing.issue_operator(&request, &name, role, Validity::leaf(now())).unwrap().chain
    }

    /// Writes a context for these addresses.
    pub fn context(&self, directory: &Path, cluster: &str, addresses: &[&str]) -> PathBuf {
        let key = PrivateKey::generate().unwrap();
        let chain = self.operator(key.request().unwrap().der(), "alice", Role::Admin);
        let context = OperatorContext {
            name: ClusterName::new(cluster).unwrap(),
            addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
            credentials: self.credentials(&key, chain),
        };
        context.write(directory).unwrap()
    }
}

/// A plan file's text for the sample cluster, made by the real planner.
pub fn plan_text(to: &str) -> String {
    let catalog = ProfileCatalog::built_in();
    let (spec, _) = read_cluster("cluster.toml", SAMPLE, &catalog).unwrap();
    let agent = |version: Option<&str>| ObservedMember {
        incarnation: Incarnation(1),
        version: version.map(|v| Version::new(v).unwrap()),
        reachable: true,
        actions: ActionKind::ALL.into_iter().collect(),
        release: None,
    };
    let members = spec.members.keys().map(|m| (m.clone(), agent(Some("20.6.1"))));
    let witnesses = spec.witnesses.keys().map(|m| (m.clone(), agent(None)));
    let database = ObservedDatabase { identity: "7438/main".to_owned(), schema: "23".to_owned() };
    let observed = Observed {
        at: LogTime(1_795_212_000_000),
        members: members.chain(witnesses).collect(),
        databases: spec.databases.keys().map(|d| (d.clone(), database.clone())).collect(),
        balancers: std::collections::BTreeMap::new(),
    };
    let input = PlanInput {
        cluster_id: &ClusterId("c-1".to_owned()),
        cluster: &spec,
        cluster_version: 1,
        cluster_digest: &Digest::of(SAMPLE.as_bytes()),
        profile: catalog.get(&spec.profile).unwrap(),
        observed: &observed,
        strategy: lockkeeper_core::plan::Strategy::Offline,
        to: &Version::new(to).unwrap(),
        parent: None,
        adopt: false,
    };
    let (plan, _) = lockkeeper_core::plan::plan(&input).unwrap_or_else(|report| panic!("{report}"));
    render(&plan)
}
