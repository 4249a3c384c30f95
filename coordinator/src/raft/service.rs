//! The gRPC service that peers call: checks who speaks, then hands on to the node.

mod append;
mod snapshot;

use super::fatal::Fatal;
use super::handle::RaftHandle;
use super::limits::MESSAGE_BYTES_MAX;
use super::peer_check::PeerCheck;
use super::refusal::Refusal;
use async_trait::async_trait;
use futures::stream::BoxStream;
use lockkeeper_proto::pb;
use lockkeeper_proto::pb::raft_server::{Raft, RaftServer};
use lockkeeper_proto::wire::raft::{Header, TransferRequest, VoteRequest, WireError};
use std::sync::Arc;
use tonic::{Extensions, Request, Response, Status, Streaming};

/// The service of one node.
pub struct RaftService {
    handle: RaftHandle,
    check: Arc<dyn PeerCheck>,
}

impl RaftService {
    /// The service, to be added to the server on the peers' port.
    pub fn server(handle: RaftHandle, check: impl PeerCheck) -> RaftServer<Self> {
        RaftServer::new(Self { handle, check: Arc::new(check) })
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn admit(&self, header: &Header, connection: &Extensions) -> Result<(), Status> {
        let seat = self.handle.known(header.from.node);
        let admitted = self
            .handle
            .local()
            .check(header, seat.as_ref())
            .and_then(|()| self.check.check(header, connection));
        admitted.map_err(|refusal| {
            tracing::warn!(%refusal, from = %header.from.name, "a peer's call was refused");
            refusal.to_status()
        })
    }
}

fn unreadable(error: WireError) -> Status {
    Refusal::Message(error).to_status()
}

/// The caller tries again elsewhere or later; the reason is this node's own business and in its log.
fn stopped(_: Fatal) -> Status {
    Status::unavailable("this node takes no part any more")
}

#[async_trait]
impl Raft for RaftService {
    async fn vote(
        &self,
        request: Request<pb::RaftVoteRequest>,
    ) -> Result<Response<pb::RaftVoteResponse>, Status> {
        let (_, extensions, message) = request.into_parts();
        let (header, request) = VoteRequest::from_wire(message).map_err(unreadable)?;
        self.admit(&header, &extensions)?;
        let response = self.handle.inbound().vote(request).await.map_err(stopped)?;
        Ok(Response::new(response.into()))
    }

    async fn pre_vote(
        &self,
        request: Request<pb::RaftVoteRequest>,
    ) -> Result<Response<pb::RaftVoteResponse>, Status> {
        let (_, extensions, message) = request.into_parts();
        let (header, request) = VoteRequest::from_wire(message).map_err(unreadable)?;
        self.admit(&header, &extensions)?;
        let response = self.handle.inbound().pre_vote(request).await.map_err(stopped)?;
        Ok(Response::new(response.into()))
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::RaftTransferRequest>,
    ) -> Result<Response<pb::RaftTransferResponse>, Status> {
        let (_, extensions, message) = request.into_parts();
        let (header, request) = TransferRequest::from_wire(message).map_err(unreadable)?;
        self.admit(&header, &extensions)?;
        let response = self.handle.inbound().take_over(request).await.map_err(stopped)?;
        Ok(Response::new(response.into()))
    }

    type AppendStream = BoxStream<'static, Result<pb::RaftAppendResponse, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<pb::RaftAppendFrame>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let (_, extensions, frames) = request.into_parts();
        append::serve(self, &extensions, frames).await.map(Response::new)
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<pb::RaftSnapshotFrame>>,
    ) -> Result<Response<pb::RaftSnapshotResponse>, Status> {
        let (_, extensions, frames) = request.into_parts();
        snapshot::receive(self, &extensions, frames).await.map(Response::new)
    }
}

/// The next frame of a stream, if it comes in time.
async fn next_frame<M, T>(frames: &mut Streaming<M>) -> Result<Option<T>, Status>
where
    T: TryFrom<M, Error = WireError>,
{
    let frame = tokio::time::timeout(super::limits::FRAME_TIMEOUT, frames.message())
        .await
        .map_err(|_| Refusal::Stream("the next frame did not come in time").to_status())??;
    frame.map(T::try_from).transpose().map_err(unreadable)
}
