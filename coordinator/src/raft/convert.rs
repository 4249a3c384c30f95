//! openraft's types to our plain wire structs and back. Nothing is lost either way, which a test proves.

use super::types::{
    Command, OrEntry, OrLeaderId, OrLogId, OrMembership, OrPayload, OrSnapshotMeta, OrStoredMembership,
    OrVote, Types,
};
use lockkeeper_core::ids::{LogIndex, NodeId};
use lockkeeper_proto::wire::raft as wire;
use openraft::AsyncRuntime;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};

pub(super) fn log_id_to_wire(id: OrLogId) -> wire::LogId {
    wire::LogId {
        term: wire::Term(id.leader_id.term),
        node: NodeId(id.leader_id.node_id),
        index: LogIndex(id.index),
    }
}

pub(super) fn log_id_from_wire(id: wire::LogId) -> OrLogId {
    OrLogId::new(OrLeaderId { term: id.term.0, node_id: id.node.0 }, id.index.0)
}

pub(super) fn vote_to_wire(vote: OrVote) -> wire::Vote {
    wire::Vote {
        term: wire::Term(vote.leader_id.term),
        node: NodeId(vote.leader_id.node_id),
        committed: vote.committed,
    }
}

pub(super) fn vote_from_wire(vote: wire::Vote) -> OrVote {
    OrVote { leader_id: OrLeaderId { term: vote.term.0, node_id: vote.node.0 }, committed: vote.committed }
}

pub(super) fn membership_to_wire(membership: &OrMembership) -> wire::Membership {
    wire::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|set| set.iter().copied().map(NodeId).collect())
            .collect(),
        nodes: membership.nodes().map(|(id, node)| (NodeId(*id), node.clone().into())).collect(),
    }
}

/// Refuses a membership with an empty set of voters, or with a voter that has no seat.
pub(super) fn membership_from_wire(membership: wire::Membership) -> Result<OrMembership, BadMembership> {
    let configs =
        membership.configs.into_iter().map(|set| set.into_iter().map(|node| node.0).collect()).collect();
    let nodes: std::collections::BTreeMap<u64, super::types::Node> =
        membership.nodes.into_iter().map(|(node, seat)| (node.0, seat.into())).collect();
    OrMembership::new(configs, nodes).map_err(|error| BadMembership(error.to_string()))
}

/// A membership no group can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a membership: {0}")]
pub struct BadMembership(String);

pub(super) fn entry_to_wire(entry: OrEntry) -> wire::Entry {
    wire::Entry {
        id: log_id_to_wire(entry.log_id),
        payload: match entry.payload {
            OrPayload::Blank => wire::Payload::Blank,
            OrPayload::Normal(command) => wire::Payload::Command(command.0.into()),
            OrPayload::Membership(membership) => wire::Payload::Membership(membership_to_wire(&membership)),
        },
    }
}

pub(super) fn entry_from_wire(entry: wire::Entry) -> Result<OrEntry, BadMembership> {
    Ok(OrEntry {
        log_id: log_id_from_wire(entry.id),
        payload: match entry.payload {
            wire::Payload::Blank => OrPayload::Blank,
            wire::Payload::Command(bytes) => OrPayload::Normal(Command(bytes.into())),
            wire::Payload::Membership(membership) => OrPayload::Membership(membership_from_wire(membership)?),
        },
    })
}

pub(super) fn snapshot_meta_to_wire(meta: &OrSnapshotMeta) -> wire::SnapshotMeta {
    wire::SnapshotMeta {
        last_log: meta.last_log_id.map(log_id_to_wire),
        membership_log: meta.last_membership.log_id().map(log_id_to_wire),
        membership: membership_to_wire(meta.last_membership.membership()),
    }
}

pub(super) fn snapshot_meta_from_wire(meta: wire::SnapshotMeta) -> Result<OrSnapshotMeta, BadMembership> {
    Ok(OrSnapshotMeta {
        last_log_id: meta.last_log.map(log_id_from_wire),
        last_membership: OrStoredMembership::new(
            meta.membership_log.map(log_id_from_wire),
            membership_from_wire(meta.membership)?,
        ),
    })
}

pub(super) fn vote_request_to_wire<Rt: AsyncRuntime>(request: VoteRequest<Types<Rt>>) -> wire::VoteRequest {
    wire::VoteRequest {
        vote: vote_to_wire(request.vote),
        last_log: request.last_log_id.map(log_id_to_wire),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(super) fn vote_request_from_wire<Rt: AsyncRuntime>(request: wire::VoteRequest) -> VoteRequest<Types<Rt>> {
    let mut converted =
        VoteRequest::new(vote_from_wire(request.vote), request.last_log.map(log_id_from_wire));
    converted.leadership_transfer = request.leadership_transfer;
    converted
}

pub(super) fn vote_response_to_wire<Rt: AsyncRuntime>(
    response: VoteResponse<Types<Rt>>,
) -> wire::VoteResponse {
    wire::VoteResponse {
        vote: vote_to_wire(response.vote),
        granted: response.vote_granted,
        last_log: response.last_log_id.map(log_id_to_wire),
    }
}

pub(super) fn vote_response_from_wire<Rt: AsyncRuntime>(
    response: wire::VoteResponse,
) -> VoteResponse<Types<Rt>> {
    VoteResponse::new(
        vote_from_wire(response.vote),
        response.last_log.map(log_id_from_wire),
        response.granted,
    )
}

pub(super) fn append_request_to_wire<Rt: AsyncRuntime>(
    request: AppendEntriesRequest<Types<Rt>>,
) -> wire::AppendRequest {
    wire::AppendRequest {
        vote: vote_to_wire(request.vote),
        previous: request.prev_log_id.map(log_id_to_wire),
        entries: request.entries.into_iter().map(entry_to_wire).collect(),
        committed: request.leader_commit.map(log_id_to_wire),
    }
}

pub(super) fn append_request_from_wire<Rt: AsyncRuntime>(
    request: wire::AppendRequest,
) -> Result<AppendEntriesRequest<Types<Rt>>, BadMembership> {
    Ok(AppendEntriesRequest {
        vote: vote_from_wire(request.vote),
        prev_log_id: request.previous.map(log_id_from_wire),
        entries: request.entries.into_iter().map(entry_from_wire).collect::<Result<_, _>>()?,
        leader_commit: request.committed.map(log_id_from_wire),
    })
}

pub(super) fn append_result_to_wire<Rt: AsyncRuntime>(
    result: StreamAppendResult<Types<Rt>>,
) -> wire::AppendResponse {
    match result {
        Ok(last) => wire::AppendResponse::Matched(last.map(log_id_to_wire)),
        Err(StreamAppendError::Conflict(id)) => wire::AppendResponse::Conflict(log_id_to_wire(id)),
        Err(StreamAppendError::HigherVote(vote)) => wire::AppendResponse::HigherVote(vote_to_wire(vote)),
    }
}

pub(super) fn append_result_from_wire<Rt: AsyncRuntime>(
    response: wire::AppendResponse,
) -> StreamAppendResult<Types<Rt>> {
    match response {
        wire::AppendResponse::Matched(last) => Ok(last.map(log_id_from_wire)),
        wire::AppendResponse::Conflict(id) => Err(StreamAppendError::Conflict(log_id_from_wire(id))),
        wire::AppendResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote_from_wire(vote))),
    }
}

pub(super) fn transfer_request_to_wire<Rt: AsyncRuntime>(
    request: &TransferLeaderRequest<Types<Rt>>,
) -> wire::TransferRequest {
    wire::TransferRequest {
        from_leader: vote_to_wire(*request.from_leader()),
        to: NodeId(*request.to_node_id()),
        last_log: request.last_log_id().copied().map(log_id_to_wire),
    }
}

pub(super) fn transfer_request_from_wire<Rt: AsyncRuntime>(
    request: wire::TransferRequest,
) -> TransferLeaderRequest<Types<Rt>> {
    TransferLeaderRequest::new(
        vote_from_wire(request.from_leader),
        request.to.0,
        request.last_log.map(log_id_from_wire),
    )
}

pub(super) fn transfer_response_to_wire<Rt: AsyncRuntime>(
    response: TransferLeaderResponse<Types<Rt>>,
) -> wire::TransferResponse {
    match response {
        Ok(()) => wire::TransferResponse::Accepted,
        Err(TransferLeaderError::VoteChanged { expected, actual }) => wire::TransferResponse::VoteChanged {
            expected: vote_to_wire(expected),
            actual: vote_to_wire(actual),
        },
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            wire::TransferResponse::LogNotFlushed {
                expected: expected.map(log_id_to_wire),
                actual: actual.map(log_id_to_wire),
            }
        }
    }
}

pub(super) fn transfer_response_from_wire<Rt: AsyncRuntime>(
    response: wire::TransferResponse,
) -> TransferLeaderResponse<Types<Rt>> {
    match response {
        wire::TransferResponse::Accepted => Ok(()),
        wire::TransferResponse::VoteChanged { expected, actual } => Err(TransferLeaderError::VoteChanged {
            expected: vote_from_wire(expected),
            actual: vote_from_wire(actual),
        }),
        wire::TransferResponse::LogNotFlushed { expected, actual } => {
            Err(TransferLeaderError::LogNotFlushed {
                expected: expected.map(log_id_from_wire),
                actual: actual.map(log_id_from_wire),
            })
        }
    }
}
