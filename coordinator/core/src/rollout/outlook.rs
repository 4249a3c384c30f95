//! What could happen next to every unsettled step: the one analysis behind `next` and `why`.

use super::{
    apply::{grant_first_step, is_shutting},
    command::Command,
    elect, floor, loss,
    next::Facts,
    rejection::Rejection,
    remedy,
    state::{GrantState, Rollout, Status, StepPhase},
    survey::{Frontier, Runs},
    why::{Owner, Why},
    word::Word,
};
use crate::{
    ids::{Attempt, DatabaseName, MemberName},
    plan::{ActionKind, SharedTarget, Step, Way, Who},
};
use std::collections::BTreeSet;

/// What can be said of one unsettled step.
#[derive(Debug, Clone, PartialEq)]
pub enum Outlook {
    /// The leader should propose this.
    Ready(Command),
    /// An agent has it.
    UnderWay,
    /// Not yet.
    Waits(Why),
}

/// Every unsettled step of the present direction, in the plan's order, with its outlook.
pub fn outlook<'a>(rollout: &'a Rollout, facts: &Facts) -> Vec<(&'a Step, Outlook)> {
    let shutting = rollout.plan.steps.iter().filter(|s| is_shutting(rollout, s));
    let way = rollout.way_steps().iter();
    let survey = (Frontier::of(rollout), Runs::of(rollout));
    let mut seen = BTreeSet::new();
    let mut result = Vec::new();
    for step in shutting.chain(way) {
        let Some(record) = rollout.record(step.id) else { continue };
        if record.phase.is_settled() || !seen.insert(step.id) {
            continue;
        }
        result.push((step, one(rollout, facts, &survey, step, &record.phase)));
    }
    result
}

/// Whether a step needs the facts the approval rests on to be still so. Up to the point of no return that is its own step;
/// an adoption has passed it by hand, so there it is every step until a release is switched, which changes the facts.
fn rests_on_facts(rollout: &Rollout, step: &Step) -> bool {
    if rollout.plan.adopt.is_none() {
        return step.irreversible && rollout.no_return.is_none();
    }
    let switched = |s: &Step| {
        s.action.kind() == ActionKind::SwitchRelease
            && rollout.record(s.id).is_some_and(|record| record.attempt > Attempt(0))
    };
    rollout.way_of(step.id) == Way::Forward && !rollout.plan.steps.iter().any(switched)
}

fn one(
    rollout: &Rollout,
    facts: &Facts,
    (frontier, runs): &(Frontier, Runs<'_>),
    step: &Step,
    phase: &StepPhase,
) -> Outlook {
    let waits = |word: Word, text: String, owner: Owner, remedy: &str| {
        Outlook::Waits(Why::of_step(rollout, step, word.as_str(), text, owner, remedy))
    };
    match phase {
        StepPhase::Assigned { .. } => return Outlook::UnderWay,
        StepPhase::Failed { code, text, .. } => {
            let advice = remedy::of_failed(rollout, step);
            let text = advice.text_after(text);
            return Outlook::Waits(Why::of_step(rollout, step, code, text, advice.owner, &advice.remedy));
        }
        StepPhase::Pending | StepPhase::Done { .. } | StepPhase::NotNeeded => {}
    }
    if !is_shutting(rollout, step) {
        match &rollout.status {
            Status::Running | Status::Aborting | Status::Restoring => {}
            Status::Paused { by, reason, .. } => {
                let text = format!("paused by {by}: {reason}");
                return waits(Word::Paused, text, Owner::Person, "lockkeeper resume");
            }
            Status::Halted { cause, .. } => {
                return waits(
                    Word::Halted,
                    format!("halted: {}", cause.code()),
                    Owner::Person,
                    "lockkeeper status --why",
                );
            }
            Status::Completed { .. } | Status::Aborted { .. } | Status::Restored { .. } => {
                return Outlook::UnderWay;
            }
        }
        if let Err(rejection) = frontier.check(rollout, step).and_then(|()| runs.check(rollout, step)) {
            let (owner, remedy) = order_remedy(rollout, facts, step, &rejection);
            return waits(order_word(&rejection), rejection.to_string(), owner, &remedy);
        }
    }
    if rests_on_facts(rollout, step)
        && let Some(difference) = &facts.bound_differs
    {
        let text = format!("facts the approval rests on have changed: {difference}");
        return waits(
            Word::FactsChanged,
            text,
            Owner::Person,
            "lockkeeper abort, then plan and approve anew",
        );
    }
    if let Some((word, text)) = floor::broken_by(rollout, facts, step) {
        return waits(word, text, Owner::Person, "bring the missing agents back, see lockkeeper members");
    }
    match choose(rollout, facts, step) {
        Choice::Now(command) => Outlook::Ready(command),
        Choice::Nobody { word, text } => {
            waits(word, text, Owner::Person, "bring its agent back, see lockkeeper members")
        }
    }
}

fn order_word(rejection: &Rejection) -> Word {
    match rejection {
        Rejection::SerialBusy { .. } => Word::Serial,
        Rejection::LossNotAccepted { .. } => Word::LossNotAccepted,
        _ => Word::Order,
    }
}

/// Who ends a wait for something else, and how. A way back waits for what is under way; when its agent is gone, only a
/// person can end that.
fn order_remedy(rollout: &Rollout, facts: &Facts, step: &Step, rejection: &Rejection) -> (Owner, String) {
    match rejection {
        Rejection::LossNotAccepted { rows } => (Owner::Person, loss::acceptance(*rows)),
        Rejection::NotReady { waits_for, .. } if rollout.way_of(*waits_for) != rollout.way_of(step.id) => {
            match rollout.record(*waits_for).map(|r| &r.phase) {
                Some(StepPhase::Assigned { member, .. }) if !facts.is_alive(member, rollout) => {
                    (Owner::Person, format!("bring {member}'s agent back: it has step {waits_for}"))
                }
                Some(_) | None => (Owner::Rollout, "nothing to do".to_owned()),
            }
        }
        _ => (Owner::Rollout, "nothing to do".to_owned()),
    }
}

enum Choice {
    Now(Command),
    Nobody { word: Word, text: String },
}

/// Who does the step now, or what must be committed before anybody can.
fn choose(rollout: &Rollout, facts: &Facts, step: &Step) -> Choice {
    let assign = |member: &MemberName| {
        Choice::Now(Command::Assign { rollout: rollout.id, step: step.id, member: member.clone() })
    };
    let away = |member: &MemberName| Choice::Nobody {
        word: Word::MemberAway,
        text: format!("{member} has not been heard of for {}", facts.silence(member)),
    };
    match &step.who {
        Who::Member(member) if facts.is_alive(member, rollout) => assign(member),
        Who::Member(member) => away(member),
        Who::Executor => by_executor(rollout, facts, step, None, assign),
        Who::ExecutorNotHolder => {
            let holder = step.grant.as_ref().and_then(|d| rollout.grants.get(d)).map(|g| g.member.clone());
            by_executor(rollout, facts, step, holder.as_ref(), assign)
        }
        Who::Holder(database) => match rollout.grants.get(database) {
            Some(grant) if grant.state == GrantState::Open && facts.is_alive(&grant.member, rollout) => {
                assign(&grant.member)
            }
            Some(grant) if grant.state != GrantState::Closed => away(&grant.member),
            Some(_) | None => elect_now(rollout, facts, step, database),
        },
    }
}

fn by_executor(
    rollout: &Rollout,
    facts: &Facts,
    step: &Step,
    never: Option<&MemberName>,
    assign: impl Fn(&MemberName) -> Choice,
) -> Choice {
    let Some(target) = step.target.shared() else {
        return Choice::Nobody {
            word: Word::BadPlan,
            text: format!("step {} has no shared target", step.id),
        };
    };
    match rollout.executors.get(&target) {
        Some(member) if Some(member) != never && facts.is_alive(member, rollout) => assign(member),
        Some(_) | None => match elect::executor(rollout, facts, &target, never) {
            Some(member) => Choice::Now(Command::SetExecutor { rollout: rollout.id, target, member }),
            None => Choice::Nobody {
                word: Word::NoExecutor,
                text: format!("no executor of {target} is heard of"),
            },
        },
    }
}

fn elect_now(rollout: &Rollout, facts: &Facts, step: &Step, database: &DatabaseName) -> Choice {
    // Only the grant's first step asks for an election; the others wait for it by their order.
    if grant_first_step(rollout, database).map(|s| s.id) != Some(step.id) {
        return Choice::Nobody { word: Word::NoGrant, text: format!("no grant is open for {database}") };
    }
    let Some(member) = elect::upgrader(rollout, facts, database) else {
        let text = match rollout.successors.get(database) {
            Some(named) => format!(
                "{named}, which the take-over of {database} named, is not heard of; `lockkeeper takeover` may name another"
            ),
            None => format!("no member that may upgrade {database} is heard of"),
        };
        return Choice::Nobody { word: Word::NoUpgrader, text };
    };
    let target = SharedTarget::Database(database.clone());
    if rollout.executors.get(&target) != Some(&member) {
        return Choice::Now(Command::Elect { rollout: rollout.id, database: database.clone(), member });
    }
    match elect::executor(rollout, facts, &target, Some(&member)) {
        Some(other) => Choice::Now(Command::SetExecutor { rollout: rollout.id, target, member: other }),
        None => Choice::Nobody {
            word: Word::NoExecutor,
            text: format!("{member} would have to work the door and hold the grant of {database}"),
        },
    }
}
