//! Agents of the real binary on this machine's loopback, worked by the command line: for tests and measurements that
//! need real processes and no hosts of their own. Knows file places and words of the command line.

use crate::bed::process::{Ran, finish, limited, wait_for};
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Any command of the command line here: none waits for more than a commit.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
/// From a start to a first answer; a debug build on a busy machine needs seconds.
const START_WITHIN: Duration = Duration::from_secs(30);
/// The cluster's name.
pub const CLUSTER: &str = "loopback";

/// One agent.
#[derive(Debug)]
pub struct Agent {
    /// Its name in the group.
    pub name: String,
    /// `127.0.0.1:PORT`, behind TLS.
    pub address: String,
    directory: PathBuf,
    child: Option<Child>,
}

/// A group of agents. Dropping it ends them and removes their files.
#[derive(Debug)]
pub struct Loopback {
    /// The agents, the first of them founded the group.
    pub agents: Vec<Agent>,
    binary: PathBuf,
    directory: TempDir,
}

/// The binary under test: as `tests/run` names it, else the one built beside this program.
#[expect(clippy::disallowed_methods, reason = "tests/run hands the built binary over by the environment")]
pub fn binary() -> Result<PathBuf> {
    let path = match std::env::var_os("LOCKKEEPER_BIN") {
        Some(named) => PathBuf::from(named),
        None => std::env::current_exe()?.with_file_name("lockkeeper"),
    };
    fs::canonicalize(&path).with_context(|| format!("no {}; tests/run sets LOCKKEEPER_BIN", path.display()))
}

impl Agent {
    /// Everything it keeps.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The operators' socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("agent.sock")
    }

    /// Its settings.
    pub fn config(&self) -> PathBuf {
        self.directory.join("agent.toml")
    }

    /// Everything it has logged in all its lives.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.join("agent.log"))?)
    }

    /// Its process; an error when it is down.
    pub fn pid(&self) -> Result<Pid> {
        let child = self.child.as_ref().with_context(|| format!("{} does not run", self.name))?;
        Ok(Pid::from_child(child))
    }

    /// Whether its process has ended by itself; then it is down.
    pub fn has_ended(&mut self) -> Result<bool> {
        let Some(child) = &mut self.child else { return Ok(true) };
        let ended = child.try_wait()?.is_some();
        if ended {
            self.child = None;
        }
        Ok(ended)
    }

    /// Sends a signal and waits for its end.
    pub fn end(&mut self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal)?;
        self.child.take().context("checked by pid")?.wait()?;
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Nothing is left to do for a process that cannot be killed.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Loopback {
    /// Founds a group of the first, then lets the others join one after the other.
    pub fn start(names: &[&str]) -> Result<Self> {
        let mut group = Self::found(names)?;
        group.join_all()?;
        Ok(group)
    }

    /// Founds a group of the first. The others have files, and no identity yet.
    pub fn found(names: &[&str]) -> Result<Self> {
        let mut group = Self { agents: Vec::new(), binary: binary()?, directory: tempfile::tempdir()? };
        fs::create_dir(group.path().join("home"))?;
        // All at once, so that no two get the same; below those that connections of other groups take for themselves.
        let ports = group.must(&["demo-part", "ports", "--count", &names.len().to_string()])?.stdout;
        let ports: Vec<String> = serde_json::from_str(&ports).context("addresses")?;
        for (name, address) in names.iter().zip(ports) {
            let agent = Agent {
                name: (*name).to_owned(),
                address,
                directory: group.path().join(name),
                child: None,
            };
            fs::create_dir(&agent.directory)?;
            fs::write(agent.config(), settings(&agent))?;
            group.agents.push(agent);
        }
        let config = group.agents[0].config().display().to_string();
        let root = group.root().display().to_string();
        group.must(&[
            "init",
            "--cluster",
            CLUSTER,
            "--name",
            names[0],
            "--config",
            &config,
            "--ca-out",
            &root,
        ])?;
        group.spawn(0)?;
        group.until_members(1)?;
        Ok(group)
    }

    /// Lets the others join, one after the other. Returns when every agent has announced itself and as many vote as
    /// the cluster file in force wants: one where there is none.
    pub fn join_all(&mut self) -> Result<()> {
        for at in 1..self.agents.len() {
            self.join(at)?;
        }
        self.until_members(self.agents.len())
    }

    /// Makes a token and joins with it. The member must not have an identity.
    pub fn join(&mut self, at: usize) -> Result<()> {
        let name = self.agents[at].name.clone();
        let token = self.must(&["token", "create", &name])?.stdout;
        let file = self.agents[at].directory.join("token");
        fs::write(&file, token)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        let config = self.agents[at].config().display().to_string();
        self.must(&["join", "--token-file", &file.display().to_string(), "--config", &config])?;
        self.spawn(at)
    }

    /// Starts an agent's process; does not wait for it.
    pub fn spawn(&mut self, at: usize) -> Result<()> {
        let agent = &mut self.agents[at];
        let log = File::options().create(true).append(true).open(agent.directory.join("agent.log"))?;
        let child = Command::new(&self.binary)
            .args(["agent", "run", "--config"])
            .arg(agent.config())
            .env_clear()
            .current_dir(&agent.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        agent.child = Some(child);
        Ok(())
    }

    /// Where everything lies.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The root certificate with its key, as `init` handed it to the operator.
    pub fn root(&self) -> PathBuf {
        self.path().join("root.pem")
    }

    /// The first admin's context.
    pub fn context(&self) -> PathBuf {
        self.path().join(format!("home/.config/lockkeeper/{CLUSTER}.toml"))
    }

    /// A command of the admin; whatever it ends with.
    pub fn run(&self, arguments: &[&str]) -> Result<Ran> {
        self.later(arguments)()
    }

    /// The same, to be run on another thread.
    pub fn later(&self, arguments: &[&str]) -> impl FnOnce() -> Result<Ran> + Send + use<> {
        let binary = self.binary.display().to_string();
        let argv: Vec<&str> = std::iter::once(binary.as_str()).chain(arguments.iter().copied()).collect();
        let words = limited(COMMAND_WITHIN, &argv);
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path().join("home"));
        command.current_dir(self.path());
        move || finish(&mut command).with_context(|| format!("running {words:?}"))
    }

    /// Leaves the files where they are, for whoever looks for the reason.
    pub fn keep(&mut self) {
        self.directory.disable_cleanup(true);
        eprintln!("the group's files are kept: {}", self.path().display());
    }

    /// A command of the admin that must succeed.
    pub fn must(&self, arguments: &[&str]) -> Result<Ran> {
        let ran = self.run(arguments)?;
        ensure!(ran.code == 0, "{arguments:?} ended with {}:\n{}{}", ran.code, ran.stdout, ran.stderr);
        Ok(ran)
    }

    /// A view of the admin's, as JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let ran = self.must(arguments)?;
        serde_json::from_str(&ran.stdout).with_context(|| format!("{arguments:?} answered {}", ran.stdout))
    }

    /// Waits until this many agents have announced themselves, and the largest odd number of them votes.
    pub fn until_members(&self, count: usize) -> Result<()> {
        let in_force = wait_for("an answer", START_WITHIN, || {
            Ok(Some(self.json(&["cluster", "show", "--json"])?["version"] != 0))
        })?;
        let odd = if count.is_multiple_of(2) { count.saturating_sub(1) } else { count };
        let voters = if in_force { odd } else { 1 };
        wait_for(&format!("{count} members, {voters} of them voters"), START_WITHIN, || {
            let view = self.json(&["members", "--json"])?;
            let members = view["members"].as_array().context("members")?;
            let announced =
                |m: &&serde_json::Value| m["agent_version"].as_str().is_some_and(|v| !v.is_empty());
            let there = members.iter().filter(announced).count();
            let voting = members.iter().filter(|m| m["voter"] == true).count();
            ensure!((there, voting) == (count, voters), "{there} members, {voting} voters:\n{view:#}");
            Ok(Some(()))
        })
    }
}

fn settings(agent: &Agent) -> String {
    let text = |path: PathBuf| toml::Value::String(path.display().to_string()).to_string();
    format!(
        "name = \"{}\"\nlisten = \"{}\"\nadvertise = \"{}\"\ndata = {}\n\n[socket]\npath = {}\ngroup = \"\"\n\n\
         [metrics]\nlisten = \"\"\n",
        agent.name,
        agent.address,
        agent.address,
        text(agent.data()),
        text(agent.socket()),
    )
}
