//! Certificate and authority change while everything runs.

mod transport_support;

use lockkeeper_proto::transport::*;
use std::time::Duration;
use transport_support::*;

/// Trusts both.
fn trusting(mut credentials: Credentials, other: &TestCa) -> Credentials {
    credentials.roots.push(other.root.clone());
    credentials
}

#[tokio::test]
async fn an_authority_is_replaced_under_a_running_channel_without_a_refused_call() {
    let (old, new) = (TestCa::new(), TestCa::new());
    // A short age instead of an hour: this is what moves connections to new certificates.
    let server = peer_server().max_connection_age(Duration::from_millis(200));
    let port = Port::with(old.node("n1", 1), ListenLimits::default(), server).await;
    let own = tls(old.node("n2", 1));
    let channel = TlsDialer::new(own.clone()).channel(&port.address, ExpectedPeer::Member(member("n1")));
    assert_eq!(who(channel.clone()).await.unwrap(), "node n2 (incarnation 1)");

    // Phase 1: everybody trusts both. Phase 2: new leaves. The incarnation tells which leaf a connection has.
    port.tls.reload(trusting(old.node("n1", 1), &new)).unwrap();
    own.reload(trusting(old.node("n2", 1), &new)).unwrap();
    port.tls.reload(trusting(new.node("n1", 2), &old)).unwrap();
    own.reload(trusting(new.node("n2", 2), &old)).unwrap();
    wait_for("the channel is on the new certificate", || async {
        match who(channel.clone()).await {
            Ok(seen) => seen == "node n2 (incarnation 2)",
            // It met the end of an old connection and was never sent; see `Dialer::channel`.
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Cancelled, "{status:?}");
                false
            }
        }
    })
    .await;

    // Phase 3: nobody trusts the old one any more.
    port.tls.reload(new.node("n1", 2)).unwrap();
    own.reload(new.node("n2", 2)).unwrap();
    let mut stale = old.node("n3", 1);
    stale.roots.push(new.root.clone());
    let status = who_as(stale, &port).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4021"), "{status:?}");
    assert_eq!(who(channel).await.unwrap(), "node n2 (incarnation 2)");
}

#[tokio::test]
async fn a_refused_reload_leaves_the_old_configuration_in_place() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let mut broken = ca.node("n1", 2);
    broken.key = ca.node("n1", 3).key;
    assert_eq!(port.tls.reload(broken).unwrap_err().code(), "LK4015");
    assert!(who_as(ca.node("n2", 1), &port).await.is_ok());
    assert_eq!(port.tls.subject().identity.to_string(), "node n1 (incarnation 1)");
}

#[tokio::test]
async fn a_reload_keeps_the_revocations() {
    let ca = TestCa::new();
    let port = Port::open(ca.node("n1", 1)).await;
    let mut list = Revocations::none();
    list.remove_member(member("n2"));
    port.tls.revoke(list).unwrap();
    port.tls.reload(ca.node("n1", 2)).unwrap();
    assert!(who_as(ca.node("n2", 1), &port).await.is_err());
    let to = ExpectedPeer::Node(member("n1"), lockkeeper_core::ids::Incarnation(2));
    assert!(who(dialer(ca.node("n3", 1)).channel(&port.address, to)).await.is_ok());
}
