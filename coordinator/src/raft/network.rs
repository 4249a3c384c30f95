//! openraft's network: turns its calls into gRPC calls, each with a deadline.
//!
//! openraft enforces no deadline of its own, and has two traps that its own example falls into; both are marked.

mod append;
mod snapshot;

use super::convert;
use super::limits::SNAPSHOT_FRAME_BYTES;
use super::peers::{Call, Lane, Peers, describe};
use super::types::{Node, OrSnapshot, OrVote, Types};
use bytes::Bytes;
use futures::Stream;
use lockkeeper_core::ids::NodeId;
use lockkeeper_proto::wire::raft::{TransferResponse, VoteResponse as WireVoteResponse, WireError};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, v2::RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AsyncRuntime, OptionalSend, RaftNetworkFactory};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Response, Status};

/// Makes one [`Connection`] for each use of each peer.
#[derive(Clone)]
pub(super) struct Network {
    peers: Arc<Peers>,
}

/// The way to one peer for one of openraft's tasks.
pub(super) struct Connection {
    peers: Arc<Peers>,
    node: NodeId,
    lane: Lane,
}

impl Network {
    pub fn new(peers: Arc<Peers>) -> Self {
        Self { peers }
    }

    fn connection(&self, target: u64, node: &Node, lane: Lane) -> Connection {
        let node_id = NodeId(target);
        self.peers.seat(node_id, &node.clone().into());
        Connection { peers: self.peers.clone(), node: node_id, lane }
    }
}

impl<Rt: AsyncRuntime> RaftNetworkFactory<Types<Rt>> for Network {
    type Network = Connection;

    /// For entries, and for votes and hand-over, which choose their own lane.
    async fn new_client(&mut self, target: u64, node: &Node) -> Connection {
        self.connection(target, node, Lane::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Node) -> Connection {
        self.connection(target, node, Lane::Pulse)
    }
}

/// Every failure is "unreachable": only that makes openraft wait before it tries again.
fn unreachable<Rt: AsyncRuntime>(reason: impl ToString) -> RPCError<Types<Rt>> {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

impl Connection {
    fn call(&self, lane: Lane) -> Result<Call, String> {
        self.peers.call(self.node, lane).ok_or_else(|| "not a member any more".to_owned())
    }

    /// Waits for one answer, no longer than `limit`.
    async fn answer<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, String> {
        let result = match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(describe(&status)),
            Err(_) => Err(format!("no answer within {limit:?}")),
        };
        self.peers.note(self.node, result.as_ref().map(|_| ()).map_err(String::as_str));
        result
    }
}

fn read<T, P: TryInto<T, Error = WireError>>(message: P) -> Result<T, String> {
    message.try_into().map_err(|error| error.to_string())
}

impl<Rt: AsyncRuntime> RaftNetworkV2<Types<Rt>> for Connection {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types<Rt>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types<Rt>>, RPCError<Types<Rt>>> {
        // The library streams; this is here because its trait asks for it.
        let input = futures::stream::iter([request]);
        let mut answers = RaftNetworkV2::stream_append(self, input, option).await?;
        match futures::StreamExt::next(&mut answers).await {
            Some(answer) => answer.map(Into::into),
            None => Err(unreachable("the stream ended without an answer")),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _: RPCOption,
    ) -> BoxFuture<
        's,
        Result<
            BoxStream<'s, Result<StreamAppendResult<Types<Rt>>, RPCError<Types<Rt>>>>,
            RPCError<Types<Rt>>,
        >,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types<Rt>>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(append::stream(self, input))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types<Rt>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<Rt>>, RPCError<Types<Rt>>> {
        let mut call = self.call(Lane::Pulse).map_err(unreachable)?;
        let message = convert::vote_request_to_wire(request).to_wire(call.header);
        let answer = self.answer(option.hard_ttl(), call.client.vote(message)).await.map_err(unreachable)?;
        let answer: WireVoteResponse = read(answer).map_err(unreachable)?;
        Ok(convert::vote_response_from_wire(answer))
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types<Rt>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<Rt>>, RPCError<Types<Rt>>> {
        let mut call = self.call(Lane::Pulse).map_err(unreachable)?;
        let message = convert::vote_request_to_wire(request).to_wire(call.header);
        let answer =
            self.answer(option.hard_ttl(), call.client.pre_vote(message)).await.map_err(unreachable)?;
        let answer: WireVoteResponse = read(answer).map_err(unreachable)?;
        Ok(convert::vote_response_from_wire(answer))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types<Rt>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types<Rt>>, RPCError<Types<Rt>>> {
        let mut call = self.call(Lane::Pulse).map_err(unreachable)?;
        let message = convert::transfer_request_to_wire(&request).to_wire(call.header);
        let answer = self
            .answer(option.hard_ttl(), call.client.transfer_leader(message))
            .await
            .map_err(unreachable)?;
        let answer: TransferResponse = read(answer).map_err(unreachable)?;
        Ok(convert::transfer_response_from_wire(answer))
    }

    async fn full_snapshot(
        &mut self,
        vote: OrVote,
        snapshot: OrSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types<Rt>>, StreamingError<Types<Rt>>> {
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = snapshot::send(self, vote, snapshot, SNAPSHOT_FRAME_BYTES) => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(reason) => Err(StreamingError::Unreachable(Unreachable::from_string(reason))),
            },
        }
    }
}
