//! One host of the bed: network, mounts, processes, host name and IPC of its own, held up by its process 1. Killing
//! that is the power cord. Knows namespaces and processes; knows no product.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::process::{self, Ran, wait_for};
use super::tools;

/// Namespaces and a few mounts: 0.1 s; more than this means the machine refused something.
const UP_WITHIN: Duration = Duration::from_secs(10);
/// A stopped process that is still there after this is killed.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A running host. Dropping it cuts its power.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: Option<Ipv4Addr>,
    directory: PathBuf,
    anchor: Child,
    init: u32,
}

impl Host {
    /// Starts a host whose `/etc`, `/opt`, `/run` and `/var/lib` are its own, kept below `bed/NAME`. `/etc` begins as
    /// a copy of the machine's, with another machine id and with every host's name in `/etc/hosts`.
    pub fn start(name: &str, address: Ipv4Addr, bed: &Path, all: &[(&str, Ipv4Addr)]) -> Result<Self> {
        let mut host = Self::prepare(name, bed)?;
        let hosts: String = all
            .iter()
            .fold("127.0.0.1 localhost\n".into(), |text, (name, at)| format!("{text}{at} {name}\n"));
        fs::write(host.directory.join("etc/hosts"), hosts)?;
        host.address = Some(address);
        Ok(host)
    }

    /// A host without an address.
    pub fn bare(name: &str, bed: &Path) -> Result<Self> {
        Self::prepare(name, bed)
    }

    fn prepare(name: &str, bed: &Path) -> Result<Self> {
        let directory = bed.join(name);
        for part in ["opt", "run", "lib", "log"] {
            fs::create_dir_all(directory.join(part))?;
        }
        tools::let_all_pass(&directory)?;
        process::run(UP_WITHIN, &["cp", "-a", "/etc", tools::path(&directory)?])?.ok()?;
        let id = blake3::hash(tools::path(&directory)?.as_bytes()).to_hex();
        fs::write(directory.join("etc/machine-id"), format!("{}\n", &id[..32]))?;
        let host = Self::power_on(name, directory)?;
        // A command that saw the machine's own files would change the machine: in a mere chroot, nsenter leads out.
        let seen = host.run(UP_WITHIN, &["cat", "/etc/machine-id"])?.ok()?;
        ensure!(seen.trim() == &id[..32], "host {name} does not see its own /etc (is this a chroot?)");
        Ok(host)
    }

    fn power_on(name: &str, directory: PathBuf) -> Result<Self> {
        let said = directory.join("log/init");
        // The anchor dies with the thread that started it, and takes process 1 and so the whole host with it.
        let anchor = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--uts", "--ipc"])
            .args(["--fork", "--kill-child=KILL", "--mount-proc", "--propagation", "private"])
            .arg(tools::scripts().join("host-init.sh"))
            .arg(name)
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(File::create(&said)?)
            .stderr(File::create(directory.join("log/init.error"))?)
            .spawn()
            .context("setpriv and unshare (package util-linux)")?;
        let mut host = Self { name: name.into(), address: None, directory, anchor, init: 0 };
        host.init = wait_for(&format!("host {name}"), UP_WITHIN, || {
            if !fs::read_to_string(&said)?.contains("ready") {
                return Ok(None);
            }
            let anchor = host.anchor.id();
            let children = fs::read_to_string(format!("/proc/{anchor}/task/{anchor}/children"))?;
            Ok(children.split_whitespace().next().map(str::parse).transpose()?)
        })
        .with_context(|| fs::read_to_string(host.directory.join("log/init.error")).unwrap_or_default())?;
        Ok(host)
    }

    /// Its name, also its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the bed's network.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.address
    }

    /// Where its own files are, seen from the machine: `etc`, `opt`, `run`, `lib` (`/var/lib`) and `log`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Process 1 of the host, in the machine's numbering.
    pub fn pid(&self) -> u32 {
        self.init
    }

    /// A command inside the host, with a small fixed environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init.to_string(), "--net", "--mount", "--pid", "--uts", "--ipc", "--"])
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC");
        command
    }

    /// Runs `argv` inside the host to its end, at most `within`.
    pub fn run(&self, within: Duration, argv: &[&str]) -> Result<Ran> {
        let words = process::limited(within, argv);
        process::finish(self.command(&words[0]).args(&words[1..]))
            .with_context(|| format!("running {argv:?} on {}", self.name))
    }

    /// Starts `argv` inside the host in a session of its own; output goes to `log/NAME.out` and `log/NAME.err`.
    pub fn daemon(&self, name: &str, argv: &[&str]) -> Result<Daemon> {
        let log = self.directory.join("log");
        let pidfile = log.join(format!("{name}.pid"));
        let _ = fs::remove_file(&pidfile);
        // The shell writes its own number, as the host counts, and becomes the program.
        let child = self
            .command("setsid")
            .args(["--wait", "sh", "-c", "echo $$ >\"$0\" && exec \"$@\""])
            .arg(&pidfile)
            .args(argv)
            .stdin(Stdio::null())
            .stdout(File::create(log.join(format!("{name}.out")))?)
            .stderr(File::create(log.join(format!("{name}.err")))?)
            .spawn()
            .with_context(|| format!("starting {argv:?} on {}", self.name))?;
        let mut daemon = Daemon { name: name.into(), host: self.init, child, pid: 0 };
        daemon.pid = wait_for(&format!("{name} on {}", self.name), UP_WITHIN, || {
            Ok(fs::read_to_string(&pidfile).unwrap_or_default().trim().parse().ok())
        })?;
        Ok(daemon)
    }

    /// Cuts the power: everything in the host is killed at once.
    pub fn power_off(&mut self) {
        if let Err(error) = self.anchor.kill().and_then(|()| self.anchor.wait()) {
            tracing::warn!(host = self.name, %error, "the host's anchor could not be ended");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// A program started on a host. Not stopped when dropped: the host's end is its end.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    host: u32,
    child: Child,
    pid: u32,
}

impl Daemon {
    /// Its number as its own host counts.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends a signal by name (`TERM`, `KILL`, `STOP`, `CONT`).
    pub fn signal(&self, signal: &str) -> Result<()> {
        let (host, pid) = (self.host.to_string(), self.pid.to_string());
        let words = ["nsenter", "--target", &host, "--mount", "--pid", "--", "kill", "-s", signal, &pid];
        process::run(UP_WITHIN, &words)?.ok().with_context(|| format!("{signal} to {}", self.name))?;
        if signal == "CONT" {
            // nsenter stops itself when what it started is stopped, and has to be woken as well.
            process::run(UP_WITHIN, &["kill", "-s", signal, &self.child.id().to_string()])?.ok()?;
        }
        Ok(())
    }

    /// TERM, then waits for its end; a clean exit is demanded.
    pub fn stop(mut self) -> Result<()> {
        self.signal("TERM")?;
        let status =
            wait_for(&format!("the end of {}", self.name), STOP_WITHIN, || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    /// Waits for its end and gives the exit status.
    pub fn wait(mut self, within: Duration) -> Result<i32> {
        let status = wait_for(&format!("the end of {}", self.name), within, || Ok(self.child.try_wait()?))?;
        Ok(status.code().unwrap_or(-1))
    }
}
