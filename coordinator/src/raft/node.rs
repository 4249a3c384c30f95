//! One running node: openraft's handle behind two object-safe traits, so that nothing outside knows its type
//! parameters.

mod inbound;
mod outbound;
mod watch_status;

use super::error::RaftError;
use super::fatal::Fatal;
use super::state_machine::StateMachine;
use super::types::Types;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use lockkeeper_core::ids::{LogIndex, NodeId};
use lockkeeper_proto::wire::raft as wire;
use openraft::AsyncRuntime;
use openraft::errors::Fatal as OrFatal;
use std::collections::{BTreeMap, BTreeSet};

pub(super) use watch_status::watch_status;

pub(super) type OrRaft<Rt> = openraft::Raft<Types<Rt>, StateMachine>;

/// What peers ask of this node, after they were checked.
#[async_trait]
pub(super) trait Inbound: Send + Sync {
    async fn vote(&self, request: wire::VoteRequest) -> Result<wire::VoteResponse, Fatal>;
    async fn pre_vote(&self, request: wire::VoteRequest) -> Result<wire::VoteResponse, Fatal>;
    async fn take_over(&self, request: wire::TransferRequest) -> Result<wire::TransferResponse, Fatal>;
    /// Requests that cannot be turned into openraft's end the stream.
    fn append(
        &self,
        requests: BoxStream<'static, wire::AppendRequest>,
    ) -> BoxStream<'static, Result<wire::AppendResponse, Fatal>>;
    async fn install(&self, head: wire::SnapshotHead, state: Bytes) -> Result<wire::Vote, InstallError>;
}

/// Why a snapshot was not taken over.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstallError {
    #[error(transparent)]
    Membership(super::convert::BadMembership),
    #[error(transparent)]
    Fatal(Fatal),
}

/// What this process asks of the group.
#[async_trait]
pub(super) trait Outbound: Send + Sync {
    async fn initialize(&self, members: BTreeMap<NodeId, wire::Seat>) -> Result<(), RaftError>;
    async fn propose(&self, command: Vec<u8>) -> Result<(LogIndex, Vec<u8>), RaftError>;
    async fn read_index(&self) -> Result<LogIndex, RaftError>;
    async fn change(&self, change: Change) -> Result<LogIndex, RaftError>;
    async fn trigger_transfer(&self, to: NodeId) -> Result<(), RaftError>;
    async fn trigger_heartbeat(&self) -> Result<(), RaftError>;
    async fn trigger_snapshot(&self) -> Result<(), RaftError>;
    async fn trigger_purge(&self, upto: LogIndex) -> Result<(), RaftError>;
    async fn stop(&self);
}

/// A change of membership.
#[derive(Debug, Clone)]
pub(super) enum Change {
    AddLearner(NodeId, wire::Seat),
    RemoveLearner(NodeId),
    Seat(NodeId, wire::Seat),
    /// Voters that are not named become learners.
    Voters(BTreeSet<NodeId>),
}

/// openraft's handle with our traits on it.
pub(super) struct Node<Rt: AsyncRuntime> {
    pub raft: OrRaft<Rt>,
}

pub(super) fn fatal<Rt: AsyncRuntime>(error: OrFatal<Types<Rt>>) -> Fatal {
    match error {
        OrFatal::StorageError(error) => Fatal::Store(error.to_string()),
        OrFatal::Panicked => Fatal::Core("it panicked".to_owned()),
        OrFatal::Stopped => Fatal::Core("it was stopped".to_owned()),
    }
}
