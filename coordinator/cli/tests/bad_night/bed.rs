//! A demo that is broken in the middle of its upgrade, and the binary run beside it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// For one condition on a machine that builds beside us.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn show(data: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    command.args(["breakglass", "show", "--data"]).arg(data).args(more);
    command.output().unwrap()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[expect(clippy::disallowed_methods, reason = "polls conditions of other processes")]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Held while a demo runs.
static ONE: Mutex<()> = Mutex::new(());

/// A demo in a directory of its own; nothing of it outlives this value, however the test ends.
pub struct Demo {
    pub keep: PathBuf,
    child: Child,
    _home: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Demo {
    pub fn start() -> Self {
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let home = tempfile::tempdir().unwrap();
        let keep = home.path().join("kept");
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
        command.args(["demo", "--json", "--keep"]).arg(&keep);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { keep, child, _home: home, _alone: alone }
    }

    pub fn data(&self, member: &str) -> PathBuf {
        self.keep.join(format!("agents/{member}/data"))
    }

    /// Processes of this demo whose command line has the word.
    pub fn pids(&self, word: &str) -> Vec<i32> {
        let keep = self.keep.display().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let line = std::fs::read(entry.path().join("cmdline")).ok()?;
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                (line.contains(&keep) && line.contains(word)).then_some(pid)
            })
            .collect()
    }

    pub fn signal(&self, word: &str, signal: rustix::process::Signal) {
        for pid in self.pids(word) {
            // One that has just ended is no concern.
            let _gone = rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal);
        }
    }

    /// Until the demo has ended by itself and with it everything it started.
    pub fn until_over(&mut self) {
        let child = &mut self.child;
        wait_for("the demo to end", || child.try_wait().unwrap());
    }

    /// The upgrade has begun, by the applications' own logs.
    pub fn until_upgrading(&self) {
        wait_for("the upgrade to begin", || {
            ["n1", "n2", "n3"].iter().find(|member| {
                std::fs::read_to_string(self.keep.join(format!("app-{member}.log")))
                    .is_ok_and(|log| log.contains("upgrade-begin"))
            })
        });
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        self.signal("", rustix::process::Signal::KILL);
    }
}
