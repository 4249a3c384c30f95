//! Who gets in at the TLS port, who does not, and what each is told. Real sockets on loopback.

mod transport_support;

use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ClusterId, Incarnation};
use lockkeeper_proto::pb::JoinRequest;
use lockkeeper_proto::pb::enrol_client::EnrolClient;
use lockkeeper_proto::transport::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Status};
use transport_support::*;

/// Everything an operator could read about a failed call.
fn told(status: &Status) -> String {
    let mut text = status.to_string();
    let mut next = std::error::Error::source(status);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

/// Refused by the server; our own dialer knows why as a value.
fn refused_for(result: Result<String, Status>, why: Refusal) {
    let status = result.expect_err("must not get in");
    assert_eq!((status.code(), code_of(&status)), (Code::Unavailable, Some("LK4021")), "{}", told(&status));
    match TransportError::behind(&status) {
        Some(TransportError::Refused { why: found }) => assert_eq!(*found, why),
        other => panic!("{other:?}"),
    }
}

fn refused(result: Result<String, Status>, why: &str) {
    let status = result.expect_err("must not get in");
    assert_ne!(status.code(), Code::Ok);
    assert!(told(&status).contains(why), "expected {why}, was told {}", told(&status));
}

#[tokio::test]
async fn a_node_and_an_operator_are_seen_as_who_they_are() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    assert_eq!(who_as(ca.node("n2", 4), &port).await.unwrap(), "node n2 (incarnation 4)");
    for role in Role::ALL {
        let seen = who_as(ca.operator("anna", role), &port).await.unwrap();
        assert_eq!(seen, format!("{role} anna"));
    }
}

#[tokio::test]
async fn no_certificate_reaches_nothing() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    for path in
        [WHO, "/lockkeeper.v1.Enrol/Join", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
    {
        let channel = raw_channel(&port, raw_client(&[b"h2"], None));
        refused(call(channel, path).await, "CertificateRequired");
    }
}

#[tokio::test]
async fn a_foreign_authority_is_refused_on_both_sides() {
    let (ours, foreign) = (TestCa::new(), TestCa::new());
    let port = Port::open(ours.node("n1", 1)).await;
    // By the client: it does not know the server's root. The reason is a value, not only a text.
    let status = who_as(foreign.node("n2", 1), &port).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4002"), "{}", told(&status));
    // By the server: the client believes it, but not the other way round.
    let mut gullible = foreign.node("n2", 1);
    gullible.roots.push(ours.root.clone());
    refused(
        who_as(gullible, &port).await,
        "LK4021: the peer refused our certificate: the peer does not trust",
    );
}

#[tokio::test]
async fn a_certificate_out_of_date_is_refused_on_both_sides() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let ended = || Leaf {
        started_ago: Duration::from_secs(7200),
        ends_in: Duration::ZERO,
        ended_ago: Duration::from_secs(60),
        ..Leaf::default()
    };
    let starts = || Leaf {
        started_ago: Duration::ZERO,
        starts: Duration::from_secs(600),
        ends_in: Duration::from_secs(7200),
        ..Leaf::default()
    };
    refused(
        who_as(ca.leaf(ended()), &port).await,
        "LK4021: the peer refused our certificate: it has expired",
    );
    // TLS has one alert for both.
    refused(
        who_as(ca.leaf(starts()), &port).await,
        "LK4021: the peer refused our certificate: it has expired",
    );
    for (leaf, code) in [(ended(), "LK4003"), (starts(), "LK4004")] {
        let stale = Port::open(ca.leaf(leaf)).await;
        let status = who_as(ca.node("n2", 1), &stale).await.unwrap_err();
        assert_eq!(code_of(&status), Some(code), "{}", told(&status));
    }
}

#[tokio::test]
async fn a_revoked_identity_is_refused_and_its_open_connection_ends() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let clone = dialer(ca.node("n2", 3)).channel(&port.address, ExpectedPeer::AnyNode);
    let other = dialer(ca.node("n3", 3)).channel(&port.address, ExpectedPeer::AnyNode);
    assert_eq!(who(clone.clone()).await.unwrap(), "node n2 (incarnation 3)");
    assert_eq!(who(other.clone()).await.unwrap(), "node n3 (incarnation 3)");

    let mut list = Revocations::none();
    list.revoke_incarnation(member("n2"), Incarnation(3));
    port.tls.revoke(list).unwrap();

    // No new connection of the same channel gets in, and the open one is gone.
    wait_for("the open connection ends", || async { who(clone.clone()).await.is_err() }).await;
    refused_for(who(clone).await, Refusal::Revoked);
    refused_for(who_as(ca.node("n2", 2), &port).await, Refusal::Revoked);
    // The next incarnation and everybody else do not notice.
    assert_eq!(who_as(ca.node("n2", 4), &port).await.unwrap(), "node n2 (incarnation 4)");
    assert_eq!(who(other).await.unwrap(), "node n3 (incarnation 3)");
}

#[tokio::test]
async fn removed_members_operators_and_single_certificates_can_be_revoked() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let (gone, anna) = (ca.node("n2", 9), ca.operator("anna", Role::Admin));
    let (lost, kept) = (ca.node("n3", 1), ca.node("n3", 1));
    let mut list = Revocations::none();
    list.remove_member(member("n2"));
    list.revoke_operator("anna".parse().unwrap());
    list.revoke_serial(Subject::of(&lost.chain[0]).unwrap().serial);
    port.tls.revoke(list).unwrap();
    for credentials in [gone, anna, lost] {
        refused_for(who_as(credentials, &port).await, Refusal::Revoked);
    }
    assert!(who_as(kept, &port).await.is_ok());
    assert!(who_as(ca.operator("berta", Role::Viewer), &port).await.is_ok());
}

#[tokio::test]
async fn the_caller_refuses_a_revoked_or_unexpected_server() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 5)).await;
    let own = tls(ca.node("n2", 1));
    let to = |expect| TlsDialer::new(own.clone()).channel(&port.address, expect);
    assert!(who(to(ExpectedPeer::Member(member("n1")))).await.is_ok());
    assert!(who(to(ExpectedPeer::Node(member("n1"), Incarnation(5)))).await.is_ok());
    for wrong in [
        ExpectedPeer::Member(member("n3")),
        ExpectedPeer::Node(member("n1"), Incarnation(4)),
        ExpectedPeer::Node(member("n3"), Incarnation(5)),
    ] {
        let status = who(to(wrong)).await.unwrap_err();
        assert_eq!(code_of(&status), Some("LK4008"), "{}", told(&status));
        assert_eq!(status.code(), Code::Unavailable);
    }
    own.revoke([(member("n1"), Incarnation(5))].into_iter().collect()).unwrap();
    let status = who(to(ExpectedPeer::AnyNode)).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4005"), "{}", told(&status));
}

#[tokio::test]
async fn an_operator_certificate_cannot_serve() {
    let ca = TestCa::new();
    // Neither as issued (good for dialling only) ...
    let port = Port::open(ca.operator("mallory", Role::Admin)).await;
    assert!(who_as(ca.node("n2", 1), &port).await.is_err());
    // ... nor if it could: it is not a node.
    let uri = format!("spiffe://{CLUSTER}/operator/mallory");
    let leaf = Leaf { uris: vec![uri], units: vec!["role=admin".into()], ..Leaf::default() };
    let port = Port::open(ca.leaf(leaf)).await;
    let status = who_as(ca.node("n2", 1), &port).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4008"), "{}", told(&status));
}

#[tokio::test]
async fn the_same_root_does_not_make_two_clusters_one() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let mut other = ca.leaf(Leaf { uris: vec!["spiffe://other/node/n2/1".into()], ..Leaf::default() });
    // Our own API does not even let us use it as ours ...
    assert_eq!(Tls::new(other.clone(), Revocations::none()).unwrap_err().code(), "LK4007");
    // ... a client that does use it is refused ...
    let channel = raw_channel(&port, raw_client(&[b"h2"], Some(&other)));
    refused(who(channel).await, "CertificateUnknown");
    // ... and so is a server of it.
    other.cluster = ClusterId("other".into());
    let port = Port::open(other).await;
    let status = who_as(ca.node("n2", 1), &port).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4007"), "{}", told(&status));
}

#[tokio::test]
async fn a_certificate_that_names_nobody_is_refused() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let good = || format!("spiffe://{CLUSTER}/node/n2/1");
    let operator = || format!("spiffe://{CLUSTER}/operator/anna");
    for leaf in [
        Leaf { uris: vec![], ..Leaf::default() },
        Leaf { uris: vec![good(), operator()], ..Leaf::default() },
        Leaf { uris: vec![good()], dns: vec!["n2.example".into()], ..Leaf::default() },
        Leaf { uris: vec![good()], units: vec!["role=admin".into()], ..Leaf::default() },
        Leaf { uris: vec![operator()], ..Leaf::default() },
        Leaf { uris: vec![operator()], units: vec!["role=root".into()], ..Leaf::default() },
    ] {
        let channel = raw_channel(&port, raw_client(&[b"h2"], Some(&ca.leaf(leaf))));
        refused(who(channel).await, "CertificateUnknown");
    }
    // A certificate that may sign others, or that is good for serving only, is no client either.
    for leaf in [Leaf { is_ca: true, ..Leaf::default() }, Leaf { client: false, ..Leaf::default() }] {
        let channel = raw_channel(&port, raw_client(&[b"h2"], Some(&ca.leaf(leaf))));
        assert!(who(channel).await.is_err());
    }
}

#[tokio::test]
async fn a_valid_certificate_without_our_protocol_is_refused() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let own = ca.node("n2", 1);
    for alpn in [&[][..], &[&b"http/1.1"[..]]] {
        assert!(who(raw_channel(&port, raw_client(alpn, Some(&own)))).await.is_err());
    }
    assert!(who(raw_channel(&port, raw_client(&[b"h2"], Some(&own)))).await.is_ok());
}

#[tokio::test]
async fn bytes_that_are_not_tls_are_answered_by_an_alert_and_an_end() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    for hello in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 64],
        &[0x16, 3, 1, 0xff, 0xff],
    ] {
        let mut stream = tokio::net::TcpStream::connect(port.socket).await.unwrap();
        stream.write_all(hello).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        read.expect("the port must hang up").ok();
        assert!(answer.len() < 16, "{} bytes for a stranger", answer.len());
    }
    assert!(who_as(ca.node("n2", 1), &port).await.is_ok());
}

#[tokio::test]
async fn the_two_protocols_lead_to_two_different_sets_of_services() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let join = || join_channel(&port.address, cluster(), CaDigest::of(&ca.root));
    let answer = EnrolClient::new(join()).join(JoinRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.node_id, 7);
    assert_eq!(who(join()).await.unwrap_err().code(), Code::Unimplemented);
    // The other way round: a node cannot enrol.
    let peer = dialer(ca.node("n2", 1)).channel(&port.address, ExpectedPeer::AnyNode);
    let status = EnrolClient::new(peer).join(JoinRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    // Who offers both protocols must show a certificate.
    let both = raw_channel(&port, raw_client(&[b"lockkeeper-join/1", b"h2"], None));
    refused(who(both).await, "CertificateRequired");
    // A certificate on the joining protocol gives no identity.
    let own = ca.node("n2", 1);
    let joined = raw_channel(&port, raw_client(&[b"lockkeeper-join/1"], Some(&own)));
    assert_eq!(who(joined).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_joiner_says_nothing_to_a_server_without_the_right_root() {
    let (ours, foreign) = (TestCa::new(), TestCa::new());
    let port = Port::open(foreign.node("n1", 1)).await;
    let channel = join_channel(&port.address, cluster(), CaDigest::of(&ours.root));
    let status = EnrolClient::new(channel).join(JoinRequest::default()).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4014"), "{}", told(&status));
    // The right root, but another cluster's node.
    let port = Port::open(ours.node("n1", 1)).await;
    let channel = join_channel(&port.address, ClusterId("other".into()), CaDigest::of(&ours.root));
    let status = EnrolClient::new(channel).join(JoinRequest::default()).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4007"), "{}", told(&status));
}

#[tokio::test]
async fn a_chain_that_only_shows_the_right_root_proves_nothing() {
    // Mallory shows our root, which is no secret, beside a chain of her own.
    let (ours, mallory) = (TestCa::new(), TestCa::new());
    let mut credentials = mallory.node("n1", 1);
    credentials.roots.push(ours.root.clone());
    let port = Port::open(credentials).await;
    let channel = join_channel(&port.address, cluster(), CaDigest::of(&ours.root));
    let status = EnrolClient::new(channel).join(JoinRequest::default()).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4002"), "{}", told(&status));
}

#[tokio::test]
async fn unreachable_and_malformed_addresses_have_their_own_codes() {
    let ca = TestCa::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().to_string();
    drop(listener);
    for (address, code) in [(closed.as_str(), "LK4012"), ("nowhere", "LK4020"), ("127.0.0.1:99999", "LK4020")]
    {
        let channel = dialer(ca.node("n2", 1)).channel(address, ExpectedPeer::AnyNode);
        let status = who(channel).await.unwrap_err();
        assert_eq!(code_of(&status), Some(code), "{}", told(&status));
        assert_eq!(status.code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn unusable_credentials_are_named_before_anybody_is_dialled() {
    let (ca, foreign) = (TestCa::new(), TestCa::new());
    let make = |change: &dyn Fn(&mut Credentials)| {
        let mut credentials = ca.node("n1", 1);
        change(&mut credentials);
        Tls::new(credentials, Revocations::none()).map(|_| ()).unwrap_err().code()
    };
    assert_eq!(make(&|c| c.key = foreign.node("n1", 1).key), "LK4015");
    assert_eq!(make(&|c| c.roots = vec![foreign.root.clone()]), "LK4015");
    assert_eq!(make(&|c| c.roots.clear()), "LK4015");
    assert_eq!(make(&|c| c.chain.clear()), "LK4015");
    assert_eq!(make(&|c| c.chain.truncate(1)), "LK4015");
    assert_eq!(make(&|c| c.chain[0].truncate(100)), "LK4015");
    assert_eq!(make(&|c| c.key.clear()), "LK4015");
    assert_eq!(make(&|c| c.cluster = ClusterId("other".into())), "LK4007");
    install_crypto();
    install_crypto();
}
