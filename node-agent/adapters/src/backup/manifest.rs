//! What a backup set says of itself, and the proof that it could be restored.

use lockkeeper_core::ids::{ClusterId, DatabaseName, Digest, RolloutId, Token};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Version of the manifest's format.
pub const FORMAT: u32 = 1;

/// What is in a set, and of when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Name of the set.
    pub set: String,
    /// The database, by its name in the cluster file.
    pub database: DatabaseName,
    /// What the engine said of it.
    pub identity: String,
    /// The engine and its version.
    pub server: String,
    /// The group that took it.
    pub cluster: ClusterId,
    /// In which rollout.
    pub rollout: RolloutId,
    /// Under which token.
    pub token: Token,
    /// By the database's clock, ISO 8601.
    pub taken_at: String,
    /// Before the copy began; equal counters before and after prove that nothing was written meanwhile.
    pub before: WriteMark,
    /// After the copy was complete.
    pub after: WriteMark,
    /// Every file of the set except this manifest and the proof.
    pub files: BTreeMap<String, FileEntry>,
    /// Statements that give a restored copy what the dump does not hold, with `{database}` for its quoted name.
    pub properties: Vec<String>,
    /// What a database must be made with to take the restored copy (PostgreSQL: encoding and collation).
    pub make: BTreeMap<String, String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its content.
    pub blake3: Digest,
}

/// A reading that changes when something is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteMark {
    /// Equal readings: nothing was written in between.
    pub counter: String,
    /// Where the engine's log stood; for people, other databases move it too.
    pub position: String,
}

impl fmt::Display for WriteMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.counter, self.position)
    }
}

/// That the set was restored beside and found equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// [`FORMAT`].
    pub format: u32,
    /// BLAKE3 of the manifest it is about.
    pub manifest: Digest,
    /// In which rollout.
    pub rollout: RolloutId,
    /// Under which token.
    pub token: Token,
    /// By the database's clock, ISO 8601.
    pub proven_at: String,
    /// Everything the database was and held, as one text (PostgreSQL: catalog and rows); a restore must give it again.
    #[serde(default)]
    pub content: String,
    /// What was compared, for people.
    pub evidence: String,
}
