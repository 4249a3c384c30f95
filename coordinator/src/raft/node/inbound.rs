//! Peers' calls into openraft.

use super::super::convert;
use super::super::fatal::Fatal;
use super::super::types::OrSnapshot;
use super::{Inbound, InstallError, Node, fatal};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use lockkeeper_proto::wire::raft as wire;
use openraft::AsyncRuntime;
use openraft::errors::RaftError as OrError;

#[async_trait]
impl<Rt: AsyncRuntime> Inbound for Node<Rt> {
    async fn vote(&self, request: wire::VoteRequest) -> Result<wire::VoteResponse, Fatal> {
        match self.raft.vote(convert::vote_request_from_wire(request)).await {
            Ok(response) => Ok(convert::vote_response_to_wire(response)),
            Err(OrError::APIError(never)) => match never {},
            Err(OrError::Fatal(error)) => Err(fatal(error)),
        }
    }

    async fn pre_vote(&self, request: wire::VoteRequest) -> Result<wire::VoteResponse, Fatal> {
        match self.raft.pre_vote(convert::vote_request_from_wire(request)).await {
            Ok(response) => Ok(convert::vote_response_to_wire(response)),
            Err(OrError::APIError(never)) => match never {},
            Err(OrError::Fatal(error)) => Err(fatal(error)),
        }
    }

    async fn take_over(&self, request: wire::TransferRequest) -> Result<wire::TransferResponse, Fatal> {
        let response = self.raft.handle_transfer_leader(convert::transfer_request_from_wire(request)).await;
        response.map(convert::transfer_response_to_wire).map_err(fatal)
    }

    fn append(
        &self,
        requests: BoxStream<'static, wire::AppendRequest>,
    ) -> BoxStream<'static, Result<wire::AppendResponse, Fatal>> {
        let requests = requests.map(convert::append_request_from_wire::<Rt>).scan((), |(), request| {
            let request = request.inspect_err(
                |error| tracing::warn!(%error, "an append request has an impossible membership"),
            );
            std::future::ready(request.ok())
        });
        let answers = self.raft.stream_append(requests);
        Box::pin(answers.map(|answer| answer.map(convert::append_result_to_wire).map_err(fatal)))
    }

    async fn install(&self, head: wire::SnapshotHead, state: Bytes) -> Result<wire::Vote, InstallError> {
        let meta = convert::snapshot_meta_from_wire(head.meta).map_err(InstallError::Membership)?;
        let snapshot = OrSnapshot { meta, snapshot: state };
        let installed = self.raft.install_full_snapshot(convert::vote_from_wire(head.vote), snapshot).await;
        let response = installed.map_err(|error| InstallError::Fatal(fatal(error)))?;
        Ok(convert::vote_to_wire(response.vote))
    }
}
