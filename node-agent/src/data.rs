//! The data directory: where everything lies, and the lock that keeps a second agent out.

use crate::{identity::IdentityError, journal};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// The other nodes, below the data directory.
pub const PEERS: &str = "peers.json";
/// The note that this host is isolated, below the data directory.
pub const ISOLATION: &str = "isolation.json";
/// When the group was last heard and what this host saw a version work with, below the data directory.
pub const GUARD: &str = "guard.json";
/// That a person opened the boot guard, below the data directory.
pub const GUARD_OPEN: &str = "guard-open.json";

/// A data directory that no other agent uses while this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    // Released by the kernel when the process ends, however it ends.
    _lock: OwnedFd,
}

impl DataDir {
    /// Makes the directory (mode 0700) if it is missing, and takes its lock.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, IdentityError> {
        let path = path.into();
        let lock = prepare(&path)
            .map_err(|source| IdentityError::Directory { path: path.clone(), source })?
            .ok_or_else(|| IdentityError::InUse { path: path.clone() })?;
        Ok(Self { path, _lock: lock })
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity file.
    pub fn identity(&self) -> PathBuf {
        self.path.join("identity")
    }

    /// Certificates and keys.
    pub fn pki(&self) -> PathBuf {
        self.path.join("pki")
    }

    /// The replicated log, on voters.
    pub fn store(&self) -> PathBuf {
        self.path.join("raft.redb")
    }

    /// The journal of attempts.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal").join(journal::FILE)
    }

    /// Captured values and evidence.
    pub fn evidence(&self) -> PathBuf {
        self.path.join("evidence")
    }

    /// Backup sets.
    pub fn backups(&self) -> PathBuf {
        self.path.join("backups")
    }

    /// Why this node stands in quarantine, if a peer found a rival.
    pub fn quarantine(&self) -> PathBuf {
        self.path.join("quarantine")
    }

    /// That this host is isolated.
    pub fn isolation(&self) -> PathBuf {
        self.path.join(ISOLATION)
    }

    /// The other nodes, as the group last named them: whom to ask before the store is opened.
    pub fn peers(&self) -> PathBuf {
        self.path.join(PEERS)
    }

    /// What units leave behind.
    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }
}

/// Takes the lock; none when somebody else has it.
fn prepare(path: &Path) -> io::Result<Option<OwnedFd>> {
    if path.is_dir() {
        // Not narrowed here: it may be a directory that others need. Every secret in it has a mode of its own.
        if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(code = "LK6211", path = %path.display(), "the data directory can be read by others");
        }
    } else {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(path.join("lock"), flags, Mode::from(0o600))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(lock)),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_kept_out_until_the_first_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let first = DataDir::open(&path).unwrap();
        assert_eq!(DataDir::open(&path).unwrap_err().code(), "LK6208");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let error = DataDir::open(directory.path().join("file").join("data")).unwrap_err();
        assert_eq!(error.code(), "LK6209");
    }
}
