//! Strangers cannot use the port up.

mod transport_support;

use lockkeeper_proto::pb::JoinRequest;
use lockkeeper_proto::pb::enrol_client::EnrolClient;
use lockkeeper_proto::transport::*;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use transport_support::*;

async fn hung_up(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    let _ = ended.expect("the port must hang up");
}

#[tokio::test]
async fn a_silent_caller_is_hung_up_on() {
    let ca = TestCa::new();
    let limits = ListenLimits { handshake: Duration::from_millis(100), ..ListenLimits::default() };
    let port = Port::with(ca.node("n1", 1), limits, peer_server()).await;
    let started = Instant::now();
    let mut silent = TcpStream::connect(port.socket).await.unwrap();
    // One that begins and then stops is no better: the limit is for the whole handshake.
    let mut slow = TcpStream::connect(port.socket).await.unwrap();
    slow.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    hung_up(&mut silent).await;
    hung_up(&mut slow).await;
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn handshakes_from_one_address_are_limited_and_the_place_comes_back() {
    let ca = TestCa::new();
    let limits = ListenLimits { handshakes_per_source: 2, ..ListenLimits::default() };
    let port = Port::with(ca.node("n1", 1), limits, peer_server()).await;
    let first = TcpStream::connect(port.socket).await.unwrap();
    let second = TcpStream::connect(port.socket).await.unwrap();
    hung_up(&mut TcpStream::connect(port.socket).await.unwrap()).await;
    assert!(who_as(ca.node("n2", 1), &port).await.is_err());
    drop((first, second));
    wait_for("both places are free", || async { who_as(ca.node("n2", 1), &port).await.is_ok() }).await;
}

#[tokio::test]
async fn connections_are_limited_and_the_place_comes_back() {
    let ca = TestCa::new();
    let limits = ListenLimits { connections: 1, ..ListenLimits::default() };
    let port = Port::with(ca.node("n1", 1), limits, peer_server()).await;
    let first = dialer(ca.node("n2", 1)).channel(&port.address, ExpectedPeer::AnyNode);
    assert!(who(first.clone()).await.is_ok());
    assert!(who_as(ca.node("n3", 1), &port).await.is_err());
    assert!(who(first.clone()).await.is_ok());
    drop(first);
    wait_for("the place is free", || async { who_as(ca.node("n3", 1), &port).await.is_ok() }).await;
}

#[tokio::test]
async fn a_connection_that_outstays_its_time_is_cut() {
    let ca = TestCa::new();
    let limits = ListenLimits { lifetime: Duration::from_millis(200), ..ListenLimits::default() };
    let port = Port::with(ca.node("n1", 1), limits, peer_server()).await;
    let socket = TcpStream::connect(port.socket).await.unwrap();
    let name = rustls::pki_types::ServerName::IpAddress(port.socket.ip().into());
    let config = raw_client(&[b"h2"], Some(&ca.node("n2", 1)));
    let mut held = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.unwrap();
    held.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), held.read_to_end(&mut rest)).await;
    let _ = ended.expect("the connection must end");
}

#[tokio::test]
async fn joining_connections_are_few_and_short() {
    let ca = TestCa::new();
    let limits =
        ListenLimits { joining: 1, joining_lifetime: Duration::from_millis(300), ..ListenLimits::default() };
    let port = Port::with(ca.node("n1", 1), limits, peer_server()).await;
    let join = || EnrolClient::new(join_channel(&port.address, cluster(), CaDigest::of(&ca.root)));
    // A raw caller that holds its connection: our own client would dial anew.
    let socket = TcpStream::connect(port.socket).await.unwrap();
    let name = rustls::pki_types::ServerName::IpAddress(port.socket.ip().into());
    let config = raw_client(&[b"lockkeeper-join/1"], None);
    let mut held = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.unwrap();
    held.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    wait_for("the only place is taken", || async { join().join(JoinRequest::default()).await.is_err() })
        .await;
    // It is ended although it keeps quiet and legal, and the place comes back.
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), held.read_to_end(&mut rest)).await;
    let _ = ended.expect("the connection must end");
    wait_for("the place is free", || async { join().join(JoinRequest::default()).await.is_ok() }).await;
    // Nobody with a certificate noticed.
    assert!(who_as(ca.node("n2", 1), &port).await.is_ok());
}

#[tokio::test]
async fn the_port_closes_when_nobody_serves_it() {
    let ca = TestCa::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let accepted = listen(listener, tls(ca.node("n1", 1)), ListenLimits::default()).unwrap();
    let address = accepted.address;
    assert!(TcpStream::connect(address).await.is_ok());
    drop(accepted);
    wait_for("the port is closed", || async { TcpStream::connect(address).await.is_err() }).await;
}
