//! Whose store it is decides before anything in it is used.

use super::*;
use crate::raft::MarkerMismatch;
use std::path::PathBuf;

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.redb");
    (directory, path)
}

fn open(path: &std::path::Path, expected: &Marker) -> StoreError {
    Store::open(path, expected, Blocking::Threads).err().expect("the store must be refused")
}

#[tokio::test]
async fn a_missing_store_is_not_made_by_opening_it() {
    let (_directory, path) = place();
    assert!(matches!(open(&path, &marker()), StoreError::Missing { .. }));
    assert!(!path.exists());
}

#[tokio::test]
async fn every_difference_is_refused_by_name() {
    let (_directory, path) = place();
    Store::create(&path, &marker(), Blocking::Threads).unwrap().close().await;
    let other_store = StoreMarker(uuid::Uuid::from_u128(8));
    let cases = [
        (
            Marker { cluster: ClusterId("c-2".into()), ..marker() },
            MarkerMismatch::Cluster { expected: ClusterId("c-2".into()), found: ClusterId("c-1".into()) },
        ),
        (
            Marker { node: NodeId(2), ..marker() },
            MarkerMismatch::Node { expected: NodeId(2), found: NodeId(1) },
        ),
        (
            Marker { generation: Generation(2), ..marker() },
            MarkerMismatch::Generation { expected: Generation(2), found: Generation(1) },
        ),
        (
            Marker { incarnation: Incarnation(2), ..marker() },
            MarkerMismatch::Incarnation { expected: Incarnation(2), found: Incarnation(1) },
        ),
        (
            Marker { store: other_store, ..marker() },
            MarkerMismatch::Store { expected: other_store, found: marker().store },
        ),
    ];
    for (expected, mismatch) in cases {
        match open(&path, &expected) {
            StoreError::Mismatch(found) => assert_eq!(found, mismatch),
            other => panic!("expected {mismatch:?}, found {other:?}"),
        }
    }
    assert!(Store::open(&path, &marker(), Blocking::Threads).is_ok());
}

#[tokio::test]
async fn a_store_is_made_once_and_opened_once() {
    let (_directory, path) = place();
    let store = Store::create(&path, &marker(), Blocking::Threads).unwrap();
    assert!(matches!(open(&path, &marker()), StoreError::InUse));
    store.close().await;
    let again = Store::create(&path, &marker(), Blocking::Threads).err().unwrap();
    assert!(matches!(again, StoreError::AlreadyThere { found } if *found == marker()));
}

#[tokio::test]
async fn creation_that_was_interrupted_can_be_done_again() {
    let (_directory, path) = place();
    drop(disk::open_file(&path, true).unwrap());
    assert!(matches!(open(&path, &marker()), StoreError::Unfinished));
    Store::create(&path, &marker(), Blocking::Threads).unwrap().close().await;
    assert!(Store::open(&path, &marker(), Blocking::Threads).is_ok());
}

#[tokio::test]
async fn a_store_of_a_newer_build_is_refused() {
    let (_directory, path) = place();
    Store::create(&path, &marker(), Blocking::Threads).unwrap().close().await;
    let database = disk::open_file(&path, false).unwrap();
    let write = database.begin_write().unwrap();
    {
        let table = redb::TableDefinition::<&str, &[u8]>::new("meta");
        let newer = (FORMAT + 1).to_le_bytes();
        write.open_table(table).unwrap().insert("format", newer.as_slice()).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let refused = open(&path, &marker());
    assert!(matches!(refused, StoreError::Newer { found, supported } if found == supported + 1));
}

#[tokio::test]
async fn an_identity_made_anew_takes_its_store_along() {
    let (_directory, path) = place();
    let mut store = Store::create(&path, &marker(), Blocking::Threads).unwrap();
    RaftLogStorage::<C>::save_vote(&mut store, &vote(9)).await.unwrap();
    store.close().await;
    let new = Marker { incarnation: Incarnation(2), ..marker() };
    assert!(Store::remark(&path, &new, &new).is_err(), "only the owner hands it on");
    Store::remark(&path, &marker(), &new).unwrap();
    assert!(matches!(open(&path, &marker()), StoreError::Mismatch(MarkerMismatch::Incarnation { .. })));
    let mut store = Store::open(&path, &new, Blocking::Threads).unwrap();
    assert_eq!(RaftLogReader::<C>::read_vote(&mut store).await.unwrap(), Some(vote(9)));
}
