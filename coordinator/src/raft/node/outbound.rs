//! This process's calls into openraft, and its errors in our words.

use super::super::error::RaftError;
use super::super::types::{Command, Node as OrNode, Types};
use super::{Change, Node, Outbound, fatal};
use async_trait::async_trait;
use lockkeeper_core::ids::{LogIndex, NodeId};
use lockkeeper_proto::wire::raft::Seat;
use openraft::errors::{
    ChangeMembershipError, ClientWriteError, ForwardReason, ForwardToLeader, InitializeError,
    LinearizableReadError, RaftError as OrError,
};
use openraft::raft::ReadPolicy;
use openraft::{AsyncRuntime, ChangeMembers};
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
impl<Rt: AsyncRuntime> Outbound for Node<Rt> {
    async fn initialize(&self, members: BTreeMap<NodeId, Seat>) -> Result<(), RaftError> {
        let members: BTreeMap<u64, OrNode> =
            members.into_iter().map(|(node, seat)| (node.0, seat.into())).collect();
        match self.raft.initialize(members).await {
            Ok(()) => Ok(()),
            Err(OrError::APIError(error @ InitializeError::NotAllowed(_))) => {
                Err(RaftError::Refused(error.to_string()))
            }
            Err(OrError::APIError(error @ InitializeError::NotInMembers(_))) => {
                Err(RaftError::Refused(error.to_string()))
            }
            Err(OrError::Fatal(error)) => Err(RaftError::Fatal(fatal(error))),
        }
    }

    async fn propose(&self, command: Vec<u8>) -> Result<(LogIndex, Vec<u8>), RaftError> {
        let written = self.raft.client_write(Command(command)).await.map_err(write_error)?;
        Ok((LogIndex(written.log_id.index), written.data.0))
    }

    async fn read_index(&self) -> Result<LogIndex, RaftError> {
        // ReadIndex, never the lease: a decision must not rest on two clocks running alike.
        match self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(read) => Ok(LogIndex(read.index())),
            Err(OrError::APIError(LinearizableReadError::ForwardToLeader(leader))) => Err(not_leader(leader)),
            Err(OrError::APIError(LinearizableReadError::QuorumNotEnough(_))) => Err(RaftError::NoQuorum),
            Err(OrError::Fatal(error)) => Err(RaftError::Fatal(fatal(error))),
        }
    }

    async fn change(&self, change: Change) -> Result<LogIndex, RaftError> {
        let changed = match change {
            Change::AddLearner(node, seat) => self.raft.add_learner(node.0, seat.into(), false).await,
            Change::RemoveLearner(node) => {
                let change = ChangeMembers::RemoveNodes(BTreeSet::from([node.0]));
                self.raft.change_membership_if(change, true, []).await
            }
            Change::Seat(node, seat) => {
                let change = ChangeMembers::SetNodes(BTreeMap::from([(node.0, seat.into())]));
                self.raft.change_membership_if(change, true, []).await
            }
            Change::Voters(voters) => {
                let voters: BTreeSet<u64> = voters.into_iter().map(|node| node.0).collect();
                self.raft.change_membership_if(ChangeMembers::ReplaceAllVoters(voters), true, []).await
            }
        };
        Ok(LogIndex(changed.map_err(write_error)?.log_id.index))
    }

    async fn trigger_transfer(&self, to: NodeId) -> Result<(), RaftError> {
        self.raft.trigger().transfer_leader(to.0).await.map_err(|error| RaftError::Fatal(fatal(error)))
    }

    async fn trigger_heartbeat(&self) -> Result<(), RaftError> {
        self.raft.trigger().heartbeat().await.map_err(|error| RaftError::Fatal(fatal(error)))
    }

    async fn trigger_snapshot(&self) -> Result<(), RaftError> {
        self.raft.trigger().snapshot().await.map_err(|error| RaftError::Fatal(fatal(error)))
    }

    async fn trigger_purge(&self, upto: LogIndex) -> Result<(), RaftError> {
        self.raft.trigger().purge_log(upto.0).await.map_err(|error| RaftError::Fatal(fatal(error)))
    }

    async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the Raft core did not end in order");
        }
    }
}

fn not_leader<Rt: AsyncRuntime>(forward: ForwardToLeader<Types<Rt>>) -> RaftError {
    if forward.reason == ForwardReason::LeaseExpired {
        return RaftError::NoQuorum;
    }
    let leader = forward.leader_id.zip(forward.leader_node);
    RaftError::NotLeader { leader: leader.map(|(node, seat)| Box::new((NodeId(node), seat.into()))) }
}

fn write_error<Rt: AsyncRuntime>(error: OrError<Types<Rt>, ClientWriteError<Types<Rt>>>) -> RaftError {
    match error {
        OrError::Fatal(error) => RaftError::Fatal(fatal(error)),
        OrError::APIError(ClientWriteError::ForwardToLeader(leader)) => not_leader(leader),
        OrError::APIError(ClientWriteError::LogEntryDiscarded(_)) => RaftError::Unknown,
        OrError::APIError(ClientWriteError::PreconditionFailed(error)) => {
            RaftError::Refused(error.to_string())
        }
        OrError::APIError(ClientWriteError::ChangeMembershipError(error)) => match error {
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_) => {
                RaftError::Busy
            }
            ChangeMembershipError::LearnerNotFound(missing) => {
                RaftError::NotThere { node: NodeId(missing.node_id), needed: "a learner" }
            }
            error @ (ChangeMembershipError::EmptyMembership(_)
            | ChangeMembershipError::UnsupportedMembershipTransition(_)
            | ChangeMembershipError::NodeMetadataChanged(_)) => RaftError::Refused(error.to_string()),
        },
    }
}
