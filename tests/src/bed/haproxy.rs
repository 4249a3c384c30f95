//! HAProxy on its host: cookies, HTTP checks, a runtime socket over TCP for whoever is allowed to reach it and over a
//! unix socket for the bed's own looks, and a log with the time of every request and every change of a server.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::host::{Daemon, Host};
use super::kinto::{Member, PORT};
use super::process::wait_for;
use super::tools;

/// The backend's name.
pub const BACKEND: &str = "app";
/// The runtime socket's port on the balancer's host.
pub const RUNTIME_PORT: u16 = 9999;

/// A command on the runtime socket answers in 25 ms.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// Two good checks at half a second each, after a member that takes its time to start.
const STATE_WITHIN: Duration = Duration::from_secs(60);

const TEMPLATE: &str = include_str!("../../bed/haproxy.cfg.template");

/// The running balancer.
#[derive(Debug)]
pub struct Haproxy {
    /// Its host.
    pub host: Host,
    _server: Daemon,
}

/// A server's administrative state, as the runtime socket takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// Takes traffic when its checks are good.
    Ready,
    /// Takes only requests that hold its cookie.
    Drain,
    /// Takes nothing and is not checked.
    Maint,
}

/// One row of `show servers state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerState {
    /// 2 is up.
    pub op: u32,
    /// 0 ready, 1 maintenance, 8 drain.
    pub admin: u32,
}

impl Haproxy {
    /// Writes `/etc/haproxy/haproxy.cfg` for these members and starts it.
    pub fn start(host: Host, members: &[Member]) -> Result<Self> {
        let mut servers = String::new();
        for member in members {
            let (name, address) = (member.name(), member.host.address().context("a member's address")?);
            servers += &format!("    server {name} {address}:{PORT} cookie {name}\n");
        }
        let address = host.address().context("the balancer's address")?.to_string();
        let config = TEMPLATE.replace("{address}", &address).replace("{servers}", &servers);
        let etc = host.directory().join("etc/haproxy");
        fs::create_dir_all(&etc)?;
        fs::write(etc.join("haproxy.cfg"), config)?;
        let server = host.daemon("haproxy", &["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"])?;
        let haproxy = Self { host, _server: server };
        wait_for("HAProxy's runtime socket", ASK_WITHIN, || haproxy.servers().map(Some))?;
        Ok(haproxy)
    }

    /// The log: requests in HAProxy's `httplog` format and changes of servers, each line with an ISO time.
    pub fn log(&self) -> PathBuf {
        self.host.directory().join("log/haproxy.out")
    }

    /// Where clients ask.
    pub fn url(&self) -> Result<String> {
        Ok(format!("http://{}", self.host.address().context("the balancer's address")?))
    }

    /// One command on the runtime socket, on a connection of its own.
    pub fn ask(&self, command: &str) -> Result<String> {
        let path = self.host.directory().join("run/haproxy.sock");
        let mut stream = UnixStream::connect(&path).with_context(|| path.display().to_string())?;
        stream.set_read_timeout(Some(ASK_WITHIN))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Sets a server's state. An empty answer means done; a wrong name answers in words.
    pub fn set(&self, server: &str, state: Admin) -> Result<()> {
        let word = match state {
            Admin::Ready => "ready",
            Admin::Drain => "drain",
            Admin::Maint => "maint",
        };
        let answer = self.ask(&format!("set server {BACKEND}/{server} state {word}"))?;
        ensure!(answer.trim().is_empty(), "set {server} {word}: {answer}");
        Ok(())
    }

    /// All servers by name.
    pub fn servers(&self) -> Result<Vec<(String, ServerState)>> {
        let answer = self.ask(&format!("show servers state {BACKEND}"))?;
        let rows = answer.lines().skip(2).filter(|line| !line.trim().is_empty());
        rows.map(|line| {
            let mut words = line.split_whitespace().skip(3);
            let mut next = || words.next().with_context(|| format!("a short row: {line}"));
            let name = next()?.to_owned();
            next()?;
            Ok((name, ServerState { op: next()?.parse()?, admin: next()?.parse()? }))
        })
        .collect()
    }

    /// Waits until the checks have proven a server up, whatever its administrative state. HAProxy calls a server that
    /// leaves maintenance up before it has looked, and shows that as `DRAIN 1/2` or `UP 1/2` in `show stat`: only the
    /// word alone stands for a check that passed since.
    pub fn wait_up(&self, server: &str) -> Result<()> {
        wait_for(&format!("{server} proven up by the balancer"), STATE_WITHIN, || {
            let row = self.stat(server)?;
            let status = row.get(17).with_context(|| format!("a short row for {server}"))?;
            Ok(matches!(status.as_str(), "UP" | "DRAIN").then_some(()))
        })
    }

    /// One server's row of `show stat`. Columns used here: 2 queued now, 4 sessions now, 17 status.
    fn stat(&self, server: &str) -> Result<Vec<String>> {
        let stat = self.ask("show stat")?;
        stat.lines()
            .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>())
            .find(|row| row.first().is_some_and(|b| b == BACKEND) && row.get(1).is_some_and(|s| s == server))
            .with_context(|| format!("no row for {server}"))
    }

    /// Waits until no request is in flight or queued on a server.
    pub fn wait_idle(&self, server: &str) -> Result<()> {
        wait_for(&format!("{server} idle in the balancer"), STATE_WITHIN, || {
            let row = self.stat(server)?;
            let idle = |column: usize| row.get(column).is_some_and(|count| count == "0");
            // Connections in use; pooled idle ones do not matter.
            let used = self.ask(&format!("show servers conn {BACKEND}"))?;
            let name = format!("{BACKEND}/{server}");
            let in_use = used
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .find(|row| row.first() == Some(&name.as_str()))
                .and_then(|row| row.get(6).map(|used| *used == "0"));
            Ok((idle(2) && idle(4) && in_use == Some(true)).then_some(()))
        })
    }

    /// Starts the sampler of states on the balancer's host.
    pub fn sample(&self, out: &Path) -> Result<Daemon> {
        let script = tools::scripts().join("states.py");
        let argv =
            ["python3", tools::path(&script)?, "--socket", "/run/haproxy.sock", "--out", tools::path(out)?];
        self.host.daemon("states", &argv)
    }
}
