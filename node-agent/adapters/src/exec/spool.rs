//! The spool directory of one unit: who may start it, that it started, and how it ended.
//!
//! The directory is made with `mkdir`, which fails if it is there; `started` and `result.json` arrive whole, by link and
//! by rename. Whoever makes `started` first wins for good: a runner, or an agent that declares that nothing will run.

use super::{
    job::{FORM, RunResult},
    proc::Identity,
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The largest spooled file that is read, in bytes: two tails, escaped in the worst case six-fold, and some.
const FILE_MAX: u64 = 1024 * 1024;

/// What went wrong with a spool file.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file system said no.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The content does not read.
    #[error("{path} does not read back: {why}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The claim on a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// This runner runs it.
    Runner(Identity),
    /// Nothing ran and nothing ever will: an agent found the directory without a runner.
    Void,
}

/// One unit's directory.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// Names a directory, made or not.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the directory, 0700. `false`: it was there, so this unit was begun before.
    pub fn create(&self) -> Result<bool, SpoolError> {
        let parent = self.dir.parent().unwrap_or(Path::new("/"));
        private_dirs(parent)?;
        match fs::DirBuilder::new().mode(0o700).create(&self.dir) {
            Ok(()) => sync_dir(parent).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(SpoolError::Io { what: "making", path: self.dir.clone(), source }),
        }
    }

    /// Claims the unit. `false`: somebody else did.
    pub fn claim(&self, claim: &Claim) -> Result<bool, SpoolError> {
        let path = self.dir.join("started");
        let temporary = self.write_temporary("started", claim)?;
        let linked = fs::hard_link(&temporary, &path);
        let _leftover = fs::remove_file(&temporary);
        match linked {
            Ok(()) => sync_dir(&self.dir).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(SpoolError::Io { what: "linking", path, source }),
        }
    }

    /// Who claimed it.
    pub fn claimed(&self) -> Result<Option<Claim>, SpoolError> {
        read_json(&self.dir.join("started"))
    }

    /// Leaves the result.
    pub fn finish(&self, result: &RunResult) -> Result<(), SpoolError> {
        let path = self.dir.join("result.json");
        let temporary = self.write_temporary("result", result)?;
        fs::rename(&temporary, &path).map_err(|source| SpoolError::Io {
            what: "renaming to",
            path,
            source,
        })?;
        sync_dir(&self.dir)
    }

    /// The result, once it is there.
    pub fn result(&self) -> Result<Option<RunResult>, SpoolError> {
        let path = self.dir.join("result.json");
        let result: Option<RunResult> = read_json(&path)?;
        match result {
            Some(r) if r.form != FORM => {
                Err(SpoolError::Damaged { path, why: format!("form {}, expected {FORM}", r.form) })
            }
            known => Ok(known),
        }
    }

    fn write_temporary(&self, name: &str, value: &impl Serialize) -> Result<PathBuf, SpoolError> {
        let path = self.dir.join(format!(".{name}.{}.tmp", uuid::Uuid::now_v7()));
        write_new(&path, value)?;
        Ok(path)
    }
}

/// Makes a directory with its parents, new ones 0700.
pub fn private_dirs(dir: &Path) -> Result<(), SpoolError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| SpoolError::Io {
        what: "making",
        path: dir.to_owned(),
        source,
    })
}

fn write_new(path: &Path, value: &impl Serialize) -> Result<(), SpoolError> {
    let io = |what, source| SpoolError::Io { what, path: path.to_owned(), source };
    let bytes = serde_json::to_vec(value).map_err(|e| io("encoding", io::Error::other(e)))?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| io("creating", e))?;
    file.write_all(&bytes).map_err(|e| io("writing", e))?;
    file.sync_all().map_err(|e| io("syncing", e))
}

/// Replaces a small JSON file: written beside, synced, renamed, directory synced. Mode 0600.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), SpoolError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    private_dirs(parent)?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = parent.join(format!(".{name}.{}.tmp", uuid::Uuid::now_v7()));
    write_new(&temporary, value)?;
    fs::rename(&temporary, path).map_err(|source| SpoolError::Io {
        what: "renaming to",
        path: path.to_owned(),
        source,
    })?;
    sync_dir(parent)
}

/// Reads a small JSON file; `None` if it is not there.
pub fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, SpoolError> {
    let io = |what, source| SpoolError::Io { what, path: path.to_owned(), source };
    let damaged = |why: String| SpoolError::Damaged { path: path.to_owned(), why };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io("opening", e)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|e| io("reading", e))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX {
        return Err(damaged(format!("larger than {FILE_MAX} bytes")));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|e| damaged(e.to_string()))
}

/// Makes the directory's entries durable.
pub fn sync_dir(dir: &Path) -> Result<(), SpoolError> {
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(|source| SpoolError::Io {
        what: "syncing",
        path: dir.to_owned(),
        source,
    })
}

impl From<SpoolError> for lockkeeper_agent::host::Failure {
    fn from(error: SpoolError) -> Self {
        let code = match &error {
            SpoolError::Io { .. } => crate::HostCode::Spool,
            SpoolError::Damaged { .. } => crate::HostCode::SpoolDamaged,
        };
        code.failure(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::End;

    #[test]
    fn a_unit_is_created_and_claimed_once() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::at(root.path().join("spool/unit"));
        assert!(spool.create().unwrap());
        assert!(!spool.create().unwrap());
        assert_eq!(spool.claimed().unwrap(), None);
        assert!(spool.claim(&Claim::Void).unwrap());
        let late = Claim::Runner(Identity { pid: 1, started: 1, boot: "b".into() });
        assert!(!spool.claim(&late).unwrap());
        assert_eq!(spool.claimed().unwrap(), Some(Claim::Void));
    }

    #[test]
    fn a_damaged_result_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::at(root.path().join("unit"));
        spool.create().unwrap();
        assert!(spool.result().unwrap().is_none());
        let good = RunResult {
            form: FORM,
            end: End::Exited(0),
            stdout: "x".into(),
            stderr: String::new(),
            began_ms: 1,
            ended_ms: 2,
        };
        spool.finish(&good).unwrap();
        assert_eq!(spool.result().unwrap(), Some(good));
        let path = spool.dir().join("result.json");
        let bytes = fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(matches!(spool.result(), Err(SpoolError::Damaged { .. })), "cut at {cut}");
        }
    }
}
