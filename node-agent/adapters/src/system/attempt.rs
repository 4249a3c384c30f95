//! What this host keeps about one attempt: its directory in the spool, where logs stood when it began, and what the
//! effect has to say for itself. Knows nothing about actions.

use crate::{
    clock,
    exec::spool::{SpoolError, read_json, write_json},
    probe::log::Mark,
};
use lockkeeper_agent::host::{Done, Failure, Work};
use lockkeeper_core::{ids::Token, plan::action::Probe};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One attempt's directory.
#[derive(Debug, Clone)]
pub struct AttemptDir {
    /// Its name, unique per rollout, step, attempt and token.
    pub name: String,
    dir: PathBuf,
}

/// What an effect leaves for the proof that follows it, perhaps in another life of the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What happened on the way, for people; empty: nothing worth telling.
    pub text: String,
    /// When the real action began, wall clock, unix milliseconds.
    pub began_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
}

/// How many attempts are kept: some hundred rollouts, at most 200 KiB each. What happened is in the log and in the
/// journal; the spool only has the whole tails of output.
const KEPT: usize = 2000;

/// Removes the oldest attempts beyond [`KEPT`] that are over. Called once at the agent's start.
pub fn prune(spool: &Path) {
    prune_to(spool, KEPT);
}

fn prune_to(spool: &Path, kept: usize) {
    let Ok(entries) = std::fs::read_dir(spool) else { return };
    let mut attempts: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    attempts.sort();
    let over = attempts.len().saturating_sub(kept);
    for (_, dir) in attempts.into_iter().take(over) {
        let unit = dir.join("unit");
        let runs = unit.join("started").exists() && !unit.join("result.json").exists();
        if !runs && let Err(error) = std::fs::remove_dir_all(&dir) {
            tracing::warn!(%error, dir = %dir.display(), "an old attempt could not be removed");
        }
    }
}

/// `1-4711`: a token as a word.
pub fn token_word(token: Token) -> String {
    format!("{}-{}", token.generation.0, token.index.0)
}

impl AttemptDir {
    /// The directory of `work` below `spool`.
    pub fn new(spool: &Path, work: &Work) -> Self {
        let name =
            format!("r{}-s{}-a{}-t{}", work.rollout.0, work.step.0, work.attempt.0, token_word(work.token));
        Self { dir: spool.join(&name), name }
    }

    /// A file of this attempt alone; its directory is 0700.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The note, if the effect came to its end.
    pub fn note(&self) -> Result<Option<Note>, SpoolError> {
        read_json(&self.file("note.json"))
    }

    /// Runs an effect and notes how long it took and what it tells.
    pub async fn noting(&self, effect: impl Future<Output = Result<String, Failure>>) -> Result<(), Failure> {
        let began_ms = clock::wall_ms();
        let text = effect.await?;
        write_json(&self.file("note.json"), &Note { text, began_ms, ended_ms: clock::wall_ms() })?;
        Ok(())
    }

    /// Marks the logs of the probes, once: a later life of the same attempt keeps the first marks. For a log that a
    /// service's last start marked, that mark stands, so that what it said while starting counts.
    pub fn mark_logs(&self, files: &[String], service: &BTreeMap<String, Mark>) -> Result<(), SpoolError> {
        let path = self.file("marks.json");
        let mut marks = read_json::<BTreeMap<String, Mark>>(&path)?.unwrap_or_default();
        let known = marks.len();
        for file in files {
            if let (false, Some(mark)) = (
                marks.contains_key(file),
                service.get(file).cloned().or_else(|| Mark::of(Path::new(file)).ok()),
            ) {
                marks.insert(file.clone(), mark);
            }
        }
        if marks.len() > known { write_json(&path, &marks) } else { Ok(()) }
    }

    /// The marks.
    pub fn marks(&self) -> Result<BTreeMap<String, Mark>, SpoolError> {
        Ok(read_json(&self.file("marks.json"))?.unwrap_or_default())
    }

    /// A proof with what the note adds.
    pub fn done(&self, evidence: String) -> Result<Done, SpoolError> {
        let Some(note) = self.note()? else { return Ok(Done { evidence, ..Done::default() }) };
        let evidence = if note.text.is_empty() { evidence } else { format!("{}\n{evidence}", note.text) };
        Ok(Done { evidence, action_ms: Some((note.began_ms, note.ended_ms)), ..Done::default() })
    }
}

/// The log files of probes, placeholders unfilled.
pub fn logs(probes: &[Probe]) -> Vec<&str> {
    probes
        .iter()
        .filter_map(|probe| match probe {
            Probe::Log { file, .. } => Some(file.as_str()),
            Probe::Http { .. } | Probe::Tcp { .. } | Probe::Sql { .. } | Probe::Command { .. } => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_oldest_attempts_go_but_none_without_a_result() {
        let spool = tempfile::tempdir().unwrap();
        for (age, name) in ["running", "ended", "plain", "young"].into_iter().enumerate() {
            let unit = spool.path().join(name).join("unit");
            fs::create_dir_all(&unit).unwrap();
            if name != "plain" {
                fs::write(unit.join("started"), "").unwrap();
            }
            if name == "ended" {
                fs::write(unit.join("result.json"), "").unwrap();
            }
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(age.try_into().unwrap());
            fs::File::open(spool.path().join(name)).unwrap().set_modified(time).unwrap();
        }
        prune_to(spool.path(), 1);
        let left = |name: &str| spool.path().join(name).exists();
        assert_eq!(
            (left("running"), left("ended"), left("plain"), left("young")),
            (true, false, false, true)
        );
    }
}
