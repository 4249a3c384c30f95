//! Who may speak: every wrong header is refused by name, before Raft sees the call.
use lockkeeper_coordinator::raft::{
    self, Blocking, CertificateCheck, Local, PeerCheck, Production, RaftService, Refusal, Setup, Store,
};
use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ActorName, ClusterId, Generation, Incarnation, NodeId};
use lockkeeper_proto::pb;
use lockkeeper_proto::pb::raft_client::RaftClient;
use lockkeeper_proto::transport::{PeerIdentity, PeerInfo, code_of};
use lockkeeper_proto::wire::raft::{Header, Party, Term, Vote, VoteRequest};
use super::bed::{Bed, Ledger, Valves, marker, name};
use std::sync::Arc;
use tonic::Status;
use tonic::transport::Channel;

fn header() -> Header {
    let party = |id: u64| Party { node: NodeId(id), name: name(NodeId(id)), incarnation: Incarnation(1) };
    Header { cluster: ClusterId("bed".into()), generation: Generation(1), from: party(2), to: party(1), instance: Default::default() }
}

/// Asks node 1 for a vote in a far higher term.
async fn ask(client: &mut RaftClient<Channel>, header: Header) -> Result<pb::RaftVoteResponse, Status> {
    let vote = Vote { term: Term(1000), node: header.from.node, committed: false };
    let request = VoteRequest { vote, last_log: None, leadership_transfer: true };
    client.vote(request.to_wire(header)).await.map(tonic::Response::into_inner)
}

type Change = fn(&mut Header);

const WRONG: [(&str, Change); 8] = [
    ("LK3301", |header| header.cluster = ClusterId("another".into())),
    ("LK3302", |header| header.generation = Generation(2)),
    ("LK3303", |header| header.to.node = NodeId(2)),
    ("LK3303", |header| header.to.name = name(NodeId(9))),
    ("LK3304", |header| header.to.incarnation = Incarnation(2)),
    ("LK3305", |header| header.from.name = name(NodeId(3))),
    ("LK3306", |header| header.from.incarnation = Incarnation(0)),
    ("LK3307", |header| header.from.node = NodeId(1)),
];

async fn connect(bed: &Bed, id: NodeId) -> RaftClient<Channel> {
    RaftClient::connect(format!("http://{}", bed.address(id))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_wrong_header_is_refused_by_name_on_every_call() {
    let bed = Bed::group(3).await;
    let mut client = connect(&bed, NodeId(1)).await;
    let before = bed.handle(NodeId(1)).status().borrow().term;
    for (code, change) in WRONG {
        let mut wrong = header();
        change(&mut wrong);

        let refused = ask(&mut client, wrong.clone()).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code), "vote: {refused:?}");
        let vote = Vote { term: Term(1000), node: NodeId(2), committed: false };
        let request = VoteRequest { vote, last_log: None, leadership_transfer: false };
        let refused = client.pre_vote(request.to_wire(wrong.clone())).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code), "pre-vote: {refused:?}");
        let transfer = pb::RaftTransferRequest {
            header: Some(wrong.clone().into()),
            from_leader: Some(vote.into()),
            to_node_id: 1,
            last_log: None,
        };
        let refused = client.transfer_leader(transfer).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code), "transfer: {refused:?}");

        use pb::raft_append_frame::Frame as Append;
        let frame = pb::RaftAppendFrame { frame: Some(Append::Open(wrong.clone().into())) };
        let refused = client.append(futures::stream::iter([frame])).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code), "append: {refused:?}");
        use pb::raft_snapshot_frame::Frame as Snapshot;
        let frame = pb::RaftSnapshotFrame { frame: Some(Snapshot::Open(wrong.into())) };
        let refused = client.snapshot(futures::stream::iter([frame])).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code), "snapshot: {refused:?}");
    }
    let after = bed.handle(NodeId(1)).status().borrow().term;
    assert_eq!(before, after, "a refused vote must not move the term");

    // The same call with the right header is heard: the test would notice a check that refuses everything.
    let heard = ask(&mut client, header()).await.unwrap();
    assert!(!heard.granted, "its log is too short, but it was heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_without_header_and_a_false_snapshot_are_refused() {
    let bed = Bed::group(1).await;
    let mut client = connect(&bed, NodeId(1)).await;
    use pb::raft_append_frame::Frame as Append;
    let append = pb::RaftAppendFrame { frame: Some(Append::Append(pb::RaftAppendRequest::default())) };
    let refused = client.append(futures::stream::iter([append])).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("LK3309"), "{refused:?}");

    use pb::raft_snapshot_frame::Frame as Snapshot;
    let head = |size| pb::RaftSnapshotHead {
        vote: Some(Vote { term: Term(1000), node: NodeId(2), committed: true }.into()),
        membership: Some(pb::RaftMembership::default()),
        size,
        digest: vec![0; 32],
        ..Default::default()
    };
    let frames = |size| {
        [Snapshot::Open(header().into()), Snapshot::Head(head(size)), Snapshot::Chunk(vec![1; 10].into())]
            .map(|frame| pb::RaftSnapshotFrame { frame: Some(frame) })
    };
    for size in [9, 10, 11, u64::MAX] {
        let refused = client.snapshot(futures::stream::iter(frames(size))).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("LK3310"), "size {size}: {refused:?}");
    }
    bed.handle(NodeId(1)).propose(b"untouched".to_vec()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_right_header_on_somebody_elses_connection_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(&directory.path().join("raft.redb"), &marker(NodeId(1)), Blocking::Threads);
    let (machine, _) = Ledger::new();
    let setup = Setup {
        name: name(NodeId(1)),
        store: store.unwrap(),
        machine: Box::new(machine),
        dialer: Arc::new(Valves::default().dialer(NodeId(1))),
        tuning: Default::default(),
        instance: Default::default(),
        alarm: Default::default(),
    };
    let handle = raft::start::<Production>(setup).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Plain TCP proves nobody, so the check of real processes must refuse everything.
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(RaftService::server(handle, CertificateCheck))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)),
    );
    let mut client = RaftClient::connect(format!("http://{address}")).await.unwrap();
    let refused = ask(&mut client, header()).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("LK3308"), "{refused:?}");
}

#[test]
fn the_certificate_must_be_that_of_the_sender() {
    let node = |cluster: &str, id: u64, incarnation: u32| PeerIdentity::Node {
        cluster: ClusterId(cluster.into()),
        name: name(NodeId(id)),
        incarnation: Incarnation(incarnation),
    };
    let operator = PeerIdentity::Operator {
        cluster: ClusterId("bed".into()),
        name: ActorName::new("ann").unwrap(),
        role: Role::Admin,
    };
    let cases = [
        (node("bed", 2, 1), true),
        (node("another", 2, 1), false),
        (node("bed", 3, 1), false),
        (node("bed", 2, 2), false),
        (operator, false),
        (PeerIdentity::Unix { uid: 0, gid: 0, pid: None }, false),
        (PeerIdentity::Joining, false),
    ];
    for (identity, accepted) in cases {
        let mut connection = tonic::Extensions::new();
        connection.insert(PeerInfo { identity: identity.clone(), address: None });
        let checked = CertificateCheck.check(&header(), &connection);
        assert_eq!(checked.is_ok(), accepted, "{identity}: {checked:?}");
    }
    assert!(matches!(
        CertificateCheck.check(&header(), &tonic::Extensions::new()),
        Err(Refusal::Impostor { .. })
    ));
}

#[test]
fn a_sender_newer_than_known_is_heard_and_an_older_one_is_not() {
    let local = Local::new(&marker(NodeId(1)), name(NodeId(1)));
    let mut seat = Bed::new().seat(NodeId(2));
    assert_eq!(local.check(&header(), None), Ok(()), "nothing is known about a node that is being admitted");
    for (known, heard) in [(0, true), (1, true), (2, false)] {
        seat.incarnation = Incarnation(known);
        assert_eq!(local.check(&header(), Some(&seat)).is_ok(), heard, "known incarnation {known}");
    }
}
