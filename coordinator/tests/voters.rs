//! Who votes: added votes, members that leave, nodes that are too old. One change at a time, until nothing is due.

#![allow(clippy::unwrap_used, reason = "tests")]

use lockkeeper_coordinator::{
    consensus::Leadership,
    voters::{Change, change},
};
use lockkeeper_core::{
    ids::{Digest, Incarnation, MemberName, NodeId},
    rollout::{State, state::Node},
    time::LogTime,
};

fn name(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

/// `n1` to `n4` are enrolled; without a cluster file the first of them votes.
fn state() -> State {
    let mut state = State::default();
    for number in 1..=4 {
        let node = Node {
            id: NodeId(number),
            incarnation: Incarnation(1),
            address: format!("10.0.0.{number}:7440"),
            fingerprint: Digest(String::new()),
            agent_version: "0.1.0".into(),
            feature: 2,
            actions: Default::default(),
            at: LogTime(0),
        };
        state.nodes.insert(name(&format!("n{number}")), node);
    }
    state
}

/// Applies what is due until nothing is; answers the changes.
fn settle(state: &State, now: &mut Leadership) -> Vec<Change> {
    let mut made = Vec::new();
    while let Some(due) = change(state, now) {
        match &due {
            Change::AddLearner(id, member) => now.learners.push((*id, member.clone(), true)),
            Change::SetVoters(ids) => {
                let mut all: Vec<(NodeId, MemberName)> = now.voters.clone();
                all.extend(now.learners.iter().map(|(id, member, _)| (*id, member.clone())));
                let (voters, others) = all.into_iter().partition(|(id, _)| ids.contains(id));
                now.voters = voters;
                now.learners = others.into_iter().map(|(id, member)| (id, member, true)).collect();
            }
            Change::RemoveLearner(id) => now.learners.retain(|l| l.0 != *id),
        }
        made.push(due);
        assert!(made.len() < 20, "it never settles: {made:?}");
    }
    made
}

fn founded(state: &State) -> Leadership {
    let mut now = Leadership { voters: vec![(NodeId(1), name("n1"))], ..Leadership::default() };
    settle(state, &mut now);
    now
}

#[test]
fn an_added_voter_votes_and_a_leaving_one_loses_vote_then_log() {
    let mut state = state();
    let mut now = founded(&state);
    assert_eq!((now.voters.len(), now.learners.len()), (1, 3));
    state.trust.votes = [name("n2"), name("n3")].into();
    settle(&state, &mut now);
    assert_eq!(now.voter_names(), [name("n1"), name("n2"), name("n3")]);
    state.trust.votes.remove(&name("n3"));
    state.trust.leaving.insert(name("n3"));
    let made = settle(&state, &mut now);
    assert_eq!(made, [Change::SetVoters(vec![NodeId(1), NodeId(2)]), Change::RemoveLearner(NodeId(3))]);
    // Gone from the group, it is not taken in again.
    state.trust.leaving.clear();
    state.nodes.remove(&name("n3"));
    assert!(settle(&state, &mut now).is_empty());
}

#[test]
fn a_leader_that_leaves_gives_up_its_own_vote() {
    let mut state = state();
    let mut now = founded(&state);
    state.trust.votes = [name("n2"), name("n3")].into();
    settle(&state, &mut now);
    state.trust.leaving.insert(name("n1"));
    assert_eq!(change(&state, &now), Some(Change::SetVoters(vec![NodeId(2), NodeId(3)])));
}

#[test]
fn one_that_knows_too_little_gets_no_vote() {
    let mut state = state();
    let mut now = founded(&state);
    state.trust.feature_floor = 2;
    state.nodes.get_mut(&name("n2")).unwrap().feature = 1;
    state.trust.votes.insert(name("n2"));
    assert!(settle(&state, &mut now).is_empty());
    state.nodes.get_mut(&name("n2")).unwrap().feature = 2;
    assert_eq!(settle(&state, &mut now), [Change::SetVoters(vec![NodeId(1), NodeId(2)])]);
}

#[test]
fn a_node_enrolled_anew_replaces_its_old_number() {
    let mut state = state();
    let mut now = founded(&state);
    state.nodes.get_mut(&name("n4")).unwrap().id = NodeId(5);
    let made = settle(&state, &mut now);
    assert_eq!(made, [Change::AddLearner(NodeId(5), name("n4")), Change::RemoveLearner(NodeId(4))]);
}

#[test]
fn a_wanted_voter_takes_the_place_of_another_and_never_the_leaders() {
    let state = state();
    let of = |ids: &[u64]| ids.iter().map(|id| (NodeId(*id), name(&format!("n{id}")))).collect::<Vec<_>>();
    // Only n1 is wanted, and n2 votes: with both an even number would vote, and every loss would stop the group.
    let ready = |ids: &[u64]| of(ids).into_iter().map(|(id, name)| (id, name, true)).collect::<Vec<_>>();
    let leads = |leader: &str| Some((name(leader), "10.0.0.2:7440".to_owned()));
    let mut now = Leadership { voters: of(&[2]), learners: ready(&[1, 3, 4]), ..Leadership::default() };
    now.leader = leads("n2");
    assert_eq!(change(&state, &now), None);
    now.leader = leads("n1");
    assert_eq!(change(&state, &now), Some(Change::SetVoters(vec![NodeId(1)])));
}
