//! A group whose quorum is gone: some nodes are lost, a new generation is founded, the lost join anew.

use super::drive::{Group, person};
use lockkeeper_core::{
    identity::Role,
    ids::{Digest, Generation, Incarnation, LogIndex, MemberName, NodeId},
    plan::ActionKind,
    rollout::{Command, command::Enrol},
    time::LogTime,
};
use std::collections::BTreeSet;

/// The bits of `which` say who is lost; somebody always survives.
pub fn recover(group: &mut Group, which: usize) {
    let all: Vec<MemberName> = group.state.nodes.keys().cloned().collect();
    let lost: BTreeSet<MemberName> =
        all.iter().enumerate().filter(|(at, _)| which >> at & 1 == 1).map(|(_, name)| name.clone()).collect();
    if lost.len() < all.len() {
        found(group, &lost);
        for name in &lost {
            rejoin(group, name);
        }
    }
}

/// The next generation, led by a survivor.
pub fn found(group: &mut Group, lost: &BTreeSet<MemberName>) {
    let generation = Generation(group.state.group.as_ref().unwrap().generation.0 + 1);
    let recover = Command::Recover { generation, lost: lost.clone(), reason: "fire".into() };
    group.must(Some(&person("ada", Role::Admin)), recover);
    let survivor = group.state.nodes.keys().find(|name| !lost.contains(*name)).unwrap().clone();
    group.leader = survivor;
    group.leading_since = group.clock;
    group.last_seen.clear();
    group.up.retain(|name| !lost.contains(name));
}

/// With a new number and incarnation, as `join` does it.
pub fn rejoin(group: &mut Group, name: &MemberName) {
    let old = group.state.nodes[name].clone();
    let LogIndex(at) = group.state.applied;
    let hash = Digest::of(format!("{name} {at}").as_bytes());
    let expires = LogTime(group.state.time.0.max(group.clock) + 3_600_000);
    let create = Command::TokenCreate { hash: hash.clone(), member: name.clone(), expires };
    group.must(Some(&person("ada", Role::Admin)), create);
    let highest = group.state.nodes.values().map(|node| node.id.0).max().unwrap();
    group.must(
        None,
        Command::Enrol(Enrol {
            member: name.clone(),
            node_id: NodeId(highest + 1),
            incarnation: Incarnation(old.incarnation.0 + 1),
            address: old.address,
            fingerprint: Digest::of(b"another machine"),
            token: Some(hash),
        }),
    );
    let actions = ActionKind::ALL.into_iter().collect();
    let agent_version = "0.1.0".to_owned();
    group.must(None, Command::Announce { member: name.clone(), agent_version, feature: 1, actions });
    group.up.insert(name.clone());
}
