//! Format 1: a version byte, then postcard of the frozen structs here (snapshots: JSON of state and audit).

mod command;
mod trust;

use super::StoredError;
use crate::{
    audit::Trail,
    rollout::{Envelope, Reply, State},
};
use command::EnvelopeV1;
use std::borrow::Cow;

/// The version byte.
const VERSION: u8 = 1;

fn body<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], StoredError> {
    match bytes.split_first() {
        None => Err(StoredError::Empty),
        Some((&VERSION, rest)) if !rest.is_empty() => Ok(rest),
        Some((&VERSION, _)) => Err(StoredError::Malformed { what, detail: "nothing after the version".into() }),
        Some((&found, _)) => Err(StoredError::Version { found, known: VERSION }),
    }
}

fn malformed(what: &'static str, error: impl std::fmt::Display) -> StoredError {
    StoredError::Malformed { what, detail: error.to_string() }
}

/// A command's bytes.
pub fn encode_envelope(envelope: &Envelope) -> Result<Vec<u8>, StoredError> {
    let frozen = EnvelopeV1::of(envelope)?;
    postcard::to_extend(&frozen, vec![VERSION]).map_err(|e| malformed("command", e))
}

/// A command from its bytes.
pub fn decode_envelope(bytes: &[u8]) -> Result<Envelope, StoredError> {
    let frozen: EnvelopeV1 = postcard::from_bytes(body("command", bytes)?).map_err(|e| malformed("command", e))?;
    frozen.thaw()
}

/// An answer's bytes. Answers are not stored in the log, only sent; JSON keeps them readable in a trace.
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    json(reply)
}

/// An answer from its bytes.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, StoredError> {
    serde_json::from_slice(body("reply", bytes)?).map_err(|e| malformed("reply", e))
}

/// A snapshot's bytes: the state and the audit's entries beside it.
pub fn encode_snapshot(state: &State, trail: &Trail) -> Vec<u8> {
    json(&SnapshotV1 { state: Cow::Borrowed(state), audit: Cow::Borrowed(trail) })
}

/// State and audit from a snapshot's bytes.
pub fn decode_snapshot(bytes: &[u8]) -> Result<(State, Trail), StoredError> {
    let snapshot: SnapshotV1<'_> =
        serde_json::from_slice(body("snapshot", bytes)?).map_err(|e| malformed("snapshot", e))?;
    Ok((snapshot.state.into_owned(), snapshot.audit.into_owned()))
}

#[derive(serde::Serialize, serde::Deserialize)]
struct SnapshotV1<'a> {
    state: Cow<'a, State>,
    audit: Cow<'a, Trail>,
}

/// A state's bytes.
pub fn encode_state(state: &State) -> Vec<u8> {
    json(state)
}

/// A state from its bytes.
pub fn decode_state(bytes: &[u8]) -> Result<State, StoredError> {
    serde_json::from_slice(body("state", bytes)?).map_err(|e| malformed("state", e))
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    // Plain data with text keys always serialises (a test round-trips every kind); were it not so, the empty body
    // would be refused by every reader instead of being misread.
    if serde_json::to_writer(&mut bytes, value).is_err() {
        bytes.truncate(1);
    }
    bytes
}
