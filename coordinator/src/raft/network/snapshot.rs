//! Sending a whole state.

use super::super::convert;
use super::super::limits::{SNAPSHOT_TIMEOUT, SNAPSHOT_TIMEOUT_PER_MIB};
use super::super::peers::Lane;
use super::super::types::{OrSnapshot, OrVote};
use super::Connection;
use bytes::Bytes;
use lockkeeper_proto::pb;
use lockkeeper_proto::wire::raft::{SnapshotFrame, SnapshotHead};

/// Sends a snapshot in frames of `frame_bytes` and returns the receiver's vote.
pub(super) async fn send(
    connection: &Connection,
    vote: OrVote,
    snapshot: OrSnapshot,
    frame_bytes: usize,
) -> Result<OrVote, String> {
    let mut call = connection.call(Lane::Snapshot)?;
    let state = snapshot.snapshot;
    let head = SnapshotHead {
        vote: convert::vote_to_wire(vote),
        meta: convert::snapshot_meta_to_wire(&snapshot.meta),
        size: state.len() as u64,
        digest: *blake3::hash(&state).as_bytes(),
    };
    let mebibytes = u32::try_from(state.len() >> 20).unwrap_or(u32::MAX);
    let limit = SNAPSHOT_TIMEOUT + SNAPSHOT_TIMEOUT_PER_MIB.saturating_mul(mebibytes);
    // TRAP: the receiver answers only after the last frame, so a sender that waits for the answer before it sends the
    // frames waits for ever, in silence. Hand over the whole stream.
    let frames = [SnapshotFrame::Open(call.header), SnapshotFrame::Head(head)]
        .into_iter()
        .chain(pieces(state, frame_bytes).map(SnapshotFrame::Chunk))
        .map(pb::RaftSnapshotFrame::from);
    let answer = connection.answer(limit, call.client.snapshot(futures::stream::iter(frames))).await?;
    let vote = answer.vote.ok_or("the answer has no vote")?;
    Ok(convert::vote_from_wire(vote.into()))
}

fn pieces(mut rest: Bytes, bytes: usize) -> impl Iterator<Item = Bytes> + Send {
    std::iter::from_fn(move || (!rest.is_empty()).then(|| rest.split_to(rest.len().min(bytes))))
}
