//! Running other programs with a deadline, and waiting for a condition. Knows no host and no product.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a condition is looked at again: short against every action here, long against the cost of a look.
const LOOK: Duration = Duration::from_millis(50);

/// What a program that ran to its end left behind.
#[derive(Debug)]
pub struct Ran {
    /// Exit status; 124 when the deadline ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// The standard output of a success; anything else is an error that holds both streams.
    pub fn ok(self) -> Result<String> {
        if self.code != 0 {
            bail!("exit {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}

/// A command that `timeout` ends after `within`: TERM first, KILL two seconds later.
pub fn limited(within: Duration, argv: &[&str]) -> Vec<String> {
    let mut all = vec!["timeout".into(), "-k".into(), "2".into(), format!("{:.1}", within.as_secs_f64())];
    all.extend(argv.iter().map(|word| (*word).to_owned()));
    all
}

/// Runs `argv` here (on the machine, not on a host) to its end, at most `within`.
pub fn run(within: Duration, argv: &[&str]) -> Result<Ran> {
    let words = limited(within, argv);
    finish(Command::new(&words[0]).args(&words[1..])).with_context(|| format!("running {argv:?}"))
}

/// Runs a command that carries its own deadline to its end.
pub fn finish(command: &mut Command) -> Result<Ran> {
    let output = command.stdin(std::process::Stdio::null()).output()?;
    Ok(Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Looks again and again until `probe` answers something, at most `within`. The last error is part of the failure.
pub fn wait_for<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    loop {
        let seen = probe();
        if let Ok(Some(value)) = seen {
            return Ok(value);
        }
        if begin.elapsed() > within {
            match seen {
                Err(error) => return Err(error.context(format!("waited {within:?} for {what}"))),
                Ok(_) => bail!("waited {within:?} for {what}"),
            }
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one pause between two looks at a condition of a real process"
)]
fn pause() {
    std::thread::sleep(LOOK);
}
