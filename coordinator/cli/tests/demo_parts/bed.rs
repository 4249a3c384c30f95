//! Starting the parts, talking to them, waiting for conditions. Everything started dies with its handle.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// For any one condition. The machine may be building beside us.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with both releases and, once seeded, a database.
pub struct Bed {
    dir: tempfile::TempDir,
}

/// A running part.
pub struct Part {
    child: Child,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Waits until `check` gives a value.
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        pause(Duration::from_millis(5));
    }
}

/// Between two looks at a condition, or as the length of a load; never as a proof of anything.
#[expect(clippy::disallowed_methods, reason = "tests poll conditions of other processes")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

pub fn part(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    command.arg("demo-part").args(args).stdin(Stdio::null());
    command
}

impl Bed {
    /// With both releases.
    pub fn new() -> Self {
        let bed = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(bed.path("db")).unwrap();
        for version in ["1.0", "2.0"] {
            let dir = bed.text(version);
            assert!(
                done(&mut part(&["app", "release", "--dir", &dir, "--version", version])).status.success()
            );
        }
        bed
    }

    /// With a database of `rows` notes, a migration of some `migrate_ms` and a short warm-up.
    pub fn seeded(rows: u32, migrate_ms: u32) -> Self {
        let bed = Self::new();
        let (rows, migrate_ms) = (rows.to_string(), migrate_ms.to_string());
        let database = bed.text("db/main-1.sqlite");
        let seeding = done(&mut part(&[
            "app",
            "seed",
            "--database",
            &database,
            "--rows",
            &rows,
            "--migrate-ms",
            &migrate_ms,
            "--warm-up-ms",
            "50",
        ]));
        assert!(seeding.status.success(), "{seeding:?}");
        std::os::unix::fs::symlink("main-1.sqlite", bed.path("db/current")).unwrap();
        bed
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn database(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.path("db/current")).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    /// All rows of one column, as text.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let database = self.database();
        let mut select = database.prepare(sql).unwrap();
        select.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect()
    }

    pub fn one(&self, sql: &str) -> String {
        let mut rows = self.query(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0)
    }

    /// `app serve` or `app migrate` on a member.
    pub fn app(&self, what: &str, member: &str, version: &str) -> Command {
        let log = self.text(&format!("app-{member}.log"));
        let mut command = part(&["app", what, "--release", &self.text(version), "--log", &log]);
        command.env("LOCKKEEPER_DATABASE_MAIN", self.path("db/main-1.sqlite"));
        command.env("LOCKKEEPER_MEMBER", member).env("LOCKKEEPER_TOKEN", "1,38");
        command
    }

    pub fn serve(&self, member: &str, version: &str, listen: SocketAddr) -> Part {
        let mut command = self.app("serve", member, version);
        Part::start(command.args(["--listen", &listen.to_string()]))
    }

    /// A serving member that has warmed up.
    pub fn ready(&self, member: &str, version: &str, listen: SocketAddr) -> Part {
        let part = self.serve(member, version, listen);
        wait_for("a member to be ready", || get(listen, "/health").filter(|answer| answer.status == 200));
        part
    }
}

impl Part {
    pub fn start(command: &mut Command) -> Self {
        Self { child: command.spawn().unwrap() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for the end by itself.
    pub fn wait(mut self) -> ExitStatus {
        wait_for("a part to end", || self.ended())
    }

    /// SIGTERM, then its end, and how long that took.
    pub fn stop(self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        (self.wait(), begun.elapsed())
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs to the end.
pub fn done(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Free addresses, picked by the binary itself.
pub fn ports<const N: usize>() -> [SocketAddr; N] {
    let output = done(&mut part(&["ports", "--count", &N.to_string()]));
    let found: Vec<SocketAddr> = serde_json::from_slice(&output.stdout).unwrap();
    found.try_into().unwrap()
}

/// One request on a connection of its own; none if no answer came.
pub fn http(addr: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(addr).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

pub fn get(addr: SocketAddr, path: &str) -> Option<Answer> {
    http(addr, "GET", path, "", "")
}

pub fn post(addr: SocketAddr, title: &str) -> Option<Answer> {
    let body = serde_json::json!({"title": title, "author": "A. Tester", "body": "Written by a test."});
    http(addr, "POST", "/notes", "", &body.to_string())
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(start.as_str()))
    }
}

/// One runtime command on a connection of its own.
pub fn command(socket: &Path, command: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{command}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
