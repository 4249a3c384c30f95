//! Handing a step to an agent, and choosing the executor of a shared target.

use super::{At, active_is};
use crate::{
    ids::{Attempt, DatabaseName, MemberName, RolloutId, StepId, Token},
    plan::{ActionKind, SharedTarget, Step, Who},
    rollout::{
        marks::Mark,
        rejection::Rejection,
        state::{GrantState, Rollout, State, Status, StepPhase, StepRecord},
        survey::{Frontier, Runs},
    },
};
use std::sync::Arc;

pub(super) fn assign(
    state: &mut State,
    at: &At<'_>,
    rollout: RolloutId,
    id: StepId,
    member: &MemberName,
) -> Result<(), Rejection> {
    let able = state.nodes.get(member).ok_or_else(|| Rejection::UnknownMember(member.clone()))?.actions.clone();
    let rollout = active_is(state, rollout)?;
    let step = rollout.step(id).ok_or(Rejection::UnknownStep(id))?.clone();
    check_phase(rollout, &step)?;
    let shutting = is_shutting(rollout, &step);
    if !shutting {
        check_direction(rollout, &step)?;
        Frontier::of(rollout).check(rollout, &step)?;
        if step.serial.is_some() {
            Runs::of(rollout).check(rollout, &step)?;
        }
    }
    check_who(rollout, &step, member)?;
    if !able.contains(&step.action.kind()) {
        let reason = format!("its agent did not announce {}", step.action.kind());
        return Err(Rejection::WrongMember { step: id, member: member.clone(), reason });
    }
    let token = match &step.grant {
        None => Token { generation: rollout.generation, index: at.index },
        Some(database) => {
            let grant = rollout.grants.get_mut(database).ok_or(Rejection::NoGrant)?;
            let closes = step.action.kind() == ActionKind::CloseGrant;
            match grant.state {
                GrantState::Open if closes => grant.state = GrantState::Closing,
                GrantState::Open => {}
                GrantState::Closing if closes => {}
                GrantState::Closing | GrantState::Closed => return Err(Rejection::NoGrant),
            }
            grant.token
        }
    };
    if step.irreversible && rollout.no_return.is_none() {
        rollout.no_return = Some(at.time);
        rollout.note(at.index, at.time, Some(id), "point of no return passed");
    }
    let record = rollout.steps.entry(id).or_insert(StepRecord { attempt: Attempt(0), phase: StepPhase::Pending });
    record.attempt = Attempt(record.attempt.0 + 1);
    record.phase = StepPhase::Assigned { member: member.clone(), token, at: at.time, blocked: None };
    let text = format!("{} {} handed to {member}, token {token}", step.action.kind(), step.target);
    rollout.note(at.index, at.time, Some(id), text);
    if step.target.shared().is_some() {
        // Also where the step carries its grant's older token: every effect has a mark of its own.
        let (plan, token) = (rollout.plan.clone(), Token { generation: rollout.generation, index: at.index });
        let mark = Mark::new(token, &state.audit, at.id);
        Arc::make_mut(&mut state.marks).add(plan.targets.databases.keys(), mark);
    }
    Ok(())
}

/// Taking a grant away needs no permission and no order: it only ever shuts further.
pub(in crate::rollout) fn is_shutting(rollout: &Rollout, step: &Step) -> bool {
    step.action.kind() == ActionKind::CloseGrant
        && step.grant.as_ref().and_then(|d| rollout.grants.get(d)).is_some_and(|g| g.state == GrantState::Closing)
}

fn check_phase(rollout: &Rollout, step: &Step) -> Result<(), Rejection> {
    match rollout.record(step.id).map(|r| (&r.phase, r.attempt)) {
        Some((StepPhase::Pending, _)) => Ok(()),
        Some((StepPhase::Assigned { member, .. }, attempt)) => {
            Err(Rejection::NotAssigned { step: step.id, attempt, member: member.clone() })
        }
        Some((StepPhase::Failed { .. }, _)) => Err(Rejection::FailedStep(step.id)),
        Some((StepPhase::Done { .. } | StepPhase::NotNeeded, _)) | None => Err(Rejection::UnknownStep(step.id)),
    }
}

fn check_direction(rollout: &Rollout, step: &Step) -> Result<(), Rejection> {
    let right = match rollout.status {
        Status::Running | Status::Aborting | Status::Restoring => rollout.way_of(step.id) == rollout.way(),
        Status::Paused { .. }
        | Status::Halted { .. }
        | Status::Completed { .. }
        | Status::Aborted { .. }
        | Status::Restored { .. } => false,
    };
    if right { Ok(()) } else { Err(Rejection::WrongState { status: rollout.status.word().to_owned() }) }
}

fn check_who(rollout: &Rollout, step: &Step, member: &MemberName) -> Result<(), Rejection> {
    let wrong = |reason: &str| {
        Err(Rejection::WrongMember { step: step.id, member: member.clone(), reason: reason.to_owned() })
    };
    let executor = || step.target.shared().and_then(|t| rollout.executors.get(&t));
    match &step.who {
        Who::Member(m) if m == member => Ok(()),
        Who::Member(_) => wrong("it is another member's own step"),
        Who::Executor if executor() == Some(member) => Ok(()),
        Who::Executor => wrong("it is not the target's executor"),
        Who::ExecutorNotHolder if executor() != Some(member) => wrong("it is not the target's executor"),
        Who::ExecutorNotHolder if holder(rollout, step.grant.as_ref()) == Some(member) => {
            wrong("it holds the grant")
        }
        Who::ExecutorNotHolder => Ok(()),
        Who::Holder(d) if holder(rollout, Some(d)) == Some(member) => Ok(()),
        Who::Holder(_) => wrong("it does not hold the grant"),
    }
}

fn holder<'a>(rollout: &'a Rollout, database: Option<&DatabaseName>) -> Option<&'a MemberName> {
    database.and_then(|d| rollout.grants.get(d)).filter(|g| g.state != GrantState::Closed).map(|g| &g.member)
}

pub(super) fn set_executor(
    state: &mut State,
    at: &At<'_>,
    rollout: RolloutId,
    target: &SharedTarget,
    member: &MemberName,
) -> Result<(), Rejection> {
    if !state.nodes.contains_key(member) {
        return Err(Rejection::UnknownMember(member.clone()));
    }
    let rollout = active_is(state, rollout)?;
    if rollout.executors.get(target) == Some(member) {
        return Ok(());
    }
    let may = rollout.plan.policy.executors.iter().any(|(t, who)| t == target && who.contains(member));
    let wrong = |reason: &str| {
        Err(Rejection::WrongMember { step: StepId(0), member: member.clone(), reason: reason.to_owned() })
    };
    if !may {
        return wrong("the plan does not name it as an executor of this target");
    }
    // An unsettled assignment may be frozen in front of its effect: until its agent's last word is committed, no
    // other agent acts on the target.
    let busy = rollout.plan.every_step().any(|s| {
        s.target.shared().as_ref() == Some(target)
            && !matches!(s.who, Who::Holder(_))
            && rollout.record(s.id).is_some_and(|r| matches!(r.phase, StepPhase::Assigned { .. }))
    });
    if busy {
        return Err(Rejection::ExecutorBusy { target: target.clone() });
    }
    if let SharedTarget::Database(d) = target
        && holder(rollout, Some(d)) == Some(member)
    {
        return wrong("it holds the grant");
    }
    rollout.executors.insert(target.clone(), member.clone());
    rollout.note(at.index, at.time, None, format!("{member} is executor of {target}"));
    Ok(())
}
