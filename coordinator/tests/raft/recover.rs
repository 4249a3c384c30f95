//! When the quorum is gone for good: one store is read with nobody running, and a new generation goes on from it.
use lockkeeper_coordinator::raft::{
    Blocking, Founding, Machine, Marker, Offline, Standing, Store, StoreError, StoreMarker, Upto,
};
use lockkeeper_core::ids::{Generation, LogIndex, NodeId};
use super::bed::{Bed, Ledger, marker, until};
use std::time::Duration;

fn commands(offline: &Offline, upto: Upto) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut machine, book) = Ledger::new();
    let end = offline.replay(&mut machine, upto).unwrap();
    let book = book.borrow().clone();
    assert_eq!(end, Some(book.applied));
    (book.commands.clone(), machine.snapshot()())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_store_can_be_read_and_founded_anew_without_quorum() {
    let mut bed = Bed::new();
    bed.tuning.snapshot_entries = 30;
    bed.tuning.entries_kept = 5;
    for id in 1..=3 {
        bed.start(NodeId(id)).await;
    }
    bed.form(3).await;
    for number in 0..60 {
        bed.write(format!("{number}").as_bytes()).await;
    }
    let last = bed.write(b"last").await;
    let expected = bed.agree(last).await;
    assert!(matches!(Offline::read(&bed.path(NodeId(2))), Err(StoreError::InUse)), "only of a stopped node");
    for id in 1..=3 {
        bed.kill(NodeId(id));
    }
    let path = bed.path(NodeId(2));
    let offline = loop {
        match Offline::read(&path) {
            Err(StoreError::InUse) => tokio::time::sleep(Duration::from_millis(5)).await,
            read => break read.unwrap(),
        }
    };
    assert_eq!(offline.marker, marker(NodeId(2)));
    assert_eq!(offline.membership.nodes.len(), 3);
    let (held, state) = commands(&offline, Upto::Last);
    assert_eq!(held, expected);
    let (known, _) = commands(&offline, Upto::Committed);
    assert!(expected.starts_with(&known), "never more than is committed");

    // A new generation, with a store of its own beside the old one.
    std::fs::rename(&path, path.with_extension("before-recover")).unwrap();
    let store = StoreMarker(uuid::Uuid::from_u128(99));
    let new = Marker { generation: Generation(2), store, ..marker(NodeId(2)) };
    let after = offline.last_log.unwrap();
    let founding = Founding { after, term: offline.term, seat: bed.seat(NodeId(2)), state };
    Store::found(&path, &new, founding.clone()).unwrap();
    assert!(matches!(Store::found(&path, &new, founding), Err(StoreError::AlreadyThere { .. })));
    assert!(matches!(
        Store::open(&path, &marker(NodeId(2)), Blocking::Threads),
        Err(StoreError::Mismatch(_))
    ));

    bed.markers.insert(NodeId(2), new);
    bed.start(NodeId(2)).await;
    // One of the old group comes back to life; neither hears the other.
    bed.start(NodeId(1)).await;
    let founder = bed.handle(NodeId(2));
    until(founder, "the founder leads alone", |status| status.standing == Standing::Leader).await;
    let (index, _) = founder.propose(b"new generation".to_vec()).await.unwrap();
    assert!(index > LogIndex(after.index.0), "tokens only rise");
    let book = bed.nodes[&NodeId(2)].ledger.borrow().commands.clone();
    assert_eq!(book[..expected.len()], expected);
    assert_eq!(book.last().unwrap(), b"new generation");
    let old = bed.handle(NodeId(1)).status().borrow().clone();
    assert_ne!(old.standing, Standing::Leader, "one of three is no quorum, and the founder gives it no vote");
}
