//! `apply`: the only way the replicated state changes. Small, exhaustive, and it cannot fail.
//!
//! Everything safety rests on is checked here again, whatever the leader believed when it proposed.

mod assign;
mod control;
mod finish;
mod grant;
pub mod legal;
mod membership;
mod outcome;
mod owed;
mod plans;
mod takeover;
mod trust;
mod recover;
mod restore;

use super::{
    command::{Command, Envelope, Reply},
    limits,
    rejection::Rejection,
    state::{Rollout, State},
};
use crate::{
    audit::AuditEntry,
    identity::{Actor, Right},
    ids::{LogIndex, RequestId, RolloutId},
    plant::{self, Plant},
    time::LogTime,
};
use legal::StatusKind;

pub(super) use assign::is_shutting;
pub(super) use control::failed_steps;
pub(super) use finish::may_finish;
pub use grant::judge;
pub(super) use grant::first_step as grant_first_step;
pub(super) use takeover::{Way, may_regrant, may_take_over};

/// Where in the log and when a command takes effect, and who is behind it.
pub(super) struct At<'a> {
    index: LogIndex,
    time: LogTime,
    id: &'a RequestId,
    actor: Option<&'a Actor>,
    trace: &'a str,
}

/// Applies the command at `index`. The same prefix of commands gives the same state on every build.
pub fn apply(state: &mut State, index: LogIndex, envelope: &Envelope) -> Reply {
    apply_audited(state, index, envelope).0
}

/// [`apply`] with the entry it added to the audit; none for a request that was answered before.
pub fn apply_audited(state: &mut State, index: LogIndex, envelope: &Envelope) -> (Reply, Option<AuditEntry>) {
    state.applied = index;
    state.time = state.time.max(envelope.time);
    if let Some((_, reply)) = state.requests.iter().find(|(id, _)| envelope.actor.is_some() && *id == envelope.id) {
        return (reply.clone(), None);
    }
    if plant::is(Plant::ApplyDrifts) && plant::now_and_then() {
        state.audit.count += 1;
    }
    let at = At {
        index,
        time: state.time,
        id: &envelope.id,
        actor: envelope.actor.as_ref(),
        trace: &envelope.trace,
    };
    let reply = match change(state, &at, &envelope.command) {
        Ok(rollout) => Reply::Applied { index, rollout },
        Err(rejection) => Reply::Rejected(rejection),
    };
    let entry = AuditEntry::new(&state.audit, index, state.time, envelope, &reply);
    state.audit = entry.head();
    if envelope.actor.is_some() {
        if state.requests.len() >= limits::REQUESTS_KEPT {
            state.requests.pop_front();
        }
        state.requests.push_back((envelope.id.clone(), reply.clone()));
    }
    (reply, Some(entry))
}

fn change(state: &mut State, at: &At<'_>, command: &Command) -> Result<Option<RolloutId>, Rejection> {
    if command.feature() > state.floor() {
        return Err(Rejection::FeatureMissing { needs: command.feature(), has: state.floor() });
    }
    let status = state.rollout.as_ref().map(|r| StatusKind::of(&r.status));
    legal::check(status, command.kind(), state.rollout.as_ref())?;
    match command {
        Command::Init { cluster, name, generation } => membership::init(state, cluster, name, *generation)?,
        Command::Enrol(enrol) => membership::enrol(state, at, enrol)?,
        Command::TokenCreate { hash, member, expires } => {
            membership::token_create(state, at, hash, member, *expires)?;
        }
        Command::Announce { member, agent_version, feature, actions } => {
            membership::announce(state, member, agent_version, *feature, actions)?;
        }
        Command::SetCluster { text, profile, spec } => plans::set_cluster(state, at, text, profile, spec)?,
        Command::Approve { plan, reference } => plans::approve(state, at, plan, reference)?,
        Command::Apply { plan } => return plans::start(state, at, plan).map(Some),
        Command::SetExecutor { rollout, target, member } => {
            assign::set_executor(state, at, *rollout, target, member)?;
        }
        Command::Elect { rollout, database, member } => grant::elect(state, at, *rollout, database, member)?,
        Command::Assign { rollout, step, member } => assign::assign(state, at, *rollout, *step, member)?,
        Command::OwedIntent { attempt, captured } => owed::intent(state, at, attempt, captured)?,
        Command::ReportBlocked { attempt, blocked } => outcome::blocked(state, at, attempt, blocked.as_ref())?,
        Command::Outcome { attempt, result } => outcome::outcome(state, at, attempt, result)?,
        Command::Pause { reason } => control::pause(state, at, reason)?,
        Command::Resume => control::resume(state, at)?,
        Command::Abort { reason } => control::abort(state, at, reason)?,
        Command::Retry { step } => control::retry(state, at, *step)?,
        Command::AcceptOwed { key, reason } => owed::accept(state, at, key, reason)?,
        Command::Halt { rollout, cause } => control::halt(state, at, *rollout, cause)?,
        Command::Trust(command) => trust::change(state, at, command)?,
        Command::Recover { generation, lost, reason } => recover::recover(state, at, *generation, lost, reason)?,
        Command::GuardOpened { member, opening } => membership::guard_opened(state, member, opening)?,
        Command::Restore { reason, accept_loss } => restore::restore(state, at, reason, *accept_loss)?,
        Command::Finish { rollout } => return finish::finish(state, at, *rollout).map(Some),
        Command::Takeover { database, to, reason } => takeover::takeover(state, at, database, to.as_ref(), reason)?,
        Command::Regrant { rollout, database } => takeover::regrant(state, at, *rollout, database)?,
    }
    Ok(state.rollout.as_ref().map(|r| r.id))
}

/// The active rollout.
fn active(state: &mut State) -> Result<&mut Rollout, Rejection> {
    state.rollout.as_mut().ok_or(Rejection::NoRollout)
}

/// The active rollout, if it is the one that is meant.
fn active_is(state: &mut State, id: RolloutId) -> Result<&mut Rollout, Rejection> {
    state.rollout.as_mut().filter(|r| r.id == id).ok_or(Rejection::NoRollout)
}

impl At<'_> {
    /// The person behind the command, if the role carries `right`.
    fn actor(&self, right: Right) -> Result<&Actor, Rejection> {
        let actor = self.actor.ok_or_else(|| Rejection::Forbidden { actor: "nobody".into(), role: "none".into() })?;
        if actor.role.may(right) {
            Ok(actor)
        } else {
            Err(Rejection::Forbidden { actor: actor.name.clone(), role: actor.role.to_string() })
        }
    }
}
