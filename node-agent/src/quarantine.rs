//! Why an agent stands in quarantine, and the note of it that survives a restart.
//!
//! Knows reasons and the file. Does not know what an agent in quarantine serves or how it is isolated.

use crate::{
    identity::IdentityError,
    journal::{Disk, FsDisk},
};
use serde::{Deserialize, Serialize};
use std::{io, path::Path};

/// Longer than any reason.
const LENGTH_MAX: u64 = 16 * 1024;

/// Why an agent takes no part: no vote, no open store, no application start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its fingerprint differs in a way that only another machine explains.
    Machine(String),
    /// Its fingerprint is weak and differs; a running peer may lift the suspicion.
    Weak(String),
    /// Another living agent has this node's identity, by a running peer's word. Noted on disk: it stays also when the
    /// other one is switched off later.
    Rival(String),
}

/// The note on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    version: u8,
    since_ms: u64,
    why: String,
}

impl Reason {
    /// The suspicion behind an identity error; none if it is no suspicion.
    pub fn of(error: &IdentityError) -> Option<Self> {
        match error {
            IdentityError::Weak { .. } => Some(Reason::Weak(error.to_string())),
            other if other.is_suspicion() => Some(Reason::Machine(other.to_string())),
            _no_suspicion => None,
        }
    }

    /// The code, which is the name of its page.
    pub const fn code(&self) -> &'static str {
        match self {
            Reason::Machine(_) => "LK6207",
            Reason::Weak(_) => "LK6212",
            Reason::Rival(_) => "LK6215",
        }
    }

    /// What happened and what to do, for people. Begins with the code.
    pub fn text(&self) -> String {
        match self {
            Reason::Machine(why) => format!(
                "{why}. This agent stands in quarantine: no vote, no store opened, no application started. A clone: \
                 keep it isolated and enrol it under a name of its own; a replaced machine: re-enrol it"
            ),
            Reason::Weak(why) => format!(
                "{why}. This agent stands in quarantine until a running peer confirms that the original is not alive"
            ),
            Reason::Rival(why) => format!(
                "LK6215: another agent has this node's identity: {why}. This agent stands in quarantine: no vote, no \
                 store opened, no application started. Wipe this copy, or enrol it under a name of its own"
            ),
        }
    }

    /// Writes the note, where the reason outlives a restart.
    pub fn keep(&self, path: &Path, now_ms: u64) -> io::Result<()> {
        let Reason::Rival(why) = self else { return Ok(()) };
        let note = Note { version: 1, since_ms: now_ms, why: why.clone() };
        let text = serde_json::to_vec(&note).map_err(io::Error::other)?;
        FsDisk::new(path)?.replace(&text)
    }

    /// What an earlier life noted. A note that cannot be read counts: it was written for a reason.
    pub fn kept(path: &Path) -> io::Result<Option<Self>> {
        let Some(bytes) = FsDisk::new(path)?.read(LENGTH_MAX)? else { return Ok(None) };
        let why = match serde_json::from_slice::<Note>(&bytes) {
            Ok(note) => note.why,
            Err(error) => format!("noted earlier, in {} ({error})", path.display()),
        };
        Ok(Some(Reason::Rival(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rival_outlives_a_restart_and_a_damaged_note_counts() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("quarantine");
        assert_eq!(Reason::kept(&path).unwrap(), None);
        Reason::Weak("LK6212: x".into()).keep(&path, 1).unwrap();
        assert_eq!(Reason::kept(&path).unwrap(), None);
        let rival = Reason::Rival("n2 lives".into());
        rival.keep(&path, 1).unwrap();
        assert_eq!(Reason::kept(&path).unwrap(), Some(rival));
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(Reason::kept(&path).unwrap(), Some(Reason::Rival(_))));
    }

    #[test]
    fn every_text_begins_with_its_code() {
        for reason in
            [Reason::Machine("LK6207: a".into()), Reason::Weak("LK6212: b".into()), Reason::Rival("c".into())]
        {
            assert!(reason.text().starts_with(&format!("{}: ", reason.code())), "{}", reason.text());
        }
    }
}
