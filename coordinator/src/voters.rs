//! Who votes: enrolled nodes become learners, caught-up learners become voters one at a time.

use crate::consensus::{Consensus, Leadership, Seat};
use lockkeeper_core::{
    ids::{MemberName, NodeId},
    rollout::{State, state::Node},
};
use tracing::{info, warn};

/// What should change now; at most one thing at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An enrolled node holds no log yet.
    AddLearner(NodeId, MemberName),
    /// These shall vote.
    SetVoters(Vec<NodeId>),
}

/// Who should vote: as the cluster file says, and before there is one whoever is enrolled first.
fn wanted(state: &State) -> Vec<MemberName> {
    match &state.config {
        Some(config) => config.spec.voter_names(),
        None => state.nodes.iter().min_by_key(|(_, n)| n.id).map(|(name, _)| name.clone()).into_iter().collect(),
    }
}

/// Compares what is with what should be. Pure.
pub fn change(state: &State, now: &Leadership) -> Option<Change> {
    let known = |id: NodeId| now.voters.iter().any(|v| v.0 == id) || now.learners.iter().any(|l| l.0 == id);
    let names = wanted(state);
    // Whoever is enrolled holds the log, so that it knows the whole owed list; who votes is another question.
    // One whose identity is void (lost when the group was recovered) comes back with another.
    let valid = |name: &MemberName, node: &Node| !state.revoked.contains(&(name.clone(), node.incarnation));
    let missing = state.nodes.iter().find(|(name, node)| !known(node.id) && valid(name, node));
    if let Some((name, node)) = missing {
        return Some(Change::AddLearner(node.id, name.clone()));
    }
    // A node enrolled anew has a new number; its old one must not count for a quorum any more.
    let valid = |v: &&(NodeId, MemberName)| state.nodes.get(&v.1).is_some_and(|n| n.id == v.0);
    let mut voters: Vec<NodeId> = now.voters.iter().filter(valid).map(|v| v.0).collect();
    if voters.is_empty() {
        return None;
    }
    if voters.len() < now.voters.len() {
        return Some(Change::SetVoters(voters));
    }
    if voters.len() < names.len() {
        let ready = now.learners.iter().find(|(id, name, caught_up)| {
            *caught_up && names.contains(name) && state.nodes.get(name).is_some_and(|n| n.id == *id)
        });
        if let Some((id, _, _)) = ready {
            voters.push(*id);
            return Some(Change::SetVoters(voters));
        }
    }
    None
}

/// Makes one change, if one is due.
pub async fn tend(state: &State, now: &Leadership, consensus: &dyn Consensus) {
    let Some(change) = change(state, now) else { return };
    let result = match &change {
        Change::AddLearner(id, name) => {
            let Some(node) = state.nodes.get(name) else { return };
            let seat =
                Seat { name: name.clone(), address: node.address.clone(), incarnation: node.incarnation };
            consensus.add_learner(*id, seat).await
        }
        Change::SetVoters(voters) => consensus.set_voters(voters.clone()).await,
    };
    match result {
        Ok(()) => info!(?change, "membership changed"),
        Err(error) => warn!(?change, %error, "membership not changed"),
    }
}
