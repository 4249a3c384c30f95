//! The local socket: the kernel says who calls.

#![allow(clippy::unwrap_used, reason = "tests")]

mod transport_support;

use lockkeeper_proto::transport::*;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use transport_support::*;

async fn serve(path: &std::path::Path) -> tokio::task::JoinHandle<()> {
    let incoming = listen_unix(path, None).unwrap();
    tokio::spawn(async move {
        peer_server().add_service(Who).serve_with_incoming(incoming).await.unwrap();
    })
}

#[tokio::test]
async fn the_caller_is_known_by_uid_gid_and_pid() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let mut incoming = listen_unix(&path, None).unwrap();
    let _caller = tokio::net::UnixStream::connect(&path).await.unwrap();
    let accepted = futures::StreamExt::next(&mut incoming).await.unwrap().unwrap();
    let me = std::fs::metadata("/proc/self").unwrap();
    let pid = i32::try_from(std::process::id()).unwrap();
    let expected = PeerIdentity::Unix { uid: me.uid(), gid: me.gid(), pid: Some(pid) };
    assert_eq!(*accepted.info(), PeerInfo { identity: expected, address: None });
}

#[tokio::test]
async fn calls_go_over_the_socket_and_only_owner_and_group_may_open_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let server = serve(&path).await;
    let found = std::fs::metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    let seen = who(unix_channel(path.clone())).await.unwrap();
    assert_eq!(seen, format!("uid {} on this machine", found.uid()));
    // Nothing else is left in the directory.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    server.abort();
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let server = serve(&path).await;
    let Err(error) = listen_unix(&path, None) else { panic!("two agents on one socket") };
    assert_eq!(error.code(), "LK4017");
    server.abort();
    wait_for("the first is gone", || async { tokio::net::UnixStream::connect(&path).await.is_err() }).await;
    assert!(path.exists(), "a killed agent leaves its socket");
    let second = serve(&path).await;
    assert!(who(unix_channel(path.clone())).await.is_ok());
    second.abort();
}

#[tokio::test]
async fn a_missing_socket_and_a_missing_directory_have_codes() {
    let directory = tempfile::tempdir().unwrap();
    let status = who(unix_channel(directory.path().join("none.sock"))).await.unwrap_err();
    assert_eq!(code_of(&status), Some("LK4012"));
    let Err(error) = listen_unix(&directory.path().join("missing/agent.sock"), None) else { panic!("made") };
    assert_eq!(error.code(), "LK4016");
}
