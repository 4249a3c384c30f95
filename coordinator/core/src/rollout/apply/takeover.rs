//! What follows an upgrade whose holder was lost or failed: another grant, a recorded success, or a restore first.
//!
//! Nothing here happens before the holder is proven out. Who decides is a person, or the plan that people approved.

use super::{
    At, active, active_is,
    control::go_on_if_mended,
    grant::{begin_anew, upgrade_step},
};
use crate::{
    cluster::OnUpgraderLoss,
    identity::Right,
    ids::{DatabaseName, MemberName, RolloutId},
    plan::{self, Action, SharedTarget},
    plant::{self, Plant},
    rollout::{
        command::{HaltCause, Verdict},
        limits,
        rejection::Rejection,
        state::{Grant, GrantState, Rollout, State, Status, StepPhase},
    },
};

/// What a take-over would do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rollout) enum Way {
    /// Another grant, with a higher token.
    Further,
    /// The upgrade is recorded as done.
    Record,
}

pub(super) fn takeover(
    state: &mut State,
    at: &At<'_>,
    database: &DatabaseName,
    to: Option<&MemberName>,
    reason: &str,
) -> Result<(), Rejection> {
    let by = at.actor(Right::Operate)?.name.clone();
    if let Some(unknown) = to.filter(|member| !state.nodes.contains_key(*member)) {
        return Err(Rejection::UnknownMember(unknown.clone()));
    }
    if reason.len() > limits::TEXT_MAX {
        return Err(Rejection::Limit("a reason's length".into()));
    }
    let rollout = active(state)?;
    let way = may_take_over(rollout, database)?;
    match way {
        Way::Further => {
            check_successor(rollout, database, to)?;
            further(rollout, database);
            match to {
                Some(member) => drop(rollout.successors.insert(database.clone(), member.clone())),
                None => drop(rollout.successors.remove(database)),
            }
            let named = to.map(|member| format!(" for {member}")).unwrap_or_default();
            rollout.note(
                at.index,
                at.time,
                None,
                format!("{database} is taken over by {by}{named}: {reason}"),
            );
        }
        Way::Record => {
            record_done(rollout, at, database, &by);
            rollout.note(at.index, at.time, None, format!("{database} is finished, says {by}: {reason}"));
        }
    }
    go_on_if_mended(rollout);
    Ok(())
}

pub(super) fn regrant(
    state: &mut State,
    at: &At<'_>,
    rollout: RolloutId,
    database: &DatabaseName,
) -> Result<(), Rejection> {
    let rollout = active_is(state, rollout)?;
    may_regrant(rollout, database)?;
    further(rollout, database);
    if let Some(grant) = rollout.grants.get_mut(database) {
        grant.regrants = grant.regrants.saturating_add(1);
    }
    rollout.note(
        at.index,
        at.time,
        None,
        format!("{database} is untouched: another grant, as the plan says"),
    );
    go_on_if_mended(rollout);
    Ok(())
}

/// Whether a person may let somebody else upgrade the database, and what that would mean.
pub(in crate::rollout) fn may_take_over(
    rollout: &Rollout,
    database: &DatabaseName,
) -> Result<Way, Rejection> {
    if rollout.way() != plan::Way::Forward {
        return Err(no(database, "the rollout goes back"));
    }
    let grant = is_out(rollout, database)?;
    let upgrade =
        upgrade_step(rollout, database).ok_or_else(|| no(database, "the plan does not upgrade it"))?;
    let (verdict, failed) = match rollout.record(upgrade.id).map(|r| &r.phase) {
        Some(StepPhase::Failed { verdict, .. }) => {
            (verdict.or(grant.verdict).unwrap_or(Verdict::Touched), true)
        }
        Some(StepPhase::Pending) => (grant.verdict.unwrap_or(Verdict::Touched), false),
        Some(StepPhase::Done { .. } | StepPhase::NotNeeded) => {
            return Err(no(database, "its upgrade is done; `lockkeeper resume` goes on"));
        }
        Some(StepPhase::Assigned { .. }) | None => return Err(no(database, "its upgrade is under way")),
    };
    let resumes = matches!(&upgrade.action, Action::UpgradeDatabase(action) if action.resumes);
    match verdict {
        Verdict::Finished if failed => Ok(Way::Record),
        Verdict::Untouched | Verdict::Finished => Ok(Way::Further),
        Verdict::Touched if resumes || plant::is(Plant::TakeTouched) => Ok(Way::Further),
        Verdict::Touched => Err(Rejection::RestoreNeeded),
    }
}

/// Whether the plan lets another grant follow the lost one without a person.
pub(in crate::rollout) fn may_regrant(rollout: &Rollout, database: &DatabaseName) -> Result<(), Rejection> {
    if rollout.plan.policy.on_upgrader_loss != OnUpgraderLoss::RegrantIfUntouched {
        return Err(no(database, "the plan leaves it to a person"));
    }
    let lost = matches!(
        &rollout.status,
        Status::Halted { cause: HaltCause::UpgraderLost { database: of, .. }, .. } if of == database
    );
    if !lost {
        return Err(no(database, "the rollout was not halted by the loss of its upgrader"));
    }
    let grant = is_out(rollout, database)?;
    if !grant.lost {
        return Err(no(database, "its upgrader was not lost"));
    }
    if grant.regrants >= limits::REGRANTS_MAX {
        let text = format!("{} upgraders were lost one after another", grant.regrants.saturating_add(1));
        return Err(no(database, &text));
    }
    let verdict = grant.verdict;
    match may_take_over(rollout, database)? {
        Way::Further if verdict == Some(Verdict::Untouched) || plant::is(Plant::TakeTouched) => Ok(()),
        Way::Further | Way::Record => Err(no(database, "it was not judged untouched")),
    }
}

/// The latest grant, if its holder is proven out.
pub(super) fn is_out<'a>(rollout: &'a Rollout, database: &DatabaseName) -> Result<&'a Grant, Rejection> {
    let grant = rollout.grants.get(database).ok_or_else(|| no(database, "it has had no upgrader"))?;
    match grant.state {
        GrantState::Closed => Ok(grant),
        GrantState::Open => Err(no(database, &format!("{} holds its grant", grant.member))),
        GrantState::Closing => Err(no(database, &format!("{} is not proven out yet", grant.member))),
    }
}

/// A name that the election could never agree with is refused at once. That the member is alive and does not work the
/// door is seen when it is elected: until then the rollout waits and says so.
fn check_successor(
    rollout: &Rollout,
    database: &DatabaseName,
    to: Option<&MemberName>,
) -> Result<(), Rejection> {
    let Some(member) = to else { return Ok(()) };
    let wrong = |reason: &str| Err(no(database, &format!("{member} {reason}")));
    if !rollout.plan.policy.upgraders.get(database).is_some_and(|who| who.contains(member)) {
        return wrong("is not among the plan's upgraders");
    }
    let target = SharedTarget::Database(database.clone());
    let others =
        |(of, who): &(SharedTarget, Vec<MemberName>)| *of == target && who.iter().any(|m| m != member);
    if !rollout.plan.policy.executors.iter().any(others) {
        return wrong("is the only one that can work its door");
    }
    Ok(())
}

/// Every step of the grant is made ready for the next one.
fn further(rollout: &mut Rollout, database: &DatabaseName) {
    let ids: Vec<_> =
        rollout.plan.steps.iter().filter(|s| s.grant.as_ref() == Some(database)).map(|s| s.id).collect();
    for id in ids {
        if let Some(record) = rollout.steps.get_mut(&id)
            && matches!(record.phase, StepPhase::Failed { .. })
        {
            record.phase = StepPhase::Pending;
        }
    }
    begin_anew(rollout, database);
}

/// The tool's run did not report success, but the schema is what it shall be.
fn record_done(rollout: &mut Rollout, at: &At<'_>, database: &DatabaseName, by: &str) {
    let Some(upgrade) = upgrade_step(rollout, database).map(|step| step.id) else { return };
    if let Some(record) = rollout.steps.get_mut(&upgrade)
        && let StepPhase::Failed { member, token, at: failed, code, .. } = record.phase.clone()
    {
        let evidence = format!("{code} of {member}, but the database was judged finished; recorded by {by}");
        record.phase =
            StepPhase::Done { member, token, began: failed, ended: at.time, evidence, action_ms: None };
    }
}

fn no(database: &DatabaseName, reason: &str) -> Rejection {
    Rejection::NotTakenOver { database: database.clone(), reason: reason.to_owned() }
}
