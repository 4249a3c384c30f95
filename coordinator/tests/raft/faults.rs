//! Peers that hang, connections that die in silence, leaders that are cut off.

use lockkeeper_coordinator::raft::{
    self, Blocking, Fatal, Production, RaftError, Setup, Standing, Store, Tuning, limits,
};
use lockkeeper_core::ids::NodeId;
use super::bed::{Bed, FailingDisk, Ledger, PATIENCE, Valves, Way, marker, name, until};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn everybody() -> impl Iterator<Item = NodeId> {
    (1..=3).map(NodeId)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hung_follower_holds_nobody_up_and_catches_up_when_it_is_back() {
    let bed = Bed::group(3).await;
    let leader = bed.leader().await;
    let hung = NodeId(leader.0 % 3 + 1);
    bed.valves.isolate(hung, everybody(), Way::Silent);
    let mut last = 0;
    for number in 0..100 {
        last = bed.handle(leader).propose(format!("{number}").into_bytes()).await.unwrap().0.0;
    }
    assert_eq!(bed.leader().await, leader);

    // The connections that were open are dead for good; the group must notice and dial again by itself.
    bed.valves.isolate(hung, everybody(), Way::Open);
    let commands = bed.agree(last).await;
    assert_eq!(commands.len(), 100);
    // It was no use as a candidate meanwhile, and it must not depose a leader that is well.
    assert_eq!(bed.leader().await, leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_that_is_cut_off_answers_nothing_and_follows_afterwards() {
    let bed = Bed::group(3).await;
    bed.write(b"before").await;
    let old = bed.leader().await;
    bed.valves.isolate(old, everybody(), Way::Silent);
    let cut = bed.handle(old).clone();
    // Its lease has not run out yet, so it takes the command; it is never committed.
    let proposing = cut.clone();
    let lost = tokio::spawn(async move { proposing.propose(b"lost".to_vec()).await });
    let read = cut.linearizable_read().await.unwrap_err();
    assert!(matches!(read, RaftError::NoQuorum | RaftError::Timeout { .. }), "found {read:?}");
    // From then on it takes nothing.
    assert_eq!(cut.propose(b"refused".to_vec()).await.unwrap_err(), RaftError::NoQuorum);

    // Two elections may collide, so a leader seen a moment ago may be none now: ask until one answers.
    let (new, index) = loop {
        let others = everybody().filter(|id| *id != old);
        let mut done = None;
        for id in others {
            if let Ok((index, _)) = bed.handle(id).propose(b"after".to_vec()).await {
                done = Some((id, index.0));
                break;
            }
        }
        match done {
            Some(done) => break done,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let lost = lost.await.unwrap().unwrap_err();
    assert!(matches!(lost, RaftError::Timeout { .. } | RaftError::Unknown), "found {lost:?}");

    bed.valves.isolate(old, everybody(), Way::Open);
    until(bed.handle(old), "the old leader follows", |status| status.leader == Some(new)).await;
    let commands = bed.agree(index).await;
    assert_eq!(commands, [b"before".to_vec(), b"after".to_vec()], "what was never committed is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_stops_in_time_whatever_its_peers_do() {
    let bed = Bed::group(3).await;
    let leader = bed.leader().await;
    bed.write(b"something").await;
    bed.valves.isolate(leader, everybody(), Way::Silent);
    let unanswered = bed.handle(leader).clone();
    let unanswered = tokio::spawn(async move { unanswered.propose(b"never committed".to_vec()).await });
    let begun = Instant::now();
    bed.handle(leader).shutdown().await;
    // Never the time a peer takes, which is for ever; the slack is for a busy machine.
    let most = limits::HAND_OVER_TIMEOUT + limits::STOP_TIMEOUT + Duration::from_secs(10);
    assert!(begun.elapsed() < most, "took {:?}", begun.elapsed());
    assert!(unanswered.await.unwrap().is_err());
    // A second call finds it done.
    tokio::time::timeout(PATIENCE, bed.handle(leader).shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_restarted_node_does_not_depose_a_leader_that_is_well() {
    let mut bed = Bed::group(3).await;
    let leader = bed.leader().await;
    let other = NodeId(leader.0 % 3 + 1);
    let term = bed.handle(leader).status().borrow().term;
    for _ in 0..3 {
        bed.kill(other);
        bed.start(other).await;
        let index = bed.write(b"x").await;
        bed.agree(index).await;
    }
    let status = bed.handle(leader).status().borrow().clone();
    assert_eq!((status.standing, status.term), (Standing::Leader, term));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_whose_disk_fails_says_so_and_acknowledges_nothing() {
    let disk = FailingDisk::default();
    let store = Store::create_backend(disk.clone(), &marker(NodeId(1)), Blocking::Threads).unwrap();
    let (machine, ledger) = Ledger::new();
    let setup = Setup {
        name: name(NodeId(1)),
        store,
        machine: Box::new(machine),
        dialer: Arc::new(Valves::default().dialer(NodeId(1))),
        tuning: Tuning::default(),
        instance: Default::default(),
        alarm: Default::default(),
    };
    let handle = raft::start::<Production>(setup).await.unwrap();
    handle.initialize(Bed::new().seat(NodeId(1))).await.unwrap();
    handle.propose(b"on disk".to_vec()).await.unwrap();
    let mut fatal = handle.fatal();
    assert_eq!(*fatal.borrow(), None);

    disk.fail();
    let refused = handle.propose(b"nowhere".to_vec()).await.unwrap_err();
    assert!(matches!(refused, RaftError::Fatal(_) | RaftError::Unknown), "found {refused:?}");
    let why = tokio::time::timeout(PATIENCE, fatal.wait_for(Option::is_some)).await.unwrap();
    assert!(matches!(*why.unwrap(), Some(Fatal::Store(_))));
    assert_eq!(ledger.borrow().commands, [b"on disk".to_vec()]);
    tokio::time::timeout(PATIENCE, handle.shutdown()).await.expect("it still stops");
}
