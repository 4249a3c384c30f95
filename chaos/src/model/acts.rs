//! What can happen next at a node, and what becomes of it.

use super::{
    outside::{Broken, Outside, Service, Stage},
    start::{commit, person},
};
use lockkeeper_core::{
    identity::{Actor, Role},
    ids::{MemberName, StepId},
    plan::{Action, Step},
    rollout::{
        Assignment, Command, Facts, MemberSight, OutcomeResult, Reply, State, Status, StepPhase,
        assignments_for, command::AttemptRef, next, state::GrantState,
    },
    time::BootTime,
};
use std::{collections::BTreeMap, fmt};

/// More tries of one step are not looked at.
const ATTEMPTS_MAX: u32 = 2;

/// Later than any silence that is tolerated.
const NOW: BootTime = BootTime(1_000_000);

/// A point that can be come to.
#[derive(Debug, Clone)]
pub struct Node {
    pub state: State,
    pub outside: Outside,
}

/// Something that can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// The leader or a person commits this.
    Commit(Option<Actor>, Box<Command>),
    /// An agent begins an effect.
    Begin(AttemptRef),
    /// The upgrade writes a part.
    Touch,
    /// An effect lands.
    Land(AttemptRef),
    /// An agent reports.
    Report(AttemptRef, Box<OutcomeResult>),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |attempt: &AttemptRef| {
            format!(
                "{}: step {} attempt {} token {}",
                attempt.member, attempt.step, attempt.attempt, attempt.token
            )
        };
        match self {
            Act::Commit(None, command) => write!(f, "the leader commits {command:?}"),
            Act::Commit(Some(actor), command) => write!(f, "{} commits {command:?}", actor.name),
            Act::Begin(attempt) => write!(f, "{} begins", of(attempt)),
            Act::Touch => write!(f, "the upgrade writes a part"),
            Act::Land(attempt) => write!(f, "{} takes effect", of(attempt)),
            Act::Report(attempt, result) => write!(f, "{} reports {result:?}", of(attempt)),
        }
    }
}

impl Node {
    fn step(&self, id: StepId) -> Option<Step> {
        let past = self.state.history.back().map(AsRef::as_ref);
        self.state.rollout.as_ref().or(past)?.step(id).cloned()
    }

    /// Facts in which these are silent and all others were just heard of.
    fn facts(&self, me: &MemberName, silent: Option<&MemberName>) -> Facts {
        let sight = |member: &MemberName| {
            let last_seen = (Some(member) != silent).then_some(NOW);
            (member.clone(), MemberSight { last_seen })
        };
        Facts {
            now: NOW,
            me: me.clone(),
            leading_since: BootTime(0),
            members: self.state.nodes.keys().map(sight).collect(),
            assigned: BTreeMap::new(),
            bound_differs: None,
        }
    }

    /// What a leader proposes while everybody is heard of.
    pub fn quiet_commands(&self) -> Vec<Command> {
        let Some(me) = self.state.nodes.keys().next() else { return Vec::new() };
        next(&self.state, &self.facts(me, None))
    }

    /// Everything that can happen next.
    pub fn acts(&self) -> Vec<Act> {
        let mut acts: Vec<Act> = Vec::new();
        let names: Vec<_> = self.state.nodes.keys().cloned().collect();
        let mut commands = self.quiet_commands();
        for silent in &names {
            // Whoever leads is never silent to itself.
            if let Some(me) = names.iter().find(|name| *name != silent) {
                let more = next(&self.state, &self.facts(me, Some(silent)));
                commands.extend(
                    more.into_iter().filter(|command| !commands.contains(command)).collect::<Vec<_>>(),
                );
            }
        }
        acts.extend(commands.into_iter().map(|command| Act::Commit(None, Box::new(command))));
        acts.extend(self.of_agents(&names));
        acts.extend(self.of_people());
        acts
    }

    fn of_agents(&self, names: &[MemberName]) -> Vec<Act> {
        let mut acts = Vec::new();
        for assignment in names.iter().flat_map(|name| assignments_for(&self.state, name)) {
            let attempt = assignment.attempt.clone();
            match self.outside.attempts.get(&attempt) {
                None if assignment.wanted => acts.push(Act::Begin(attempt)),
                None => acts.push(Act::Report(attempt, Box::new(OutcomeResult::Dropped))),
                Some(Stage::Begun) => {
                    acts.push(Act::Land(attempt.clone()));
                    acts.push(Act::Report(attempt, Box::new(self.failed(&assignment))));
                }
                Some(Stage::Landed) => {
                    acts.push(Act::Report(attempt.clone(), Box::new(self.done(&assignment))));
                    acts.push(Act::Report(attempt, Box::new(self.failed(&assignment))));
                }
                Some(Stage::Refused) => acts.push(Act::Report(attempt, Box::new(self.failed(&assignment)))),
            }
        }
        // What was begun lands some time, also when nobody waits for it any more.
        for (attempt, stage) in &self.outside.attempts {
            let act = Act::Land(attempt.clone());
            if *stage == Stage::Begun && !acts.contains(&act) {
                acts.push(act);
            }
        }
        if !self.outside.inside.is_empty() && self.outside.schema == 0 {
            acts.push(Act::Touch);
        }
        acts
    }

    fn done(&self, assignment: &Assignment) -> OutcomeResult {
        let outputs = match &assignment.step.action {
            Action::CloseGrant(step) => {
                [(format!("judge.{}", step.database), self.outside.schema_text().to_owned())].into()
            }
            Action::MintCredential(step) => {
                [(format!("grant.{}.verifier", step.database), "v".to_owned())].into()
            }
            _ => BTreeMap::new(),
        };
        let read_back = assignment.captured.clone();
        OutcomeResult::Done { evidence: String::new(), outputs, read_back, action_ms: None }
    }

    fn failed(&self, assignment: &Assignment) -> OutcomeResult {
        let verdict =
            matches!(assignment.step.action, Action::UpgradeDatabase(_)).then(|| self.outside.verdict());
        OutcomeResult::Failed { code: "model".into(), text: String::new(), verdict }
    }

    fn of_people(&self) -> Vec<Act> {
        let Some(rollout) = &self.state.rollout else { return Vec::new() };
        let by = |command| Act::Commit(person("ola", Role::Operator), Box::new(command));
        let reason = String::from("r");
        let mut acts = Vec::new();
        match rollout.status {
            Status::Running => acts.push(by(Command::Pause { reason: reason.clone() })),
            Status::Paused { .. } | Status::Halted { .. } => acts.push(by(Command::Resume)),
            Status::Aborting
            | Status::Restoring
            | Status::Completed { .. }
            | Status::Aborted { .. }
            | Status::Restored { .. } => {}
        }
        if rollout.abort.is_none() {
            acts.push(by(Command::Abort { reason }));
        }
        for (database, grant) in &rollout.grants {
            if grant.state == GrantState::Closed && matches!(rollout.status, Status::Halted { .. }) {
                let (database, reason) = (database.clone(), String::from("r"));
                acts.push(by(Command::Takeover { database, to: None, reason }));
            }
        }
        for (step, record) in &rollout.steps {
            if matches!(record.phase, StepPhase::Failed { .. }) && record.attempt.0 < ATTEMPTS_MAX {
                acts.push(by(Command::Retry { step: *step }));
            }
        }
        acts
    }

    /// The node after an act; none if nothing came of it.
    pub fn after(&self, act: &Act) -> Result<Option<Node>, Broken> {
        let mut node = self.clone();
        let taken = |reply: &Reply| matches!(reply, Reply::Applied { .. });
        match act {
            Act::Commit(actor, command) => {
                if !taken(&commit(&mut node.state, actor.clone(), command.as_ref().clone())) {
                    return Ok(None);
                }
                node.judge_grants(self)?;
            }
            Act::Begin(attempt) => {
                let Some(step) = self.step(attempt.step) else { return Ok(None) };
                if step.owes.is_some() {
                    let captured = self.captured(attempt, &step);
                    let intent = Command::OwedIntent { attempt: attempt.clone(), captured };
                    if !taken(&commit(&mut node.state, None, intent)) {
                        return Ok(None);
                    }
                }
                node.outside.begin(attempt, &step)?;
            }
            Act::Touch => node.outside.touch(),
            Act::Land(attempt) => {
                let Some(step) = self.step(attempt.step) else { return Ok(None) };
                node.outside.land(attempt, &step)?;
            }
            Act::Report(attempt, result) => {
                let outcome = Command::Outcome { attempt: attempt.clone(), result: result.as_ref().clone() };
                let taken = taken(&commit(&mut node.state, None, outcome));
                node.outside.attempts.remove(attempt);
                if !taken {
                    return Ok(None);
                }
            }
        }
        // Nobody waits for these, and they can do nothing more.
        node.outside
            .attempts
            .retain(|attempt, stage| *stage == Stage::Begun || assigned(&node.state, attempt));
        if self.state.rollout.is_some() && node.state.rollout.is_none() {
            let completed =
                node.state.history.back().is_some_and(|r| matches!(r.status, Status::Completed { .. }));
            node.outside.judge_end(completed)?;
        }
        Ok(Some(node))
    }

    /// A new grant has a token above every earlier one.
    fn judge_grants(&self, before: &Node) -> Result<(), Broken> {
        let grants = |node: &Node| node.state.rollout.as_ref().map(|r| r.grants.clone()).unwrap_or_default();
        let old = grants(before);
        for (database, grant) in grants(self) {
            let differs = old.get(&database).is_some_and(|was| was.token != grant.token);
            if differs && old.get(&database).is_some_and(|was| was.token > grant.token) {
                let text = format!("{database} is granted under {} again", grant.token);
                return Err(Broken { law: "token_monotone", text });
            }
        }
        Ok(())
    }

    fn captured(&self, attempt: &AttemptRef, step: &Step) -> String {
        match &step.action {
            Action::Drain(s) => {
                if self.outside.out.contains(&s.member) { "maint" } else { "ready" }.to_owned()
            }
            Action::ShutDoor(_) => if self.outside.open { "open" } else { "shut" }.to_owned(),
            Action::StopService(_) => {
                let runs = self.outside.services.get(&attempt.member) != Some(&Service::Stopped);
                if runs { "running" } else { "stopped" }.to_owned()
            }
            _ => "v".to_owned(),
        }
    }
}

fn assigned(state: &State, attempt: &AttemptRef) -> bool {
    let record = state.rollout.as_ref().and_then(|rollout| rollout.record(attempt.step));
    record.is_some_and(|record| {
        record.attempt == attempt.attempt && matches!(record.phase, StepPhase::Assigned { .. })
    })
}
