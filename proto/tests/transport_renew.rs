//! The door for renewal: open to a node whose certificate has expired, and to nobody whose certificate is bad otherwise.

mod transport_support;

use lockkeeper_core::ids::Incarnation;
use lockkeeper_proto::transport::*;
use std::time::Duration;
use tonic::Status;
use transport_support::*;

const HOUR: Duration = Duration::from_secs(3600);

fn leaf(name: &str, leaf: Leaf) -> Leaf {
    Leaf { uris: vec![node_uri(&cluster(), &member(name), Incarnation(1))], ..leaf }
}

fn expired(name: &str) -> Leaf {
    leaf(name, Leaf { started_ago: 2 * HOUR, ends_in: Duration::ZERO, ended_ago: HOUR, ..Leaf::default() })
}

async fn renewing(credentials: Credentials, port: &Port) -> Result<String, Status> {
    who(renew_channel(&tls(credentials), &port.address, ExpectedPeer::AnyNode)).await
}

#[tokio::test]
async fn an_expired_node_reaches_renewal_and_nothing_else() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let late = ca.leaf(expired("n2"));
    assert!(tls(late.clone()).lifetime().not_after_ms > 0);
    assert_eq!(code_of(&who_as(late.clone(), &port).await.unwrap_err()), Some("LK4021"));
    assert_eq!(renewing(late, &port).await.unwrap(), "node n2 (incarnation 1)");
    assert_eq!(
        renewing(ca.node("n2", 4), &port).await.unwrap(),
        "node n2 (incarnation 4)",
        "a good one, too"
    );
}

#[tokio::test]
async fn nothing_else_may_be_wrong_with_the_certificate() {
    let (ca, foreign) = (TestCa::new(), TestCa::new());
    let port = Port::open(ca.node("n1", 1)).await;
    let mut stranger = foreign.leaf(expired("n2"));
    stranger.roots.push(ca.root.clone());
    let early =
        leaf("n2", Leaf { starts: HOUR, ends_in: 3 * HOUR, started_ago: Duration::ZERO, ..Leaf::default() });
    let server_only = Leaf { client: false, ..expired("n2") };
    for (what, bad) in [("foreign", stranger), ("too early", ca.leaf(early))] {
        assert!(renewing(bad, &port).await.is_err(), "{what}");
    }
    // Our own side refuses to load it; a raw client does not.
    let bad = raw_client(&[b"lockkeeper-renew/1"], Some(&ca.leaf(server_only)));
    assert!(call(raw_channel(&port, bad), WHO).await.is_err(), "not for clients");
    // Without a certificate, or without the key of the one shown.
    assert!(call(raw_channel(&port, raw_client(&[b"lockkeeper-renew/1"], None)), WHO).await.is_err());
    // Offering both protocols is asking for everything.
    let both = raw_client(&[b"lockkeeper-renew/1", b"h2"], Some(&ca.leaf(expired("n2"))));
    assert!(call(raw_channel(&port, both), WHO).await.is_err());
}

#[tokio::test]
async fn a_revoked_node_does_not_renew_and_loses_its_connection() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let channel = renew_channel(&tls(ca.leaf(expired("n2"))), &port.address, ExpectedPeer::AnyNode);
    assert!(who(channel.clone()).await.is_ok());
    let mut list = Revocations::none();
    list.revoke_incarnation(member("n2"), Incarnation(1));
    port.tls.revoke(list).unwrap();
    assert!(who(channel).await.is_err(), "the open connection has ended");
    assert!(renewing(ca.leaf(expired("n2")), &port).await.is_err());
}
