//! Runs the commands an operator would type, with this very program. Knows no flags; the caller names them.

use super::{layout::Layout, say::Say};
use anyhow::{Context as _, bail};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::process::Command;

/// For one command. The longest, `plan`, asks every agent for facts of its host, which are given 5 s.
const LIMIT: Duration = Duration::from_secs(30);

/// Somebody who types commands, in the operators' directory.
#[derive(Clone)]
pub struct Typist {
    program: PathBuf,
    home: PathBuf,
    say: Say,
}

impl Typist {
    /// Types in the layout's directory of operators.
    pub fn new(program: PathBuf, layout: &Layout, say: Say) -> Self {
        Self { program, home: layout.operator(), say }
    }

    /// Runs a command and answers its stdout. `good` are the exit codes that mean it went as wished.
    ///
    /// # Errors
    /// Another exit code, with what the command said, or no end within the limit.
    pub async fn run(&self, words: &str, good: &[i32]) -> anyhow::Result<String> {
        self.say.command(words);
        let mut command = Command::new(&self.program);
        command
            .args(words.split(' '))
            .current_dir(&self.home)
            // The only context there, even where this machine runs an agent of its own.
            .env("HOME", &self.home)
            .env("LOCKKEEPER_CONTEXT", super::cluster_file::CLUSTER)
            .env_remove("LOCKKEEPER_CONTEXTS")
            .env_remove("LOCKKEEPER_SOCKET")
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output());
        let output = output.await.with_context(|| format!("`{words}` did not end within {LIMIT:?}"))?;
        let output = output.with_context(|| format!("cannot start {}", self.program.display()))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(code) if good.contains(&code) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Some(code) => bail!("`lockkeeper {words}` ended with exit code {code}: {}", errors.trim()),
            None => bail!("`lockkeeper {words}` was killed: {}", errors.trim()),
        }
    }
}
