use super::*;
use crate::pb;
use bytes::Bytes;
use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, LogIndex, MemberName, NodeId};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

fn party(node: u64, name: &str) -> Party {
    Party { node: NodeId(node), name: MemberName::new(name).unwrap(), incarnation: Incarnation(3) }
}

fn header() -> Header {
    Header {
        cluster: ClusterId("c-1".into()),
        generation: Generation(2),
        from: party(1, "alpha"),
        to: party(2, "beta"),
        instance: crate::port::Instance::told("boot/1"),
    }
}

fn log_id(index: u64) -> LogId {
    LogId { term: Term(4), node: NodeId(1), index: LogIndex(index) }
}

fn membership() -> Membership {
    let seat = |name: &str| Seat {
        name: MemberName::new(name).unwrap(),
        address: "127.0.0.1:7440".into(),
        incarnation: Incarnation(1),
    };
    Membership {
        configs: vec![BTreeSet::from([NodeId(1)]), BTreeSet::from([NodeId(1), NodeId(2)])],
        nodes: BTreeMap::from([(NodeId(1), seat("alpha")), (NodeId(2), seat("beta"))]),
    }
}

/// Through bytes and back, as on a connection.
fn travel<M: Message + Default>(message: M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

#[test]
fn every_message_survives_the_wire() {
    let vote = Vote { term: Term(4), node: NodeId(1), committed: true };
    let request = VoteRequest { vote, last_log: Some(log_id(9)), leadership_transfer: true };
    let back = VoteRequest::from_wire(travel(request.clone().to_wire(header()))).unwrap();
    assert_eq!(back, (header(), request));

    let response = VoteResponse { vote, granted: true, last_log: None };
    assert_eq!(VoteResponse::try_from(travel::<pb::RaftVoteResponse>(response.clone().into())), Ok(response));

    let transfer = TransferRequest { from_leader: vote, to: NodeId(2), last_log: Some(log_id(9)) };
    let back = TransferRequest::from_wire(travel(transfer.clone().to_wire(header()))).unwrap();
    assert_eq!(back, (header(), transfer));
    for response in [
        TransferResponse::Accepted,
        TransferResponse::VoteChanged { expected: vote, actual: vote },
        TransferResponse::LogNotFlushed { expected: Some(log_id(2)), actual: None },
    ] {
        let back = travel::<pb::RaftTransferResponse>(response.clone().into());
        assert_eq!(TransferResponse::try_from(back), Ok(response));
    }

    let entries = vec![
        Entry { id: log_id(10), payload: Payload::Blank },
        Entry { id: log_id(11), payload: Payload::Command(Bytes::from_static(b"\x00opaque")) },
        Entry { id: log_id(12), payload: Payload::Membership(membership()) },
    ];
    let append = AppendRequest { vote, previous: Some(log_id(9)), entries, committed: Some(log_id(8)) };
    for frame in [AppendFrame::Open(header()), AppendFrame::Append(append)] {
        assert_eq!(AppendFrame::try_from(travel::<pb::RaftAppendFrame>(frame.clone().into())), Ok(frame));
    }
    for response in [
        AppendResponse::Matched(None),
        AppendResponse::Matched(Some(log_id(3))),
        AppendResponse::Conflict(log_id(3)),
        AppendResponse::HigherVote(vote),
    ] {
        let back = travel::<pb::RaftAppendResponse>(response.clone().into());
        assert_eq!(AppendResponse::try_from(back), Ok(response));
    }

    let meta =
        SnapshotMeta { last_log: Some(log_id(7)), membership_log: Some(log_id(1)), membership: membership() };
    let head = SnapshotHead { vote, meta, size: 3, digest: [7; 32] };
    for frame in [
        SnapshotFrame::Open(header()),
        SnapshotFrame::Head(head),
        SnapshotFrame::Chunk(Bytes::from_static(b"abc")),
    ] {
        assert_eq!(SnapshotFrame::try_from(travel::<pb::RaftSnapshotFrame>(frame.clone().into())), Ok(frame));
    }
}

#[test]
fn a_half_filled_message_is_refused_by_field() {
    let complaint = |error: WireError| error.to_string();
    let mut request = VoteRequest {
        vote: Vote { term: Term(1), node: NodeId(1), committed: false },
        last_log: None,
        leadership_transfer: false,
    }
    .to_wire(header());
    request.vote = None;
    assert_eq!(
        complaint(VoteRequest::from_wire(request.clone()).unwrap_err()),
        "RaftVoteRequest.vote: missing, or of a kind this build does not know"
    );
    request.header = None;
    assert_eq!(VoteRequest::from_wire(request).unwrap_err().field, "header");

    let unknown = pb::RaftEntry { id: Some(log_id(1).into()), payload: None };
    assert_eq!(Entry::try_from(unknown).unwrap_err().field, "payload");

    let bad_name = pb::RaftParty { node_id: 1, name: "No".into(), incarnation: 0 };
    assert!(matches!(Party::try_from(bad_name).unwrap_err().problem, Problem::Name(_)));

    let mut twice = pb::RaftMembership::from(membership());
    twice.nodes.push(twice.nodes[0].clone());
    assert_eq!(Membership::try_from(twice).unwrap_err().problem, Problem::Twice(1));

    let short = pb::RaftSnapshotHead { digest: vec![0; 31], ..travel(head_message()) };
    assert_eq!(
        SnapshotHead::try_from(short).unwrap_err().problem,
        Problem::Length { expected: 32, found: 31 }
    );
}

fn head_message() -> pb::RaftSnapshotHead {
    let vote = Vote { term: Term(1), node: NodeId(1), committed: true };
    SnapshotHead { vote, meta: SnapshotMeta::default(), size: 0, digest: [0; 32] }.into()
}
