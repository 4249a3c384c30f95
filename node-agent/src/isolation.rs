//! What isolation means on this host: who may still be talked to, and the note that it is in force, which a boot must
//! find again. Does not know how packets are kept away.

use crate::journal::{Disk, FsDisk};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    str::FromStr,
};

/// Longer than any note: some hundred addresses.
const LENGTH_MAX: u64 = 64 * 1024;

/// Who may still be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    /// This address, both ways: a fellow clone, the operator.
    Address(IpAddr),
    /// Connections from here to this TCP port, and their answers: the cloned database.
    Port(SocketAddr),
}

/// A text that is neither `IP` nor `IP:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor an address with a port")]
pub struct AllowedError(pub String);

impl FromStr for Allowed {
    type Err = AllowedError;
    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let address = text.parse().map(Allowed::Address);
        address.or_else(|_| text.parse().map(Allowed::Port)).map_err(|_| AllowedError(text.to_owned()))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Address(address) => address.fmt(f),
            Allowed::Port(port) => port.fmt(f),
        }
    }
}

/// What `[isolation]` of `agent.toml` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether there is such a section: then a copy in quarantine cuts its network by itself.
    pub configured: bool,
    /// Who may still be talked to.
    pub allow: BTreeSet<Allowed>,
    /// Tried by every proof, beside the other nodes' addresses.
    pub forbidden: BTreeSet<SocketAddr>,
}

/// The note that this host is isolated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Version of this form.
    pub version: u32,
    /// Since when, unix milliseconds.
    pub since_ms: u64,
    /// By whom, and why.
    pub why: String,
    /// When it was last proven, unix milliseconds; none: not since it was put in force, or a proof failed.
    pub proven_ms: Option<u64>,
}

impl Note {
    /// A fresh one.
    pub fn new(why: impl Into<String>, now_ms: u64) -> Self {
        Self { version: 1, since_ms: now_ms, why: why.into(), proven_ms: None }
    }

    /// Reads it; none if this host is not isolated. One that cannot be read counts as isolated and unproven.
    pub fn load(path: &Path) -> io::Result<Option<Self>> {
        let Some(bytes) = FsDisk::new(path)?.read(LENGTH_MAX)? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| Note::new("noted earlier", 0))))
    }

    /// Writes it.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        FsDisk::new(path)?.replace(&serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// Takes it away.
    pub fn remove(path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_a_damaged_one_counts() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("isolation.json");
        assert_eq!(Note::load(&path).unwrap(), None);
        Note::remove(&path).unwrap();
        let note = Note { proven_ms: Some(7), ..Note::new("uid 0: a drill", 5) };
        note.save(&path).unwrap();
        assert_eq!(Note::load(&path).unwrap(), Some(note));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Note::load(&path).unwrap().unwrap().proven_ms, None);
        Note::remove(&path).unwrap();
        assert_eq!(Note::load(&path).unwrap(), None);
    }

    #[test]
    fn only_addresses_are_taken() {
        assert_eq!("10.0.0.1".parse(), Ok(Allowed::Address("10.0.0.1".parse().unwrap())));
        assert_eq!("[::1]:5".parse(), Ok(Allowed::Port("[::1]:5".parse().unwrap())));
        assert!("db1".parse::<Allowed>().is_err() && "db1:5432".parse::<Allowed>().is_err());
    }
}
