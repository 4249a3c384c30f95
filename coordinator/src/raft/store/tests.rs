mod crash;
mod owner;
mod suite;
mod test_disk;

use super::super::machine::{Machine, MachineError, SnapshotJob};
use super::super::marker::{Marker, StoreMarker};
use super::super::types::{Command, OrEntry, OrLeaderId, OrLogId, OrPayload, OrVote, Production, Types};
use super::*;
use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, LogIndex, NodeId};
use openraft::RaftLogReader;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;

type C = Types<Production>;

fn marker() -> Marker {
    Marker {
        cluster: ClusterId("c-1".into()),
        generation: Generation(1),
        node: NodeId(1),
        incarnation: Incarnation(1),
        store: StoreMarker(uuid::Uuid::from_u128(7)),
    }
}

fn log_id(term: u64, index: u64) -> OrLogId {
    OrLogId::new(OrLeaderId { term, node_id: 1 }, index)
}

fn entry(term: u64, index: u64, bytes: usize) -> OrEntry {
    OrEntry {
        log_id: log_id(term, index),
        payload: OrPayload::Normal(Command(vec![u8::try_from(index % 251).unwrap(); bytes])),
    }
}

fn vote(term: u64) -> OrVote {
    OrVote { leader_id: OrLeaderId { term, node_id: 1 }, committed: true }
}

/// Appends and waits until the entries are on disk.
async fn append(store: &mut Store, entries: Vec<OrEntry>) -> io::Result<()> {
    let (sender, receiver) = C::oneshot();
    RaftLogStorage::<C>::append(store, entries, IOFlushed::signal(sender)).await?;
    receiver.await.map_err(io::Error::other)?
}

async fn read(
    store: &mut Store,
    range: impl std::ops::RangeBounds<u64> + Clone + std::fmt::Debug + Send,
) -> Vec<OrEntry> {
    RaftLogReader::<C>::try_get_log_entries(store, range).await.unwrap()
}

/// Remembers every command. Its state is their concatenation.
#[derive(Default)]
struct Scribe(std::sync::Arc<Vec<u8>>);

impl Machine for Scribe {
    fn apply(&mut self, _: LogIndex, command: &[u8]) -> Vec<u8> {
        std::sync::Arc::make_mut(&mut self.0).extend_from_slice(command);
        Vec::new()
    }
    fn applied(&mut self, _: LogIndex) {}
    fn snapshot(&self) -> SnapshotJob {
        let state = self.0.clone();
        Box::new(move || state.to_vec())
    }
    fn restore(&mut self, bytes: &[u8]) -> Result<(), MachineError> {
        self.0 = std::sync::Arc::new(bytes.to_vec());
        Ok(())
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.redb");
    let mut store = Store::create(&path, &marker(), Blocking::Threads).unwrap();
    RaftLogStorage::<C>::save_vote(&mut store, &vote(3)).await.unwrap();
    append(&mut store, (1..=50).map(|index| entry(3, index, 100)).collect()).await.unwrap();
    RaftLogStorage::<C>::save_committed(&mut store, Some(log_id(3, 40))).await.unwrap();
    RaftLogStorage::<C>::truncate_after(&mut store, Some(log_id(3, 45))).await.unwrap();
    RaftLogStorage::<C>::purge(&mut store, log_id(3, 10)).await.unwrap();
    store.close().await;
    assert!(append(&mut store, vec![entry(3, 46, 1)]).await.is_err(), "a closed store takes nothing");

    let mut store = Store::open(&path, &marker(), Blocking::Threads).unwrap();
    let state = RaftLogStorage::<C>::get_log_state(&mut store).await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(log_id(3, 10)));
    assert_eq!(state.last_log_id, Some(log_id(3, 45)));
    assert_eq!(RaftLogReader::<C>::read_vote(&mut store).await.unwrap(), Some(vote(3)));
    let committed = RaftLogStorage::<C>::read_committed(&mut store).await.unwrap();
    assert_eq!(committed, Some(log_id(3, 40)));
    assert_eq!(read(&mut store, ..).await, (11..=45).map(|index| entry(3, index, 100)).collect::<Vec<_>>());
}

#[tokio::test]
async fn reading_joins_disk_and_memory_without_a_hole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.redb");
    let mut store = Store::create(&path, &marker(), Blocking::Threads).unwrap();
    // Three times what memory keeps, so that the first entries are on disk only.
    let size = super::super::limits::TAIL_BYTES_MAX / 100;
    for index in 1..=300 {
        append(&mut store, vec![entry(1, index, size)]).await.unwrap();
    }
    let first_held = store.shared().tail.first().unwrap();
    assert!(first_held > 150, "memory must be bounded, holds from {first_held}");
    let around = first_held - 5..first_held + 5;
    let expected: Vec<_> = around.clone().map(|index| entry(1, index, size)).collect();
    assert_eq!(read(&mut store, around).await, expected);

    // An append message is bounded in bytes, also across the border, and never empty.
    let limited = RaftLogReader::<C>::limited_get_log_entries(&mut store, first_held - 5, 301).await.unwrap();
    assert_eq!(limited[0].log_id.index, first_held - 5);
    assert!((90..=101).contains(&limited.len()), "found {}", limited.len());
    let huge = entry(1, 301, 3 * super::super::limits::APPEND_BYTES_MAX);
    append(&mut store, vec![huge.clone()]).await.unwrap();
    let one = RaftLogReader::<C>::limited_get_log_entries(&mut store, 301, 302).await.unwrap();
    assert_eq!(one, vec![huge]);
}

#[tokio::test]
async fn an_index_that_was_cut_off_is_never_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.redb");
    let mut store = Store::create(&path, &marker(), Blocking::Threads).unwrap();
    append(&mut store, (1..=10).map(|index| entry(1, index, 8)).collect()).await.unwrap();
    RaftLogStorage::<C>::truncate_after(&mut store, Some(log_id(1, 6))).await.unwrap();
    assert_eq!(read(&mut store, 5..).await, vec![entry(1, 5, 8), entry(1, 6, 8)]);
    append(&mut store, vec![entry(2, 7, 9)]).await.unwrap();
    assert_eq!(read(&mut store, 6..20).await, vec![entry(1, 6, 8), entry(2, 7, 9)]);
}

#[tokio::test]
async fn only_the_newest_snapshot_counts_and_damage_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.redb");
    let store = Store::create(&path, &marker(), Blocking::Threads).unwrap();
    let meta = |index| lockkeeper_proto::wire::raft::SnapshotMeta {
        last_log: Some(convert::log_id_to_wire(log_id(1, index))),
        ..Default::default()
    };
    let state = |byte: u8, len: usize| bytes::Bytes::from(vec![byte; len]);
    store.put_snapshot(meta(5), state(1, 10)).await.unwrap();
    store.put_snapshot(meta(9), state(2, 1_500_000)).await.unwrap();
    store.put_snapshot(meta(7), state(3, 10)).await.unwrap();
    assert_eq!(store.get_snapshot().unwrap(), Some((meta(9), state(2, 1_500_000))));
    store.close().await;

    let store = Store::open(&path, &marker(), Blocking::Threads).unwrap();
    assert_eq!(store.get_snapshot().unwrap(), Some((meta(9), state(2, 1_500_000))));
    let id = store.shared().snapshot.as_ref().unwrap().id;
    store
        .inner
        .disk
        .with(|database| {
            let bytes = bytes::Bytes::from_static(b"other bytes");
            disk::commit(database, [&disk::Change::Piece { snapshot: id, number: 0, bytes }])
        })
        .unwrap();
    assert_eq!(store.get_snapshot().unwrap_err().kind(), io::ErrorKind::InvalidData);
}
