//! Receiving a whole state.

use super::super::limits::SNAPSHOT_BYTES_MAX;
use super::super::node::InstallError;
use super::super::refusal::Refusal;
use super::{RaftService, next_frame, stopped};
use bytes::Bytes;
use lockkeeper_proto::pb;
use lockkeeper_proto::wire::raft::{SnapshotFrame, SnapshotHead};
use tonic::{Extensions, Status, Streaming};

pub(super) async fn receive(
    service: &RaftService,
    connection: &Extensions,
    mut frames: Streaming<pb::RaftSnapshotFrame>,
) -> Result<pb::RaftSnapshotResponse, Status> {
    let Some(SnapshotFrame::Open(header)) = next_frame(&mut frames).await? else {
        return Err(Refusal::Stream("a snapshot begins with its header").to_status());
    };
    service.admit(&header, connection)?;
    let Some(SnapshotFrame::Head(head)) = next_frame(&mut frames).await? else {
        return Err(Refusal::Stream("a snapshot is announced before it is sent").to_status());
    };
    let state = receive_state(&head, &mut frames).await?;
    tracing::info!(from = %header.from.name, bytes = state.len(), "taking over a snapshot");
    let installed = service.handle.inbound().install(head, state).await;
    let vote = installed.map_err(|error| match error {
        InstallError::Membership(_) => Refusal::Stream("the snapshot's membership is impossible").to_status(),
        InstallError::Fatal(fatal) => stopped(fatal),
    })?;
    Ok(pb::RaftSnapshotResponse { vote: Some(vote.into()) })
}

/// All frames together, if they are what was announced. Never holds more than that.
async fn receive_state(
    head: &SnapshotHead,
    frames: &mut Streaming<pb::RaftSnapshotFrame>,
) -> Result<Bytes, Status> {
    let refused = |why| Refusal::Stream(why).to_status();
    if head.size > SNAPSHOT_BYTES_MAX {
        return Err(refused("the snapshot is too large"));
    }
    let mut state = Vec::new();
    while let Some(frame) = next_frame(frames).await? {
        let SnapshotFrame::Chunk(chunk) = frame else {
            return Err(refused("a snapshot has one header and one head"));
        };
        if (state.len() + chunk.len()) as u64 > head.size {
            return Err(refused("the snapshot is larger than announced"));
        }
        state.extend_from_slice(&chunk);
    }
    if state.len() as u64 != head.size || *blake3::hash(&state).as_bytes() != head.digest {
        return Err(refused("the snapshot is not what was announced"));
    }
    Ok(Bytes::from(state))
}
