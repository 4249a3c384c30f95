//! What an agent's data directory says without the agent: whose it is and the replicated state as far as it is there.
//! Reads a copy, so a running agent is not disturbed and no byte is changed. Knows nothing about what is done with it.

use crate::error::CliError;
use lockkeeper_agent::identity::stored;
use lockkeeper_coordinator::{
    machine::StateMachine,
    raft::{Offline, Upto},
};
use lockkeeper_core::rollout::State;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

/// Where the state comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Source {
    /// The data directory.
    pub data: PathBuf,
    /// The node's name, by its identity file; empty if that cannot be read.
    pub node: String,
    /// The group's id, by the store.
    pub group: String,
    /// The group's generation, by the store.
    pub generation: u64,
    /// Where its log ends, `TERM.INDEX`; of several survivors the greatest has the longest log.
    pub log_end: String,
    /// When the store was last written, unix ms by this machine's clock.
    pub written: u64,
}

/// The state in one data directory, at both lengths of its log.
pub struct Left {
    /// Where it comes from.
    pub source: Source,
    /// Known to be committed.
    pub committed: Arc<State>,
    /// Everything the node holds.
    pub last: Arc<State>,
}

/// Reads a data directory. `LK7401` when there is no store, `LK7402` when it cannot be read.
pub fn read(data: &Path) -> Result<Left, CliError> {
    let path = data.join("raft.redb");
    let unread = |reason: String| CliError::StoreUnread { path: path.clone(), reason };
    let meta = std::fs::metadata(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CliError::NoStore { path: path.clone() },
        _ => unread(error.to_string()),
    })?;
    let offline = Offline::read_copy(&path).map_err(|error| unread(causes(&error)))?;
    let state = |upto| {
        let (mut machine, seen) = StateMachine::new();
        offline.replay(&mut machine, upto).map_err(|error| unread(causes(&error)))?;
        let state = seen.borrow().clone();
        Ok::<_, CliError>(state)
    };
    let committed = state(Upto::Committed)?;
    let last = state(Upto::Last)?;
    // The identity is for people here; a damaged one must not hide what is owed.
    let node = std::fs::read(data.join("identity"))
        .ok()
        .and_then(|bytes| stored::from_bytes(&bytes).ok())
        .map(|identity| identity.name.to_string())
        .unwrap_or_default();
    let written = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let source = Source {
        data: data.to_owned(),
        node,
        group: offline.marker.cluster.0.clone(),
        generation: offline.marker.generation.0,
        log_end: offline.last_log.map(|last| format!("{}.{}", last.term, last.index)).unwrap_or_default(),
        written: written.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
    };
    Ok(Left { source, committed, last })
}

/// An error with its causes on one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
