//! The group's own identity, nodes, join tokens and what agents announce.

use super::{At, recover};
use crate::{
    guard::Opening,
    identity::Right,
    ids::{ClusterId, ClusterName, Digest, Generation, MemberName},
    plan::ActionKind,
    rollout::{
        command::Enrol,
        limits,
        rejection::Rejection,
        state::{Group, JoinToken, Node, State},
    },
    time::LogTime,
};
use std::collections::BTreeSet;

pub(super) fn init(
    state: &mut State,
    cluster: &ClusterId,
    name: &ClusterName,
    generation: Generation,
) -> Result<(), Rejection> {
    match &state.group {
        Some(group) if group.cluster == *cluster && group.generation == generation => Ok(()),
        Some(_) => Err(Rejection::NotInitialised("the group was initialised already".into())),
        None => {
            state.group = Some(Group { cluster: cluster.clone(), name: name.clone(), generation });
            Ok(())
        }
    }
}

pub(super) fn enrol(state: &mut State, at: &At<'_>, enrol: &Enrol) -> Result<(), Rejection> {
    if state.group.is_none() {
        return Err(Rejection::NotInitialised("the group is not initialised".into()));
    }
    let known = state.nodes.get(&enrol.member);
    if known.is_some_and(|n| n.id == enrol.node_id && n.incarnation == enrol.incarnation) {
        return Ok(());
    }
    match &enrol.token {
        None if state.nodes.is_empty() => {}
        None => return Err(Rejection::BadJoinToken("a token is needed".into())),
        Some(hash) => {
            let refuse = |why: &str| Err(Rejection::BadJoinToken(why.into()));
            match state.join_tokens.get(hash) {
                None => return refuse("unknown"),
                Some(token) if token.used.is_some() => return refuse("already used"),
                Some(token) if token.expires < at.time => return refuse("expired"),
                Some(token) if token.member != enrol.member => return refuse("made for another member"),
                Some(_) => {}
            }
        }
    }
    if enrol.node_id < state.next_node() {
        return Err(Rejection::InUse(format!("node id {} is not above all earlier ones", enrol.node_id)));
    }
    if let Some((name, _)) = state.nodes.iter().find(|(m, n)| **m != enrol.member && n.address == enrol.address) {
        return Err(Rejection::InUse(format!("address {} by {name}", enrol.address)));
    }
    if state.trust.leaving.contains(&enrol.member) {
        return Err(Rejection::InUse(format!("{} is still being removed", enrol.member)));
    }
    if enrol.incarnation < state.next_incarnation(&enrol.member) {
        return Err(Rejection::InUse(format!("incarnation {} of {}", enrol.incarnation, enrol.member)));
    }
    if let Some(old) = known {
        state.revoked.insert((enrol.member.clone(), old.incarnation));
        if let Some(rollout) = &mut state.rollout {
            recover::identity_ends(rollout, at, &enrol.member);
        }
    }
    state.trust.certificates.remove(&enrol.member);
    if let Some(token) = enrol.token.as_ref().and_then(|hash| state.join_tokens.get_mut(hash)) {
        token.used = Some(at.time);
    }
    let node = Node {
        id: enrol.node_id,
        incarnation: enrol.incarnation,
        address: enrol.address.clone(),
        fingerprint: enrol.fingerprint.clone(),
        agent_version: String::new(),
        feature: 0,
        actions: BTreeSet::new(),
        at: at.time,
    };
    state.nodes.insert(enrol.member.clone(), node);
    Ok(())
}

/// What was opened is kept until the next opening on that host; all of them are in the audit.
pub(super) fn guard_opened(state: &mut State, member: &MemberName, opening: &Opening) -> Result<(), Rejection> {
    if !state.nodes.contains_key(member) {
        return Err(Rejection::UnknownMember(member.clone()));
    }
    if opening.by.len() > limits::TEXT_MAX || opening.reason.len() > limits::TEXT_MAX {
        return Err(Rejection::Limit(format!("{} bytes of text", limits::TEXT_MAX)));
    }
    state.guard_openings.insert(member.clone(), opening.clone());
    Ok(())
}

pub(super) fn token_create(
    state: &mut State,
    at: &At<'_>,
    hash: &Digest,
    member: &MemberName,
    expires: LogTime,
) -> Result<(), Rejection> {
    at.actor(Right::Administer)?;
    // Used and expired ones make room; what they let in is in `nodes`.
    if state.join_tokens.len() >= limits::JOIN_TOKENS_MAX {
        state.join_tokens.retain(|_, t| t.used.is_none() && t.expires >= at.time);
    }
    if state.join_tokens.len() >= limits::JOIN_TOKENS_MAX {
        return Err(Rejection::Limit(format!("{} open join tokens", limits::JOIN_TOKENS_MAX)));
    }
    state.join_tokens.insert(hash.clone(), JoinToken { member: member.clone(), expires, used: None });
    Ok(())
}

pub(super) fn announce(
    state: &mut State,
    member: &MemberName,
    agent_version: &str,
    feature: u32,
    actions: &BTreeSet<ActionKind>,
) -> Result<(), Rejection> {
    let floor = state.floor();
    let node = state.nodes.get_mut(member).ok_or_else(|| Rejection::UnknownMember(member.clone()))?;
    // Commands it cannot read may be in the log already.
    if feature < floor {
        return Err(Rejection::FeatureMissing { needs: floor, has: feature });
    }
    node.agent_version = agent_version.to_owned();
    node.feature = feature;
    node.actions = actions.clone();
    Ok(())
}
