//! A real PostgreSQL server in a temporary directory, its copies and its standbys.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};
use tempfile::TempDir;

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
            "local all postgres trust\nlocal replication postgres trust\nlocal all all scram-sha-256\n\
             host all all 127.0.0.1/32 scram-sha-256\n",
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

    /// A standby that replays `primary`.
    pub fn standby_of(primary: &Server) -> Self {
        let dir = tempfile::Builder::new().prefix("lkpg").tempdir_in("/tmp").unwrap();
        give_away(dir.path());
        let mut standby = Self { dir, port: 0 };
        let (data, port) = (standby.data(), primary.port.to_string());
        let source = ["-h", text(primary.sockets()), "-p", &port, "-U", "postgres"];
        as_postgres(
            "pg_basebackup",
            &[&["-D", text(&data), "-R", "-c", "fast", "--no-sync"], &source[..]].concat(),
        );
        Self::configure(&data, standby.sockets());
        standby.run();
        standby
    }

    pub fn promote(&self) {
        as_postgres("pg_ctl", &["-D", text(&self.data()), "-w", "promote"]);
    }

    /// Stops the server's first process from running; it still accepts connections, as a hung host does.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = file.lines().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Encrypts every connection by TCP with this certificate and key, PEM.
    pub fn encrypt(&self, certificate: &str, key: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.data().join("server.crt"), certificate).unwrap();
        let file = self.data().join("server.key");
        std::fs::write(&file, key).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let hba = self.data().join("pg_hba.conf");
        let rules = std::fs::read_to_string(&hba).unwrap().replace("host all", "hostssl all");
        std::fs::write(&hba, rules).unwrap();
        give_away(&self.data());
        self.sql("postgres", "alter system set ssl = on");
        as_postgres("pg_ctl", &["-D", text(&self.data()), "reload"]);
        wait_for("the server encrypts", || self.sql("postgres", "show ssl") == "on");
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

/// Waits for a condition, half a minute at most.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
