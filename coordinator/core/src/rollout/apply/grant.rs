//! Electing the upgrader, and what the end of a grant means.

use super::{At, active_is};
use crate::{
    ids::{Attempt, DatabaseName, LogIndex, MemberName, RolloutId, Token},
    plan::{
        Action, ActionKind, SharedTarget, Step,
        action::{SchemaJudge, UpgradeDatabase},
    },
    plant::{self, Plant},
    rollout::{
        command::Verdict,
        rejection::Rejection,
        state::{Grant, GrantState, Rollout, State, StepPhase},
        survey::Frontier,
        word::Word,
    },
};

pub(super) fn elect(
    state: &mut State,
    at: &At<'_>,
    rollout: RolloutId,
    database: &DatabaseName,
    member: &MemberName,
) -> Result<(), Rejection> {
    if !state.nodes.contains_key(member) {
        return Err(Rejection::UnknownMember(member.clone()));
    }
    let rollout = active_is(state, rollout)?;
    if let Some(grant) = rollout.grants.get(database)
        && grant.state != GrantState::Closed
    {
        return Err(Rejection::GrantOpen(grant.member.clone()));
    }
    let first = first_step(rollout, database).ok_or(Rejection::NoGrant)?.clone();
    let upgrade = upgrade_step(rollout, database).ok_or(Rejection::NoGrant)?;
    match rollout.record(upgrade.id).map(|r| &r.phase) {
        Some(StepPhase::Pending) => {}
        Some(StepPhase::Failed { .. }) => return Err(Rejection::FailedStep(upgrade.id)),
        Some(StepPhase::Assigned { .. } | StepPhase::Done { .. } | StepPhase::NotNeeded) | None => {
            return Err(Rejection::NoGrant);
        }
    }
    Frontier::of(rollout).check(rollout, &first)?;
    let wrong = |reason: &str| {
        Err(Rejection::WrongMember { step: upgrade.id, member: member.clone(), reason: reason.to_owned() })
    };
    if !rollout.plan.policy.upgraders.get(database).is_some_and(|who| who.contains(member)) {
        return wrong("the plan does not name it as an upgrader");
    }
    if rollout.executors.get(&SharedTarget::Database(database.clone())) == Some(member) {
        return wrong("it is the executor of this database's door");
    }
    if let Some(named) = rollout.successors.get(database).filter(|named| *named != member) {
        return wrong(&format!("the take-over named {named}"));
    }
    let index = if plant::is(Plant::OldToken) { LogIndex(rollout.id.0) } else { at.index };
    let token = Token { generation: rollout.generation, index };
    let grant = Grant {
        member: member.clone(),
        token,
        since: at.time,
        state: GrantState::Open,
        lost: false,
        verdict: None,
        regrants: rollout.grants.get(database).map_or(0, |before| before.regrants),
    };
    rollout.grants.insert(database.clone(), grant);
    rollout.successors.remove(database);
    // What an earlier grant left is no judgement of what this one leaves.
    rollout.outputs.remove(&format!("judge.{database}"));
    rollout.note(at.index, at.time, None, format!("{member} is elected to upgrade {database}, token {token}"));
    Ok(())
}

/// The first step of a database's grant.
pub(in crate::rollout) fn first_step<'a>(rollout: &'a Rollout, database: &DatabaseName) -> Option<&'a Step> {
    rollout.plan.steps.iter().find(|s| s.grant.as_ref() == Some(database))
}

/// The step that upgrades a database.
pub(in crate::rollout) fn upgrade_step<'a>(rollout: &'a Rollout, database: &DatabaseName) -> Option<&'a Step> {
    let is = |s: &&Step| s.grant.as_ref() == Some(database) && s.action.kind() == ActionKind::UpgradeDatabase;
    rollout.plan.steps.iter().find(is)
}

/// The holder is proven out. If the upgrade is not done, the steps of the grant start anew with the next one, and
/// an attempt whose holder was lost gets its verdict.
pub(super) fn closed(rollout: &mut Rollout, at: &At<'_>, database: &DatabaseName) {
    if let Some(grant) = rollout.grants.get_mut(database) {
        grant.state = GrantState::Closed;
    }
    let Some(upgrade) = upgrade_step(rollout, database).cloned() else { return };
    let judged = rollout.outputs.get(&format!("judge.{database}")).cloned();
    let verdict = match (&upgrade.action, judged.as_deref()) {
        (Action::UpgradeDatabase(UpgradeDatabase { schema, .. }), Some(value)) => judge(schema, value),
        _ => Verdict::Touched,
    };
    if let Some(record) = rollout.steps.get_mut(&upgrade.id) {
        match record.phase.clone() {
            StepPhase::Assigned { member, token, at: began, .. } if verdict == Verdict::Finished => {
                let evidence = format!("{member} was lost; the database was judged finished ({})", judged.as_deref().unwrap_or(""));
                record.phase =
                    StepPhase::Done { member, token, began, ended: at.time, evidence, action_ms: None };
            }
            StepPhase::Assigned { member, token, .. } => {
                let text = format!("{member} was lost and is proven out; the database reads {}", judged.as_deref().unwrap_or("nothing"));
                record.phase = StepPhase::Failed {
                    member,
                    token,
                    at: at.time,
                    code: Word::UpgraderLost.into(),
                    text,
                    verdict: Some(verdict),
                };
            }
            StepPhase::Failed { member, token, at, code, text, verdict: old } => {
                // What was read after the holder was proven out is the last word, if anything was read.
                let verdict = if judged.is_some() { Some(verdict) } else { old.or(Some(verdict)) };
                record.phase = StepPhase::Failed { member, token, at, code, text, verdict };
            }
            StepPhase::Pending | StepPhase::Done { .. } | StepPhase::NotNeeded => {}
        }
    }
    let left = match rollout.record(upgrade.id).map(|r| &r.phase) {
        Some(StepPhase::Done { .. } | StepPhase::NotNeeded) => return,
        Some(StepPhase::Failed { verdict, .. }) => verdict.unwrap_or(Verdict::Touched),
        Some(StepPhase::Pending | StepPhase::Assigned { .. }) | None => {
            if never_begun(rollout, &upgrade) { Verdict::Untouched } else { verdict }
        }
    };
    if let Some(grant) = rollout.grants.get_mut(database) {
        grant.verdict = Some(left);
    }
    let failed = matches!(rollout.record(upgrade.id).map(|r| &r.phase), Some(StepPhase::Failed { .. }));
    // A person may still record a finished upgrade as done; then the other steps of the grant are done as well.
    if !(failed && left == Verdict::Finished) {
        begin_anew(rollout, database);
    }
}

/// Whether the tool was never started and nothing else can tell: without a value before, the judge does not know
/// `untouched`.
fn never_begun(rollout: &Rollout, upgrade: &Step) -> bool {
    let untried = rollout.record(upgrade.id).is_none_or(|record| record.attempt == Attempt(0));
    untried && matches!(&upgrade.action, Action::UpgradeDatabase(action) if action.schema.before.is_empty())
}

/// The steps around the upgrade belong to one grant: with the next one they are made again. What failed stays failed.
pub(super) fn begin_anew(rollout: &mut Rollout, database: &DatabaseName) {
    let again: Vec<_> = rollout
        .plan
        .steps
        .iter()
        .filter(|s| s.grant.as_ref() == Some(database) && s.action.kind() != ActionKind::UpgradeDatabase)
        .map(|s| s.id)
        .collect();
    for id in again {
        if let Some(record) = rollout.steps.get_mut(&id)
            && !matches!(record.phase, StepPhase::Failed { .. })
        {
            record.phase = StepPhase::Pending;
        }
    }
}

/// A planted bug: the holder is taken for out, and its attempt for one that changed nothing.
pub(super) fn forget(rollout: &mut Rollout, at: &At<'_>, database: &DatabaseName) {
    closed(rollout, at, database);
    if let Some(upgrade) = upgrade_step(rollout, database).map(|step| step.id)
        && let Some(record) = rollout.steps.get_mut(&upgrade)
        && let StepPhase::Failed { verdict, .. } = &mut record.phase
    {
        *verdict = Some(Verdict::Untouched);
    }
}

/// The judge: what a schema's version means. Without a known value it never says anything but `touched`.
pub fn judge(schema: &SchemaJudge, value: &str) -> Verdict {
    if !schema.after.is_empty() && value == schema.after {
        Verdict::Finished
    } else if !schema.before.is_empty() && value == schema.before {
        Verdict::Untouched
    } else {
        Verdict::Touched
    }
}
