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
    /// A node that left, or has a new number, holds the log no longer.
    RemoveLearner(NodeId),
}

/// Compares what is with what should be. Pure.
pub fn change(state: &State, now: &Leadership) -> Option<Change> {
    let known = |id: NodeId| now.voters.iter().any(|v| v.0 == id) || now.learners.iter().any(|l| l.0 == id);
    let names = state.wanted_voters();
    let stays = |name: &MemberName, id: NodeId| {
        state.nodes.get(name).is_some_and(|n| n.id == id) && !state.trust.leaving.contains(name)
    };
    // Whoever is enrolled holds the log, so that it knows the whole owed list; who votes is another question.
    // One whose identity is void (lost when the group was recovered) comes back with another.
    let valid = |name: &MemberName, node: &Node| !state.revoked.contains(&(name.clone(), node.incarnation));
    let missing =
        state.nodes.iter().find(|(name, node)| stays(name, node.id) && !known(node.id) && valid(name, node));
    if let Some((name, node)) = missing {
        return Some(Change::AddLearner(node.id, name.clone()));
    }
    // A node enrolled anew has a new number; its old one must not count for a quorum any more, nor must one that
    // leaves.
    let valid = |v: &&(NodeId, MemberName)| stays(&v.1, v.0);
    let mut voters: Vec<NodeId> = now.voters.iter().filter(valid).map(|v| v.0).collect();
    if voters.is_empty() {
        return None;
    }
    if voters.len() < now.voters.len() {
        return Some(Change::SetVoters(voters));
    }
    if now.voters.iter().filter(|v| names.contains(&v.1)).count() < names.len() {
        let ready = now.learners.iter().find(|(id, name, caught_up)| {
            // One that is too old for the log's commands must not lead.
            let knows = state.nodes.get(name).is_some_and(|n| n.feature >= state.floor() || n.feature == 0);
            *caught_up && names.contains(name) && stays(name, *id) && knows
        });
        // Never more than wanted, which may be an even number: then one takes the place of another. The leader keeps
        // its own; it hands over when it stops.
        let leads = |name: &MemberName| now.leader.as_ref().is_some_and(|(leader, _)| leader == name);
        let surplus = now.voters.iter().find(|(_, name)| !names.contains(name) && !leads(name)).map(|v| v.0);
        if let Some((id, _, _)) = ready
            && (voters.len() < names.len() || surplus.is_some())
        {
            if voters.len() >= names.len() {
                voters.retain(|voter| Some(*voter) != surplus);
            }
            voters.push(*id);
            return Some(Change::SetVoters(voters));
        }
    }
    let left = now.learners.iter().find(|(id, name, _)| !stays(name, *id));
    left.map(|(id, _, _)| Change::RemoveLearner(*id))
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
        Change::RemoveLearner(id) => consensus.remove_learner(*id).await,
    };
    match result {
        Ok(()) => info!(?change, "membership changed"),
        Err(error) => warn!(?change, %error, "membership not changed"),
    }
}
