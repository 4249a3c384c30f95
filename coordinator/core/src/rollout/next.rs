//! What the leader proposes now. Runs on the leader alone, on what it observes; `apply` checks all of it again.

use super::{
    apply::{may_finish, may_regrant},
    command::{Command, HaltCause},
    outlook::{Outlook, outlook},
    state::{GrantState, Rollout, State, Status, StepPhase},
};
use crate::{
    ids::{Attempt, MemberName, StepId},
    plan::{Step, Who},
    time::{BootTime, Millis},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long past its hard deadline an assignment may stay unanswered: the agent ends the attempt itself at the
/// deadline, and needs this to kill a unit (10 s grace) and to report.
pub const ANSWER_GRACE: Millis = Millis::from_secs(20);

/// What the leader observes, on its own boot clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Now.
    pub now: BootTime,
    /// The leader itself.
    pub me: MemberName,
    /// Since when it leads; deadlines are restarted in full by a new leader.
    pub leading_since: BootTime,
    /// What was heard of whom.
    pub members: BTreeMap<MemberName, MemberSight>,
    /// When this leader first saw each assignment.
    #[serde(with = "super::pairs")]
    pub assigned: BTreeMap<(StepId, Attempt), BootTime>,
    /// How the bound facts differ from what is observed now, if they do.
    pub bound_differs: Option<String>,
}

/// What the leader knows of one agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSight {
    /// When it was last heard of.
    pub last_seen: Option<BootTime>,
}

impl Facts {
    /// How long a member has been silent; at most as long as this leader leads.
    pub fn silence(&self, member: &MemberName) -> Millis {
        let seen = self.members.get(member).and_then(|m| m.last_seen);
        self.now.since(seen.map_or(self.leading_since, |s| s.max(self.leading_since)))
    }

    /// Whether a member counts as present.
    pub fn is_alive(&self, member: &MemberName, rollout: &Rollout) -> bool {
        *member == self.me || self.silence(member) < rollout.plan.policy.lost_after
    }
}

/// Everything the leader should propose, in order. Proposing it twice, or late, is harmless.
pub fn next(state: &State, facts: &Facts) -> Vec<Command> {
    let Some(rollout) = &state.rollout else { return Vec::new() };
    if let Some(halt) = lost(rollout, facts) {
        return vec![halt];
    }
    if let Some(database) = rollout.grants.keys().find(|database| may_regrant(rollout, database).is_ok()) {
        return vec![Command::Regrant { rollout: rollout.id, database: database.clone() }];
    }
    if matches!(rollout.status, Status::Running | Status::Aborting | Status::Restoring)
        && may_finish(rollout).is_ok()
    {
        return vec![Command::Finish { rollout: rollout.id }];
    }
    let mut commands: Vec<Command> = Vec::new();
    let mut inside: BTreeMap<&str, &MemberName> = BTreeMap::new();
    for (step, outlook) in outlook(rollout, facts) {
        match outlook {
            // Several steps may wait for one executor or election; each asks for it, once is enough.
            Outlook::Ready(command) if is_news(&commands, &command) && enters(&mut inside, step) => {
                commands.push(command);
            }
            Outlook::Ready(_) | Outlook::UnderWay | Outlook::Waits(_) => {}
        }
    }
    commands
}

/// Whether a command is not proposed already. An assignment names its own step, so it never is.
fn is_news(commands: &[Command], command: &Command) -> bool {
    matches!(command, Command::Assign { .. }) || !commands.contains(command)
}

/// Whether a step's member may enter its serial run beside what is proposed already. A second member would be rejected,
/// and a rejected proposal is not repeated for a while: the outage would wait for nothing.
fn enters<'a>(inside: &mut BTreeMap<&'a str, &'a MemberName>, step: &'a Step) -> bool {
    let Some(serial) = &step.serial else { return true };
    *inside.entry(&serial.run).or_insert(&serial.member) == &serial.member
}

/// An assignment whose agent is gone or silent past the deadline. Time only ever causes a halt.
fn lost(rollout: &Rollout, facts: &Facts) -> Option<Command> {
    let halted = matches!(rollout.status, Status::Halted { .. });
    let halt = |cause| Some(Command::Halt { rollout: rollout.id, cause });
    for (database, grant) in &rollout.grants {
        if grant.state == GrantState::Open && !facts.is_alive(&grant.member, rollout) {
            let cause = HaltCause::UpgraderLost { member: grant.member.clone(), database: database.clone() };
            return halt(cause);
        }
    }
    if halted {
        return None;
    }
    for (id, record) in &rollout.steps {
        let StepPhase::Assigned { member, .. } = &record.phase else { continue };
        let Some(step) = rollout.step(*id) else { continue };
        if !facts.is_alive(member, rollout) && !matches!(step.who, Who::Holder(_)) {
            return halt(HaltCause::MemberLost { member: member.clone(), step: *id });
        }
        let since = facts.assigned.get(&(*id, record.attempt)).copied().unwrap_or(facts.now);
        if facts.now.since(since).0 > step.deadline.hard.0 + ANSWER_GRACE.0 {
            return halt(HaltCause::NoAnswer { member: member.clone(), step: *id });
        }
    }
    None
}
