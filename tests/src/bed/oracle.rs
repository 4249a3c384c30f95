//! The oracle's door: a directory of evidence in, a verdict out. The judging itself is `tests/oracle/kinto.py`, which
//! shares no code with Lockkeeper or with this crate.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::postgres::COORDINATOR;
use super::{NEW, NEW_SCHEMA, OLD, OLD_SCHEMA, process, tools};

/// Reading a few ten thousand lines takes a second or two.
const JUDGE_WITHIN: Duration = Duration::from_secs(120);

/// What a run left behind, in one directory.
#[derive(Debug)]
pub struct Evidence {
    directory: PathBuf,
    since: String,
}

/// What the oracle found.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    /// Nothing was violated.
    pub ok: bool,
    /// One entry a check.
    pub checks: Vec<Check>,
    /// The table for people.
    #[serde(default, skip_deserializing)]
    pub table: String,
}

/// One check.
#[derive(Debug, Deserialize)]
pub struct Check {
    /// Its name, for example `one_migration`.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found, in words.
    pub found: String,
}

impl Verdict {
    /// Names of the checks that do not hold.
    pub fn violated(&self) -> Vec<&str> {
        self.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect()
    }
}

impl Evidence {
    /// An empty directory of evidence about what happened after `since` (the database's clock, UTC).
    pub fn at(directory: PathBuf, since: &str) -> Result<Self> {
        fs::create_dir_all(&directory)?;
        Ok(Self { directory, since: since.into() })
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Lets the oracle judge a rollout that went through. An error means it could not judge at all.
    pub fn judge(&self) -> Result<Verdict> {
        self.judged(&[])
    }

    /// The same of a rollout in which a first upgrader was shut out half-way and another took over.
    pub fn judge_taken_over(&self) -> Result<Verdict> {
        self.judged(&["--taken-over"])
    }

    /// Lets the oracle judge a rollout that broke and was restored.
    pub fn judge_restored(&self) -> Result<Verdict> {
        self.judged(&["--restored"])
    }

    fn judged(&self, more: &[&str]) -> Result<Verdict> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/kinto.py");
        let (from, to) = (OLD_SCHEMA.to_string(), NEW_SCHEMA.to_string());
        let verdict = self.file("verdict.json");
        let argv = vec![
            "python3",
            tools::path(&script)?,
            tools::path(&self.directory)?,
            "--since",
            &self.since,
            "--schema",
            &from,
            &to,
            "--version",
            OLD,
            NEW,
            "--coordinator",
            COORDINATOR.0,
            "--json",
            tools::path(&verdict)?,
        ];
        let argv: Vec<&str> = argv.iter().chain(more).copied().collect();
        let ran = process::run(JUDGE_WITHIN, &argv)?;
        let text = fs::read(&verdict).with_context(|| format!("the oracle did not judge: {}", ran.stderr))?;
        let mut verdict: Verdict = serde_json::from_slice(&text)?;
        verdict.table = ran.stdout;
        Ok(verdict)
    }
}
