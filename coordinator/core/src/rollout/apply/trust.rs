//! Identities: operators, leaving members, added votes, reported certificates, roll-over of the authority, features.

use super::At;
use crate::{
    cluster::VOTERS_MAX,
    identity::{Right, Role},
    ids::{ActorName, Digest, Incarnation, MemberName},
    plan::Who,
    rollout::{
        limits,
        rejection::Rejection,
        state::{GrantState, Rollout, State, StepPhase},
        trust::{
            Authority, CertificateReport, OVERLAP_MS, OperatorRecord, RollOver, RollOverStage, TrustCommand,
        },
    },
    time::LogTime,
};

pub(super) fn change(state: &mut State, at: &At<'_>, command: &TrustCommand) -> Result<(), Rejection> {
    match command {
        TrustCommand::OperatorIssue { name, role, expires, issuer } => {
            operator_issue(state, at, name, *role, *expires, issuer)
        }
        TrustCommand::OperatorRevoke { name, reason: _ } => operator_revoke(state, at, name),
        TrustCommand::MemberRemove { member, reason: _ } => member_remove(state, at, member),
        TrustCommand::MemberGone { member } => member_gone(state, member),
        TrustCommand::AddVoter { member } => add_voter(state, at, member),
        TrustCommand::Certificate { member, incarnation, report } => {
            certificate(state, member, *incarnation, report)
        }
        TrustCommand::CaRotate { old, new } => ca_rotate(state, at, old, new),
        TrustCommand::CaAdvance { stage } => ca_advance(state, at, *stage),
        TrustCommand::CaFinish => ca_finish(state, at),
        TrustCommand::RaiseFloor { feature } => raise_floor(state, *feature),
    }
}

fn operator_issue(
    state: &mut State,
    at: &At<'_>,
    name: &ActorName,
    role: Role,
    expires: LogTime,
    issuer: &Digest,
) -> Result<(), Rejection> {
    at.actor(Right::Administer)?;
    match state.trust.operators.get(name) {
        Some(record) if record.revoked.is_some() => {
            return Err(Rejection::Revoked(format!("operator {name}; choose another name")));
        }
        Some(_) => {}
        None => room_for_operator(state, at)?,
    }
    let record = OperatorRecord { role: Some(role), expires, issuer: issuer.clone(), revoked: None };
    state.trust.operators.insert(name.clone(), record);
    Ok(())
}

fn operator_revoke(state: &mut State, at: &At<'_>, name: &ActorName) -> Result<(), Rejection> {
    at.actor(Right::Administer)?;
    if !state.trust.operators.contains_key(name) {
        // The first admin's certificate is older than the group, so an unknown name may still have one.
        room_for_operator(state, at)?;
    }
    let unknown =
        OperatorRecord { role: None, expires: at.time, issuer: Digest(String::new()), revoked: None };
    let record = state.trust.operators.entry(name.clone()).or_insert(unknown);
    // Revoking twice keeps the first moment.
    record.revoked.get_or_insert(at.time);
    Ok(())
}

/// Whoever's certificate has ended and was never revoked makes room.
fn room_for_operator(state: &mut State, at: &At<'_>) -> Result<(), Rejection> {
    if state.trust.operators.len() >= limits::OPERATORS_MAX {
        state.trust.operators.retain(|_, o| o.revoked.is_some() || o.expires >= at.time);
    }
    if state.trust.operators.len() >= limits::OPERATORS_MAX {
        return Err(Rejection::Limit(format!("{} operators", limits::OPERATORS_MAX)));
    }
    Ok(())
}

fn member_remove(state: &mut State, at: &At<'_>, member: &MemberName) -> Result<(), Rejection> {
    at.actor(Right::Administer)?;
    if !state.nodes.contains_key(member) {
        return Err(Rejection::UnknownMember(member.clone()));
    }
    let busy = |why: String| Err(Rejection::MemberBusy { member: member.clone(), why });
    let stays = |m: &&MemberName| *m != member && !state.trust.leaving.contains(*m);
    if !state.nodes.keys().any(|m| stays(&m)) {
        return busy("it is the last one".into());
    }
    // Without anybody else who should vote the group would be left without a leader for ever.
    let voters = state.wanted_voters();
    if voters.contains(member) && !voters.iter().any(|m| m != member && state.nodes.contains_key(m)) {
        return busy("it is the only voter; add-voter another one first".into());
    }
    if let Some(why) = state.rollout.as_ref().and_then(|r| needed(r, member)) {
        return busy(why);
    }
    state.trust.leaving.insert(member.clone());
    state.trust.votes.remove(member);
    Ok(())
}

/// What the rollout still needs a member for.
fn needed(rollout: &Rollout, member: &MemberName) -> Option<String> {
    let id = rollout.id;
    let held = rollout.grants.iter().find(|(_, g)| g.member == *member && g.state != GrantState::Closed);
    if let Some((database, _)) = held {
        return Some(format!("it holds the grant of {database} in rollout {id}"));
    }
    let back = rollout.abort.is_some();
    for (step, record) in &rollout.steps {
        match &record.phase {
            StepPhase::Assigned { member: who, .. } if who == member => {
                return Some(format!("step {step} of rollout {id} is assigned to it"));
            }
            StepPhase::Pending | StepPhase::Failed { .. } => {
                let Some(planned) = rollout.step(*step) else { continue };
                let forward = usize::try_from(step.0).is_ok_and(|n| n <= rollout.plan.steps.len());
                // The way back is needed as long as it may be gone; after the point of no return it is not.
                let counts = if forward { !back } else { back || rollout.no_return.is_none() };
                if counts && planned.who == Who::Member(member.clone()) {
                    return Some(format!("step {step} of rollout {id} is its own"));
                }
            }
            StepPhase::Assigned { .. } | StepPhase::Done { .. } | StepPhase::NotNeeded => {}
        }
    }
    None
}

fn member_gone(state: &mut State, member: &MemberName) -> Result<(), Rejection> {
    if !state.trust.leaving.remove(member) {
        return Err(Rejection::UnknownMember(member.clone()));
    }
    if let Some(node) = state.nodes.remove(member) {
        state.trust.highest_node = state.trust.highest_node.max(node.id);
        state.revoked.insert((member.clone(), node.incarnation));
    }
    state.trust.certificates.remove(member);
    Ok(())
}

fn add_voter(state: &mut State, at: &At<'_>, member: &MemberName) -> Result<(), Rejection> {
    at.actor(Right::Administer)?;
    let node = state.nodes.get(member).ok_or_else(|| Rejection::UnknownMember(member.clone()))?;
    if state.trust.leaving.contains(member) {
        return Err(Rejection::MemberBusy { member: member.clone(), why: "it is being removed".into() });
    }
    if node.feature < state.floor() {
        return Err(Rejection::FeatureMissing { needs: state.floor(), has: node.feature });
    }
    let voters = state.wanted_voters();
    if voters.contains(member) {
        return Ok(());
    }
    if voters.iter().filter(|m| state.nodes.contains_key(m)).count() >= VOTERS_MAX {
        return Err(Rejection::Limit(format!("{VOTERS_MAX} voters")));
    }
    state.trust.votes.insert(member.clone());
    Ok(())
}

fn certificate(
    state: &mut State,
    member: &MemberName,
    incarnation: Incarnation,
    report: &CertificateReport,
) -> Result<(), Rejection> {
    match state.nodes.get(member) {
        Some(node) if node.incarnation == incarnation => {}
        Some(_) | None => return Err(Rejection::UnknownMember(member.clone())),
    }
    if report.trusted.len() > limits::AUTHORITIES_MAX || report.holds.len() > limits::AUTHORITIES_MAX {
        return Err(Rejection::Limit(format!("{} authorities", limits::AUTHORITIES_MAX)));
    }
    state.trust.certificates.insert(member.clone(), report.clone());
    Ok(())
}

fn ca_rotate(state: &mut State, at: &At<'_>, old: &[Authority], new: &Authority) -> Result<(), Rejection> {
    let actor = at.actor(Right::Administer)?;
    let issuing = new.issuing.clone().ok_or_else(|| Rejection::RollOver("no issuing certificate".into()))?;
    if let Some(roll) = &state.trust.roll_over {
        // The same one again attaches.
        return if roll.root == new.root && roll.issuing == issuing {
            Ok(())
        } else {
            Err(Rejection::RollOver(format!("one is under way, begun by {}", roll.by)))
        };
    }
    let known = if state.trust.authorities.is_empty() { old } else { state.trust.authorities.as_slice() };
    if known.is_empty() || known.len() >= limits::AUTHORITIES_MAX {
        return Err(Rejection::RollOver(format!("{} authorities are trusted now", known.len())));
    }
    if known.iter().any(|a| a.root == new.root) {
        return Err(Rejection::RollOver("this root is trusted already; make a new one".into()));
    }
    let mut authorities = known.to_vec();
    authorities.push(Authority { since: at.time, ..new.clone() });
    state.trust.authorities = authorities;
    let (root, by) = (new.root.clone(), actor.name.clone());
    state.trust.roll_over = Some(RollOver { root, issuing, by, stage: RollOverStage::Trust, since: at.time });
    Ok(())
}

fn ca_advance(state: &mut State, at: &At<'_>, stage: RollOverStage) -> Result<(), Rejection> {
    let waits = state.roll_over_waits_for();
    let Some(roll) = &mut state.trust.roll_over else {
        return Err(Rejection::RollOver("none is under way".into()));
    };
    let next = match roll.stage {
        RollOverStage::Trust => RollOverStage::Reissue,
        RollOverStage::Reissue | RollOverStage::Overlap => RollOverStage::Overlap,
    };
    if stage != next || roll.stage == next {
        return Err(Rejection::RollOver(format!("it stands at {}", roll.stage.as_str())));
    }
    if let Some(first) = waits.first() {
        return Err(Rejection::RollOver(format!("{first} is not through {} yet", roll.stage.as_str())));
    }
    (roll.stage, roll.since) = (stage, at.time);
    Ok(())
}

fn ca_finish(state: &mut State, at: &At<'_>) -> Result<(), Rejection> {
    let Some(roll) = &state.trust.roll_over else {
        return Err(Rejection::RollOver("none is under way".into()));
    };
    // A person may end the overlap at any time; nobody else before the last operator's certificate has ended.
    if at.actor.is_some() {
        at.actor(Right::Administer)?;
    } else if at.time.0 < roll.since.0.saturating_add(OVERLAP_MS) {
        return Err(Rejection::RollOver("certificates under the old root may still be in use".into()));
    }
    let waits = state.roll_over_waits_for();
    if roll.stage != RollOverStage::Overlap || !waits.is_empty() {
        let names = waits.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ");
        let stage = roll.stage.as_str();
        return Err(Rejection::RollOver(format!("it stands at {stage}; not through: {names}")));
    }
    let new = roll.root.clone();
    state.trust.authorities.retain(|a| a.root == new);
    state.trust.roll_over = None;
    Ok(())
}

fn raise_floor(state: &mut State, feature: u32) -> Result<(), Rejection> {
    if feature <= state.floor() {
        return Ok(());
    }
    // Every node applies the log, voter or not, so every one must know the feature; an absent one counts by its last
    // word.
    match state.nodes.values().map(|n| n.feature).min() {
        Some(lowest) if lowest >= feature => {
            state.trust.feature_floor = feature;
            Ok(())
        }
        lowest => Err(Rejection::FeatureMissing { needs: feature, has: lowest.unwrap_or(0) }),
    }
}
