//! Three agents, a balancer, a database and services that are words in files, ready for one rollout after the other.

use crate::{
    bed::process::{run, wait_for},
    loopback::{CLUSTER, Loopback, binary},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, fs::symlink, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Members, agents and servers.
pub const NAMES: [&str; 3] = ["n1", "n2", "n3"];
/// The balancer's backend.
const BACKEND: &str = "app";
/// One answer of the balancer, or one health check.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Until the balancer has found all servers up.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// What every release and act is made of.
const SCRIPTS: [(&str, &str); 4] = [
    ("effect.sh", include_str!("effect.sh")),
    ("service.sh", include_str!("service.sh")),
    ("migrate.sh", include_str!("migrate.sh")),
    ("migrate.py", include_str!("migrate.py")),
];

/// The site. Dropping it ends all processes and removes all files.
#[derive(Debug)]
pub struct KillSite {
    /// The agents.
    pub group: Loopback,
    /// The release in use; the schema has the same number.
    pub version: u32,
    balancer: Child,
}

impl Drop for KillSite {
    fn drop(&mut self) {
        // Nothing is left to do for a process that cannot be killed.
        drop(self.balancer.kill());
        drop(self.balancer.wait());
    }
}

impl KillSite {
    /// Everything runs version 1, all servers are up.
    pub fn start() -> Result<Self> {
        let mut group = Loopback::found(&NAMES)?;
        let root = group.path().to_path_buf();
        for directory in ["state", "db", "backups", "releases"] {
            fs::create_dir(root.join(directory))?;
        }
        for (name, text) in SCRIPTS {
            fs::write(root.join(name), text)?;
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755))?;
        }
        for (name, text) in [("effects", "0\n"), ("chosen", "\n"), ("lock", ""), ("migrating", "")] {
            fs::write(root.join(name), text)?;
        }
        database(&root.join("db"))?;
        let mut servers = Vec::new();
        for name in NAMES {
            let state = root.join("state").join(name);
            fs::write(&state, "running\n")?;
            servers.push(format!("{name}={}", serve(state)?));
            let home = root.join("home").join(name);
            release(&home.join("1.0"), 1)?;
            symlink("1.0", home.join("current"))?;
        }
        let balancer = balancer(&root, &servers)?;
        group.join_all()?;
        let site = Self { group, version: 1, balancer };
        wait_for("servers that are up", UP_WITHIN, || {
            let up = site.servers()?.values().all(|state| state == "op 2, admin 0");
            Ok(up.then_some(()))
        })?;
        Ok(site)
    }

    /// Where everything lies.
    pub fn path(&self) -> &Path {
        self.group.path()
    }

    /// Puts the next release in its place, and the cluster file that knows its schema into force.
    pub fn prepare_next(&self) -> Result<String> {
        let next = self.version + 1;
        release(&self.path().join(format!("releases/{next}.0")), next)?;
        let file = self.path().join("cluster.toml");
        fs::write(&file, self.cluster_file(next))?;
        self.group.must(&["cluster", "apply", &file.display().to_string()])?;
        Ok(format!("{next}.0"))
    }

    /// Everything a rollout turns, as it is outside.
    pub fn turned(&self) -> Result<BTreeMap<String, String>> {
        let mut turned = self.servers()?;
        for name in NAMES {
            turned.insert(format!("{name}/service"), self.read(&format!("state/{name}"))?);
        }
        let live = fs::canonicalize(self.path().join("db/current"));
        turned.insert("main/door".into(), if live.is_ok() { "open" } else { "shut" }.into());
        Ok(turned)
    }

    /// What is wrong with the outcome of the last rollout, by the books of those who were acted upon.
    pub fn judge(&self) -> Result<()> {
        let corrupt = fs::read_to_string(self.path().join("corrupt")).unwrap_or_default();
        ensure!(corrupt.is_empty(), "corrupted: {corrupt}");
        let live = self.path().join("db/current").display().to_string();
        let wanted = self.version;
        let found = sql(&live, "select version from schema_version")?;
        ensure!(found == wanted.to_string(), "the schema reads {found}, not {wanted}");
        let found = sql(&live, "select group_concat(version) from migrations")?;
        let once: Vec<String> = (2..=wanted).map(|version| version.to_string()).collect();
        ensure!(found == once.join(","), "migrations done: {found}");
        for name in NAMES {
            let link = fs::read_link(self.path().join("home").join(name).join("current"))?;
            ensure!(link.ends_with(format!("{wanted}.0")), "{name} runs {}", link.display());
        }
        Ok(())
    }

    /// Acts of services and migrations so far.
    pub fn effects(&self) -> Result<u64> {
        self.read("effects")?.parse().context("the count of effects")
    }

    /// The act counted from now on that kills who runs it.
    pub fn choose(&self, effect: u64, done: bool) -> Result<()> {
        let side = if done { "after" } else { "before" };
        Ok(fs::write(self.path().join("chosen"), format!("{} {side}\n", self.effects()? + effect))?)
    }

    /// Whether the chosen act has struck.
    pub fn has_struck(&self) -> bool {
        fs::remove_file(self.path().join("struck")).is_ok()
    }

    /// What a person does on a member's host: no act of the rollout, and not counted as one.
    pub fn stop_by_hand(&self, member: &str) -> Result<()> {
        Ok(fs::write(self.path().join("state").join(member), "stopped\n")?)
    }

    /// Leaves the files to whoever looks for the reason.
    pub fn keep(&mut self) {
        self.group.keep();
    }

    fn read(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.path().join(name))?.trim().to_owned())
    }

    /// By server its state in the balancer: `op 2` is up, `admin 0` is ready.
    fn servers(&self) -> Result<BTreeMap<String, String>> {
        let mut stream = UnixStream::connect(socket(self.path()))?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        writeln!(stream, "show servers state {BACKEND}")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::split_whitespace);
        let rows = lines.map(Iterator::collect::<Vec<_>>).filter(|words| words.len() > 6);
        let state = |row: Vec<&str>| (format!("front/{}", row[3]), format!("op {}, admin {}", row[5], row[6]));
        let servers: BTreeMap<_, _> = rows.map(state).collect();
        ensure!(servers.len() == NAMES.len(), "the balancer answered {text:?}");
        Ok(servers)
    }

    fn cluster_file(&self, next: u32) -> String {
        let root = self.path().display();
        let members: String = self
            .group
            .agents
            .iter()
            .map(|agent| {
                let name = &agent.name;
                format!(
                    "[members.{name}]\naddress = \"{}\"\nvalues = {{ home = \"{root}/home/{name}\" }}\n",
                    agent.address
                )
            })
            .collect();
        let service = |act: &str| format!("[\"{root}/service.sh\", \"{root}\", \"{{member.name}}\", \"{act}\"]");
        format!(
            r#"cluster = "{CLUSTER}"
profile = "generic"

{members}
[policy]
four_eyes  = false
approvals  = 0
lost_after = "10s"

[balancers.front]
kind    = "haproxy"
socket  = "unix:{socket}"
backend = "{BACKEND}"
servers = {{ n1 = "n1", n2 = "n2", n3 = "n3" }}
drain   = {{ wait = "1s", then = "maint" }}

[databases.main]
engine    = "sqlite"
instances = ["{root}/db"]
name      = "library"
backups   = "{root}/backups"

[parameters]
release = {{ directory = "{{member.home}}", source = "{root}/releases/{{version}}" }}
version = {{ file = "{{release.link}}/VERSION" }}
schema  = {{ query = "select version from schema_version", after = "{next}" }}
service = {{ kind = "command", start = {start}, stop = {stop}, status = {status} }}
upgrade = {{ command = ["{root}/migrate.sh", "{root}", "{{database.main.path}}", "{{to}}"], estimate = "1s" }}
ready   = {{ command = {status}, settle = "50ms", interval = "25ms" }}
"#,
            socket = socket(self.path()).display(),
            start = service("start"),
            stop = service("stop"),
            status = service("status"),
        )
    }
}

fn socket(root: &Path) -> PathBuf {
    root.join("balancer.sock")
}

fn release(directory: &Path, version: u32) -> Result<()> {
    fs::create_dir_all(directory)?;
    Ok(fs::write(directory.join("VERSION"), format!("{version}.0\n"))?)
}

fn database(directory: &Path) -> Result<()> {
    let file = directory.join("library.db").display().to_string();
    sql(
        &file,
        "create table schema_version (version integer); insert into schema_version values (1); \
         create table migrations (version integer)",
    )?;
    Ok(symlink("library.db", directory.join("current"))?)
}

/// By Python's own SQLite, which shares nothing with the adapter.
fn sql(file: &str, text: &str) -> Result<String> {
    const RUN: &str = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\ns = sys.argv[2].split(';')\n\
                       for one in s[:-1]: c.execute(one)\nr = c.execute(s[-1]).fetchone()\nc.commit()\n\
                       print(r[0] if r and r[0] is not None else '')";
    Ok(run(ANSWER_WITHIN, &["python3", "-c", RUN, file, text])?.ok()?.trim().to_owned())
}

/// A member's port: 200 while its state says that it runs, else 503. Its thread ends with the test's process.
fn serve(state: PathBuf) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = move |mut stream: TcpStream| -> Result<()> {
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut buffer)?;
            ensure!(read > 0, "it hung up");
            request.extend_from_slice(&buffer[..read]);
        }
        let runs = fs::read_to_string(&state).is_ok_and(|text| text.trim() == "running");
        let status = if runs { "200 OK" } else { "503 Service Unavailable" };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        Ok(())
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A check that hung up is checked again.
            drop(answer(stream));
        }
    });
    Ok(address)
}

fn balancer(root: &Path, servers: &[String]) -> Result<Child> {
    let mut command = Command::new(binary()?);
    command.args(["demo-part", "balancer", "--listen", "127.0.0.1:0", "--backend", BACKEND, "--socket"]);
    command.arg(socket(root)).arg("--log").arg(root.join("balancer.log"));
    for server in servers {
        command.args(["--server", server]);
    }
    let log = fs::File::create(root.join("balancer.err"))?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
    wait_for("the balancer's socket", UP_WITHIN, || Ok(UnixStream::connect(socket(root)).is_ok().then_some(())))?;
    Ok(child)
}
