//! A group of real nodes: elects, commits, loses its leader, restarts, grows, hands over.

use lockkeeper_coordinator::raft::{RaftError, Standing, limits};
use lockkeeper_core::ids::{LogIndex, NodeId};
use lockkeeper_proto::wire::raft::Term;
use super::bed::{Bed, PATIENCE, Way, until};
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_killed_leader_is_replaced_and_nothing_committed_is_lost() {
    let mut bed = Bed::group(3).await;
    for number in 0..20 {
        bed.write(format!("before {number}").as_bytes()).await;
    }
    let leader = bed.leader().await;
    bed.kill(leader);
    let index = bed.write(b"after").await;

    bed.start(leader).await;
    let commands = bed.agree(index).await;
    assert_eq!(commands.len(), 21);
    assert_eq!(commands.last().unwrap(), b"after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_group_that_was_killed_as_a_whole_goes_on_where_it_was() {
    let mut bed = Bed::group(3).await;
    let mut last = 0;
    for number in 0..50 {
        last = bed.write(format!("{number}").as_bytes()).await;
    }
    let term = bed.handle(bed.leader().await).status().borrow().term;
    for id in 1..=3 {
        bed.kill(NodeId(id));
    }
    for id in 1..=3 {
        bed.start(NodeId(id)).await;
    }
    let next = bed.write(b"again").await;
    assert!(next > last);
    let commands = bed.agree(next).await;
    let expected = (0..50).map(|number| format!("{number}").into_bytes()).chain([b"again".to_vec()]);
    assert_eq!(commands, expected.collect::<Vec<_>>());
    assert!(
        bed.handle(bed.leader().await).status().borrow().term > term,
        "a restarted leader is elected anew"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_reply_is_the_state_machines_and_only_the_leader_answers() {
    let bed = Bed::group(3).await;
    let leader = bed.leader().await;
    let (index, reply) = bed.handle(leader).propose(b"hello".to_vec()).await.unwrap();
    assert_eq!(reply, format!("{index}:5").into_bytes());
    assert!(bed.handle(leader).linearizable_read().await.unwrap() >= index);
    assert!(bed.nodes[&leader].ledger.borrow().applied >= index, "a read shows what was committed before it");

    let follower = NodeId(leader.0 % 3 + 1);
    let seen = until(bed.handle(follower), "knows the leader", |status| status.leader == Some(leader)).await;
    assert_eq!(seen.standing, Standing::Follower);
    let expected = RaftError::NotLeader { leader: Some(Box::new((leader, bed.seat(leader)))) };
    assert_eq!(bed.handle(follower).propose(b"x".to_vec()).await.unwrap_err(), expected);
    assert_eq!(bed.handle(follower).linearizable_read().await.unwrap_err(), expected);
    assert!(
        bed.handle(follower).leader_heard().is_some_and(|heard| heard.elapsed() < Duration::from_secs(2))
    );

    let bytes = limits::COMMAND_BYTES_MAX + 1;
    let refused = bed.handle(leader).propose(vec![0; bytes]).await.unwrap_err();
    assert_eq!(refused, RaftError::TooLarge { bytes });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_largest_command_reaches_everybody() {
    let mut bed = Bed::new();
    // An unoptimised build needs seconds of processor time for 16 MiB on three nodes, and each node has one thread
    // here; this is about sizes and not about elections.
    bed.tuning.election_min = Duration::from_secs(10);
    bed.tuning.election_max = Duration::from_secs(12);
    for id in 1..=3 {
        bed.start(NodeId(id)).await;
    }
    bed.form(3).await;
    // Asked once: it may take longer than the deadline, and is committed all the same.
    let answer = bed.handle(NodeId(1)).propose(vec![7; limits::COMMAND_BYTES_MAX]).await;
    assert!(matches!(answer, Ok(_) | Err(RaftError::Timeout { .. })), "found {answer:?}");
    for node in bed.nodes.values() {
        let mut ledger = node.ledger.clone();
        let seen = ledger.wait_for(|book| !book.commands.is_empty());
        let seen = tokio::time::timeout(PATIENCE, seen).await.expect("it never arrives").unwrap();
        assert_eq!(seen.commands[0].len(), limits::COMMAND_BYTES_MAX);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_learner_joins_when_the_log_is_gone_by_a_snapshot_of_some_megabytes() {
    let mut bed = Bed::new();
    bed.tuning.snapshot_entries = 100;
    bed.tuning.entries_kept = 10;
    bed.start(NodeId(1)).await;
    bed.form(1).await;
    let first = bed.handle(NodeId(1)).clone();
    for number in 0..250_u32 {
        let mut command = number.to_be_bytes().to_vec();
        command.resize(8 << 10, u8::try_from(number % 256).unwrap());
        first.propose(command).await.unwrap();
    }
    until(&first, "the log is purged", |status| status.purged >= Some(LogIndex(150))).await;

    bed.start(NodeId(2)).await;
    bed.admit(NodeId(1), NodeId(2)).await;
    bed.start(NodeId(3)).await;
    bed.admit(NodeId(1), NodeId(3)).await;
    let joined = bed.handle(NodeId(3)).status().borrow().clone();
    assert!(joined.snapshot >= Some(LogIndex(150)), "it came by a snapshot: {joined:#?}");

    let index = bed.write(b"after the join").await;
    let commands = bed.agree(index).await;
    assert_eq!(commands.len(), 251);

    // What came by snapshot is on disk: a restarted node has it without asking anybody.
    drop(first);
    bed.kill(NodeId(1));
    bed.kill(NodeId(2));
    bed.kill(NodeId(3));
    bed.start(NodeId(3)).await;
    assert!(bed.nodes[&NodeId(3)].ledger.borrow().commands.len() >= 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn leadership_is_handed_over_at_once_and_only_to_who_can_take_it() {
    let bed = Bed::group(3).await;
    let leader = bed.leader().await;
    let to = NodeId(leader.0 % 3 + 1);
    bed.write(b"something").await;
    let term = bed.handle(leader).status().borrow().term;
    bed.handle(leader).transfer_leader(to).await.unwrap();
    // When it returns, the other leads: no lease had to run out, and one election was enough.
    let seen = bed.handle(leader).status().borrow().clone();
    assert_eq!((seen.leader, seen.term), (Some(to), Term(term.0 + 1)));
    let index = bed.write(b"after the hand-over").await;
    bed.agree(index).await;

    let nobody = bed.handle(to).transfer_leader(NodeId(9)).await.unwrap_err();
    assert_eq!(nobody, RaftError::NotThere { node: NodeId(9), needed: "a voter" });
    assert!(matches!(bed.handle(leader).transfer_leader(leader).await, Err(RaftError::NotLeader { .. })));

    // A silent successor is refused before anything is given up.
    let silent = NodeId(to.0 % 3 + 1);
    bed.valves.isolate(silent, (1..=3).map(NodeId), Way::Silent);
    let behind = bed.handle(to).transfer_leader(silent).await.unwrap_err();
    assert_eq!(behind, RaftError::Behind { node: silent });
    bed.handle(to).propose(b"still leading".to_vec()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_that_is_asked_to_stop_hands_over_first() {
    let mut bed = Bed::group(3).await;
    bed.write(b"one").await;
    let leader = bed.leader().await;
    bed.handle(leader).shutdown().await;
    let last = bed.handle(leader).status().borrow().clone();
    assert_eq!(last.standing, Standing::Stopped);
    assert!(
        last.leader.is_some_and(|new| new != leader),
        "it saw its successor lead before it stopped: {last:#?}"
    );
    assert_eq!(bed.handle(leader).propose(b"x".to_vec()).await.unwrap_err(), RaftError::Stopping);
    bed.kill(leader);
    let index = bed.write(b"two").await;
    // The store was closed in order: it opens again and has everything.
    bed.start(leader).await;
    bed.agree(index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn voters_come_and_go_one_at_a_time() {
    let mut bed = Bed::group(1).await;
    bed.write(b"alone").await;
    let first = bed.handle(NodeId(1)).clone();
    let unknown = first.set_voters(BTreeSet::from([NodeId(1), NodeId(2)])).await.unwrap_err();
    assert_eq!(unknown, RaftError::NotThere { node: NodeId(2), needed: "a learner" });

    bed.start(NodeId(2)).await;
    bed.start(NodeId(3)).await;
    bed.admit(NodeId(1), NodeId(2)).await;
    bed.admit(NodeId(1), NodeId(3)).await;
    let vote = first.remove_learner(NodeId(2)).await.unwrap_err();
    assert_eq!(vote, RaftError::NotThere { node: NodeId(2), needed: "a learner" });

    first.set_voters(BTreeSet::from([NodeId(1), NodeId(3)])).await.unwrap();
    until(&first, "node 2 is a learner", |status| status.learners() == BTreeSet::from([NodeId(2)])).await;
    let index = bed.write(b"three hold it, two vote").await;
    bed.agree(index).await;
    first.remove_learner(NodeId(2)).await.unwrap();
    let seen = until(&first, "node 2 is gone", |status| status.seat(NodeId(2)).is_none()).await;
    assert!(!seen.changing_voters() && seen.membership_committed);

    // A leader may remove itself: it goes on until the others have it, and then hands over.
    first.set_voters(BTreeSet::from([NodeId(3)])).await.unwrap();
    until(bed.handle(NodeId(3)), "node 3 leads", |status| status.standing == Standing::Leader).await;
    bed.handle(NodeId(3)).propose(b"the last one".to_vec()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_moved_is_found_at_its_new_address() {
    let mut bed = Bed::group(3).await;
    let leader = bed.leader().await;
    let moved = NodeId(leader.0 % 3 + 1);
    bed.kill(moved);
    bed.move_away(moved);
    bed.start(moved).await;
    let seat = bed.seat(moved);
    bed.handle(leader).update_seat(moved, seat.clone()).await.unwrap();
    let index = bed.write(b"to the new address").await;
    bed.agree(index).await;
    assert_eq!(bed.handle(moved).status().borrow().seat(moved), Some(&seat));
}
