//! Power loss and failing disks.

use super::test_disk::TestDisk;
use super::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What the store acknowledged, and what it may hold besides: the one thing that was being written.
#[derive(Clone, Default, PartialEq, Debug)]
struct Known {
    vote: Option<OrVote>,
    entries: Vec<OrEntry>,
}

async fn contents(store: &mut Store) -> Known {
    let vote = RaftLogReader::<C>::read_vote(store).await.unwrap();
    Known { vote, entries: read(store, ..).await }
}

/// One random change on `known`; the same on the store, unless that is refused.
async fn change(store: &mut Store, known: &mut Known, random: &mut StdRng) -> io::Result<()> {
    let last = known.entries.last().map_or(0, |entry| entry.log_id.index);
    match random.random_range(0..10) {
        0..=5 => {
            let count = random.random_range(1..=20);
            let new: Vec<_> =
                (1..=count).map(|next| entry(1, last + next, random.random_range(0..3000))).collect();
            known.entries.extend(new.clone());
            append(store, new).await
        }
        6..=7 => {
            known.vote = Some(vote(known.vote.map_or(1, |vote| vote.leader_id.term + 1)));
            RaftLogStorage::<C>::save_vote(store, &known.vote.unwrap()).await
        }
        _ => {
            let keep = random.random_range(0..=known.entries.len());
            known.entries.truncate(keep);
            let last = known.entries.last().map(|entry| entry.log_id);
            RaftLogStorage::<C>::truncate_after(store, last).await
        }
    }
}

#[tokio::test]
async fn after_power_loss_everything_acknowledged_is_there() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let disk = TestDisk::default();
        let mut store = Store::create_backend(disk.clone(), &marker(), Blocking::Inline).unwrap();
        let mut known = Known::default();
        for round in 0..6 {
            for _ in 0..random.random_range(0..12) {
                change(&mut store, &mut known, &mut random).await.unwrap();
            }
            // The last change meets a disk that stops in the middle: it is not acknowledged, so both outcomes are
            // allowed, and nothing else.
            disk.fail_syncs();
            let mut attempted = known.clone();
            change(&mut store, &mut attempted, &mut random).await.unwrap_err();
            assert!(store.fatal().borrow().is_some());
            drop(store);
            disk.crash(seed * 100 + round);

            store = Store::open_backend(disk.clone(), &marker(), Blocking::Inline)
                .unwrap_or_else(|error| panic!("seed {seed} round {round}: {error:?}"));
            let found = contents(&mut store).await;
            assert!(
                found == known || found == attempted,
                "seed {seed} round {round}: acknowledged changes are lost"
            );
            known = found;
        }
    }
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_acknowledged_any_more() {
    for blocking in [Blocking::Inline, Blocking::Threads] {
        let disk = TestDisk::default();
        let mut store = Store::create_backend(disk.clone(), &marker(), blocking).unwrap();
        append(&mut store, vec![entry(1, 1, 10)]).await.unwrap();
        let mut fatal = store.fatal();
        assert!(fatal.borrow().is_none());

        disk.fail_syncs();
        append(&mut store, vec![entry(1, 2, 10)]).await.unwrap_err();
        let why = fatal.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        assert!(matches!(why, Fatal::Store(_)), "found {why:?}");

        // The disk seems fine again, but what is on it is unknown.
        disk.mend();
        append(&mut store, vec![entry(1, 3, 10)]).await.unwrap_err();
        RaftLogStorage::<C>::save_vote(&mut store, &vote(5)).await.unwrap_err();
    }
}

#[tokio::test]
async fn waiting_changes_share_one_fsync() {
    let disk = TestDisk::default();
    let mut store = Store::create_backend(disk.clone(), &marker(), Blocking::Threads).unwrap();
    let before = disk.syncs();
    let mut waiting = Vec::new();
    for index in 1..=500 {
        let (sender, receiver) = C::oneshot();
        let callback = IOFlushed::signal(sender);
        RaftLogStorage::<C>::append(&mut store, [entry(1, index, 100)], callback).await.unwrap();
        waiting.push(receiver);
    }
    for receiver in waiting {
        receiver.await.unwrap().unwrap();
    }
    let used = disk.syncs() - before;
    assert!(used < 250, "500 appends took {used} syncs");
}
