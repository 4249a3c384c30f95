//! What a person can do about a halt or a failed step, as the exact command where there is one. Asks the same questions
//! as `apply`, so that what is advised is accepted.

use super::{
    apply::{Way, failed_steps, may_regrant, may_take_over},
    command::{HaltCause, Verdict},
    marks::TWIN_GROUP,
    rejection::Rejection,
    state::{GrantState, Rollout, StepPhase},
    why::Owner,
};
use crate::{
    ids::{DatabaseName, StepId},
    plan::{ActionKind, Step},
};

/// Who can end a wait, and how.
pub(super) struct Advice {
    pub owner: Owner,
    pub remedy: String,
    /// What is known beyond the cause.
    more: String,
}

impl Advice {
    fn person(remedy: String) -> Self {
        Self { owner: Owner::Person, remedy, more: String::new() }
    }

    /// The cause's text with what is known beyond it.
    pub fn text_after(&self, cause: &str) -> String {
        if self.more.is_empty() { cause.to_owned() } else { format!("{cause}; {}", self.more) }
    }
}

/// For one failed step.
pub(super) fn of_failed(rollout: &Rollout, step: &Step) -> Advice {
    if matches!(rollout.record(step.id).map(|r| &r.phase), Some(StepPhase::Failed { code, .. }) if code == TWIN_GROUP) {
        return of_twin(rollout, step.id);
    }
    let lost = step.grant.as_ref().and_then(|d| rollout.grants.get(d)).is_some_and(|grant| grant.lost);
    let upgrade = step.grant.as_ref().filter(|_| step.action.kind() == ActionKind::UpgradeDatabase);
    let retry = format!("lockkeeper retry {}", step.id);
    let Some(database) = upgrade else {
        let also = may_restore(rollout) && rollout.restore.is_none();
        return Advice::person(if also { format!("{retry} (or: lockkeeper restore --reason R)") } else { retry });
    };
    match of_upgrade(rollout, database) {
        Some((Some(Way::Further), advice)) if !lost => {
            let remedy = format!("mend the cause, then {retry} (or: {})", advice.remedy);
            Advice { remedy, ..advice }
        }
        Some((_, advice)) => advice,
        None => Advice::person(match failed_close(rollout, database) {
            // Nobody gets another grant before this one is closed.
            Some(close) => format!("mend the cause, then lockkeeper retry {}", close.id),
            None => retry,
        }),
    }
}

/// Which of two groups is the real one only people know.
fn of_twin(rollout: &Rollout, step: StepId) -> Advice {
    let cluster = &rollout.plan.bound.cluster_id;
    Advice::person(format!(
        "if this group is the copy: switch all of it off; if it is the original: switch the copy off, take group {cluster} out of \
         the database's ledger as `lockkeeper explain twin-group` says, then lockkeeper retry {step}"
    ))
}

/// The step that closes the database's grant, if it failed.
fn failed_close<'a>(rollout: &'a Rollout, database: &DatabaseName) -> Option<&'a Step> {
    let closes = |s: &&Step| s.grant.as_ref() == Some(database) && s.action.kind() == ActionKind::CloseGrant;
    let close = rollout.plan.steps.iter().find(closes)?;
    matches!(rollout.record(close.id)?.phase, StepPhase::Failed { .. }).then_some(close)
}

/// Whether a restore would be taken: the point of no return is passed and every holder is proven out.
fn may_restore(rollout: &Rollout) -> bool {
    rollout.no_return.is_some()
        && !rollout.plan.restore.is_empty()
        && rollout.grants.values().all(|grant| grant.state == GrantState::Closed)
}

/// For a halted rollout. As long as a step is failed, only trying that again helps, whatever the first cause was.
pub(super) fn of_halt(rollout: &Rollout, cause: &HaltCause) -> Advice {
    if let HaltCause::UpgraderLost { database, .. } = cause
        && let Some((_, advice)) = of_upgrade(rollout, database)
    {
        return advice;
    }
    if let HaltCause::TwinGroup { step } = cause {
        return of_twin(rollout, *step);
    }
    let failed = failed_steps(rollout).next().and_then(|id| rollout.step(id));
    if let Some(step) = failed.filter(|step| step.action.kind() == ActionKind::UpgradeDatabase) {
        return of_failed(rollout, step);
    }
    let first = match cause {
        HaltCause::StepFailed { .. } => "mend the cause".to_owned(),
        HaltCause::MemberLost { member, .. }
        | HaltCause::UpgraderLost { member, .. }
        | HaltCause::NoAnswer { member, .. } => format!("bring {member}'s agent back"),
        HaltCause::OwedDiffers { key } => format!("put {key} right by hand"),
        HaltCause::Recovered { .. } => "let the lost members join anew".to_owned(),
        HaltCause::TwinGroup { .. } => "switch the copy off".to_owned(),
    };
    Advice::person(match failed {
        Some(step) => format!("{first}, then lockkeeper retry {}", step.id),
        None => format!("{first}, then lockkeeper resume"),
    })
}

/// What is to be done about an upgrade that is not done and whose holder is out or on its way; none when something
/// else comes first.
fn of_upgrade(rollout: &Rollout, database: &DatabaseName) -> Option<(Option<Way>, Advice)> {
    let grant = rollout.grants.get(database)?;
    let wait = |more: String| Advice { owner: Owner::Rollout, remedy: "nothing to do".into(), more };
    match grant.state {
        GrantState::Open => return None,
        GrantState::Closing => {
            // Then the closing itself has to be tried again first.
            if failed_close(rollout, database).is_some() {
                return None;
            }
            let more = format!("{} is being shut out of {database}, then {database} is judged", grant.member);
            return Some((None, wait(more)));
        }
        GrantState::Closed => {}
    }
    let verdict = match grant.verdict {
        Some(Verdict::Untouched) => "untouched",
        Some(Verdict::Finished) => "finished",
        Some(Verdict::Touched) | None => "touched",
    };
    let judged = format!("{} is proven out of {database}, which was judged {verdict}", grant.member);
    if may_regrant(rollout, database).is_ok() {
        return Some((None, wait(format!("{judged}: another grant follows, as the plan says"))));
    }
    let command = format!("lockkeeper takeover {database} --reason R");
    match may_take_over(rollout, database) {
        Ok(way @ Way::Further) => Some((Some(way), Advice { more: judged, ..Advice::person(command) })),
        Ok(way @ Way::Record) => {
            let more = format!("{judged}: the command records that");
            Some((Some(way), Advice { more, ..Advice::person(command) }))
        }
        Err(Rejection::RestoreNeeded) => {
            let more = format!("{judged}, and its tool does not resume");
            let remedy = if may_restore(rollout) {
                format!("lockkeeper restore --reason R (back to {})", rollout.plan.from)
            } else {
                format!("restore the proven backup set, then {command}")
            };
            Some((None, Advice { more, ..Advice::person(remedy) }))
        }
        Err(_) => None,
    }
}
