//! Makes a script for the flight recorder from what a store holds. Reads and decodes; decides nothing.

use crate::raft::Recorded;
use lockkeeper_core::{
    audit::Trail,
    record::{Decision, Script, Source, assemble},
    rollout::State,
    stored::{self, StoredError},
};

/// What the node that is recorded knows beside its log.
pub struct Beside<'a> {
    /// The agent or directory.
    pub source: String,
    /// The audit it wrote while it applied.
    pub trail: &'a Trail,
    /// What it decided as leader.
    pub decisions: Vec<Decision>,
    /// The state it holds.
    pub state: &'a State,
}

/// The script of a store. Digests of states are not in it yet: they cost more than a busy agent should pay.
///
/// # Errors
/// When snapshot or commands do not decode.
pub fn script(recorded: &Recorded, beside: Beside<'_>) -> Result<Script, StoredError> {
    let base = match &recorded.snapshot {
        Some((_, bytes)) => stored::decode_snapshot(bytes)?.0,
        None => State::default(),
    };
    let log = recorded.commands.iter().map(|(index, bytes)| Ok((*index, stored::decode_envelope(bytes)?)));
    let log = log.collect::<Result<Vec<_>, StoredError>>()?;
    let source = Source {
        build: env!("CARGO_PKG_VERSION").to_owned(),
        name: beside.source,
        to: beside.state.applied,
        live: Some(beside.state.digest()),
    };
    Ok(assemble(source, recorded.from(), base, log, beside.trail, beside.decisions))
}
