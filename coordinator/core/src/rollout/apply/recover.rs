//! A new generation of a group whose quorum is gone for good: applied once, offline, by `lockkeeper recover`.
//!
//! The lost are powered off, which a person attests; so what they were doing has ended, and what they held is taken
//! away. Nothing that was seen before is believed without a fresh look where its effect is supposed to hold still.

use super::{At, outcome};
use crate::{
    identity::Right,
    ids::{Generation, MemberName},
    plan::{ActionKind, Step, Way, Who},
    rollout::{
        command::HaltCause,
        rejection::Rejection,
        state::{GrantState, Rollout, State, Status, StepPhase},
    },
};
use std::collections::BTreeSet;

pub(super) fn recover(
    state: &mut State,
    at: &At<'_>,
    generation: Generation,
    lost: &BTreeSet<MemberName>,
    reason: &str,
) -> Result<(), Rejection> {
    let by = at.actor(Right::Administer)?.name.clone();
    let group = state
        .group
        .as_mut()
        .ok_or_else(|| Rejection::NotInitialised("the group is not initialised".into()))?;
    if generation <= group.generation {
        return Err(Rejection::InUse(format!("generation {generation} is not above {}", group.generation)));
    }
    if let Some(unknown) = lost.iter().find(|name| !state.nodes.contains_key(*name)) {
        return Err(Rejection::UnknownMember(unknown.clone()));
    }
    group.generation = generation;
    for name in lost {
        if let Some(node) = state.nodes.get_mut(name) {
            // Whoever comes back comes with a new identity; the old one is heard nowhere any more.
            state.revoked.insert((name.clone(), node.incarnation));
            node.actions.clear();
        }
    }
    let Some(rollout) = &mut state.rollout else { return Ok(()) };
    rollout.note(at.index, at.time, None, format!("recovered by {by} as generation {generation}: {reason}"));
    rollout.generation = generation;
    rollout.executors.retain(|_, member| !lost.contains(member));
    for grant in rollout.grants.values_mut().filter(|grant| grant.state == GrantState::Open) {
        grant.state = GrantState::Closing;
    }
    for member in lost {
        identity_ends(rollout, at, member);
    }
    look_anew(rollout, lost);
    rollout.status = Status::Halted { cause: HaltCause::Recovered { generation }, since: at.time };
    Ok(())
}

/// Takes back what was handed to an identity that is void. Whoever joins anew under the name knows nothing of it, and
/// would say in good faith that it never began. An upgrade that was under way counts as lost, so that its grant is closed
/// and the database judged before anybody tries again.
pub(super) fn identity_ends(rollout: &mut Rollout, at: &At<'_>, member: &MemberName) {
    let plan = rollout.plan.clone();
    for grant in rollout.grants.values_mut().filter(|g| g.member == *member && g.state == GrantState::Open) {
        grant.state = GrantState::Closing;
        grant.lost = true;
    }
    for step in plan.every_step() {
        let Some(record) = rollout.steps.get_mut(&step.id) else { continue };
        let StepPhase::Assigned { member: had, token, .. } = &record.phase else { continue };
        if had != member {
            continue;
        }
        record.phase = if step.irreversible {
            StepPhase::Failed {
                member: member.clone(),
                token: *token,
                at: at.time,
                code: "upgrader-lost".into(),
                text: format!("{member} was lost with its identity while it had this step"),
                verdict: None,
            }
        } else {
            StepPhase::Pending
        };
        if step.irreversible
            && let Some(database) = &step.grant
        {
            let cause = HaltCause::UpgraderLost { member: member.clone(), database: database.clone() };
            outcome::halt(rollout, at, cause);
        }
    }
}

/// Steps whose truth has to be seen again are pending again; their pre-checks find what is so already.
fn look_anew(rollout: &mut Rollout, lost: &BTreeSet<MemberName>) {
    let plan = rollout.plan.clone();
    let back = rollout.way() != Way::Forward;
    for step in plan.every_step() {
        let again = match rollout.record(step.id).map(|record| &record.phase) {
            // The judge says what became of an upgrade, when its grant is closed.
            Some(StepPhase::Assigned { .. }) => !step.irreversible,
            // What was done on the way forward matters no more to a rollout that goes back.
            Some(StepPhase::Done { .. }) if back && rollout.way_of(step.id) == Way::Forward => false,
            Some(StepPhase::Done { member, .. }) => stands(rollout, step, lost, lost.contains(member)),
            Some(StepPhase::Pending | StepPhase::Failed { .. } | StepPhase::NotNeeded) | None => false,
        };
        if again && let Some(record) = rollout.steps.get_mut(&step.id) {
            record.phase = StepPhase::Pending;
        }
    }
}

/// Whether a done step must be seen again.
fn stands(rollout: &Rollout, step: &Step, lost: &BTreeSet<MemberName>, by_lost: bool) -> bool {
    // Drained, stopped and shut hold still until they are given back. The door is shut again with a token of the new
    // generation, which claims that generation in the database's ledger before any grant.
    let holds =
        step.owes.as_ref().and_then(|key| rollout.owed.get(key)).is_some_and(|owed| owed.state.is_open());
    let own = matches!(&step.who, Who::Member(member) if lost.contains(member));
    match step.action.kind() {
        ActionKind::Drain | ActionKind::StopService | ActionKind::ShutDoor => holds,
        // A lost member's host may be another one now.
        ActionKind::StageRelease
        | ActionKind::SwitchRelease
        | ActionKind::StartService
        | ActionKind::Prove => own,
        ActionKind::ProveNoWriters => rollout.no_return.is_none(),
        // A look alone, and what follows it rests on what it saw.
        ActionKind::JudgeSchema => true,
        // The set lay on a lost host. Past the point of no return another set would be of another state.
        ActionKind::Backup | ActionKind::ProveBackup => by_lost && rollout.no_return.is_none(),
        ActionKind::MintCredential
        | ActionKind::AdmitHolder
        | ActionKind::UpgradeDatabase
        | ActionKind::CloseGrant
        // Names were swapped in one go, or not at all.
        | ActionKind::RestoreDatabase
        | ActionKind::OpenDoor
        | ActionKind::Admit
        | ActionKind::Run => false,
    }
}
