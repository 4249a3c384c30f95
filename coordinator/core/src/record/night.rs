//! One simulated night: a plan carried out by made-up agents and people, with one kind of trouble, without I/O.
//!
//! The real `next` proposes and the real `apply` decides; only what agents and people do is made up, from a seed. What
//! happened is a script that the player can repeat.

mod agents;
mod begin;
mod people;

use super::{
    dice::Dice,
    digest::Digester,
    fault::FaultKind,
    file::FORMAT,
    script::{Decision, Entry, Head, Script},
};
use crate::{
    identity::Actor,
    ids::{Attempt, LogIndex, MemberName, RequestId, StepId},
    plan::Plan,
    rollout::{Command, Envelope, Facts, MemberSight, Reply, State, Status, apply, next},
    time::{BootTime, LogTime, Millis},
};
use agents::Agents;
use people::People;
use serde::Serialize;
use std::collections::BTreeMap;

/// How often a leader looks when nothing happens. A real one looks twice a second; what it decides is the same.
const TICK: u64 = 5_000;

/// Turns after which a night has gone wrong; a rollout of 50 members takes some 2,000.
const TURNS_MAX: u32 = 100_000;

/// How a night ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Everybody is at the target version.
    Completed,
    /// Everything was given back.
    Aborted,
    /// It stopped, and what it advised did not let it go on.
    NeedsPerson,
    /// It neither ended nor stopped: that would be a mistake of the rollout machine.
    Stuck,
}

/// A stop that needed a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Halt {
    /// The cause's word.
    pub code: String,
    /// What the operator is told to do.
    pub remedy: String,
    /// Settings that were owed meanwhile.
    pub owed: usize,
}

/// What came of a night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The first stop that needed a person, if any.
    pub halt: Option<Halt>,
    /// The step that trouble struck; none if it struck nothing.
    pub struck: Option<StepId>,
    /// From the first step of the outage to the first member back in service, or to the end of the night; zero if there
    /// was none.
    pub outage: Millis,
    /// Settings still owed at the end.
    pub owed: usize,
    /// Commands that were committed.
    pub commands: usize,
}

/// A night and its script.
pub struct Night {
    state: State,
    base: State,
    clock: u64,
    leader: MemberName,
    leading_since: u64,
    heard: BTreeMap<MemberName, u64>,
    first_seen: BTreeMap<(StepId, Attempt), u64>,
    refused: Vec<Command>,
    agents: Agents,
    people: People,
    dice: Dice,
    requests: u64,
    entries: Vec<Entry>,
    decisions: Vec<Decision>,
    halt: Option<Halt>,
    outage: (Option<u64>, Option<u64>),
    /// None when nobody wants the script.
    digester: Option<Digester>,
}

impl Night {
    /// Carries the plan out once, with trouble of this kind somewhere; the same seed gives the same night. None for a
    /// plan that names no agent.
    pub fn run(plan: &Plan, kind: FaultKind, seed: u64) -> Option<(Outcome, Script)> {
        Self::through(plan, kind, seed, true)
    }

    /// [`Night::run`] without the script, which is much faster.
    pub fn outcome(plan: &Plan, kind: FaultKind, seed: u64) -> Option<Outcome> {
        Some(Self::through(plan, kind, seed, false)?.0)
    }

    fn through(plan: &Plan, kind: FaultKind, seed: u64, digests: bool) -> Option<(Outcome, Script)> {
        let mut night = begin::begin(plan, kind, seed)?;
        night.digester = digests.then(Digester::default);
        night.start(plan);
        let ending = night.pass();
        let owed = night.last().map_or(0, |r| r.owed_open().count());
        let (began, ended) = night.outage;
        let outage = began.map_or(0, |b| ended.unwrap_or(night.clock).saturating_sub(b));
        let outcome = Outcome {
            ending,
            halt: night.halt.clone(),
            struck: night.agents.struck(),
            outage: Millis(outage),
            owed,
            commands: night.entries.len(),
        };
        Some((outcome, night.script()))
    }

    fn start(&mut self, plan: &Plan) {
        self.commit(Some(people::operator()), Command::Apply { plan: Box::new(plan.clone()) });
    }

    fn script(self) -> Script {
        let head = Head {
            record: FORMAT,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id: self
                .state
                .group
                .as_ref()
                .map_or_else(|| crate::ids::ClusterId(String::new()), |g| g.cluster.clone()),
            source: "simulation".to_owned(),
            from: self.base.applied,
            to: self.state.applied,
            live: self.digester.is_some().then(|| self.state.digest()),
        };
        Script { head, base: self.base, entries: self.entries, decisions: self.decisions }
    }

    /// The rollout, also after its end.
    fn last(&self) -> Option<&crate::rollout::Rollout> {
        self.state.rollout.as_ref().or_else(|| self.state.history.back().map(AsRef::as_ref))
    }

    /// Turns until the rollout is over, or nobody can do anything more.
    fn pass(&mut self) -> Ending {
        for _ in 0..TURNS_MAX {
            let Some(rollout) = &self.state.rollout else {
                let aborted = self.last().is_some_and(|r| matches!(r.status, Status::Aborted { .. }));
                return if aborted { Ending::Aborted } else { Ending::Completed };
            };
            if matches!(rollout.status, Status::Halted { .. }) && self.halt.is_none() {
                self.halt = self.stopped();
            }
            self.lead();
            self.work();
            if self.act() == people::Act::GivesUp {
                return Ending::NeedsPerson;
            }
            self.watch_outage();
            let due = self
                .agents
                .next_due()
                .map_or(self.clock + TICK, |due| due.clamp(self.clock + 1, self.clock + TICK));
            self.clock = due;
        }
        Ending::Stuck
    }

    fn commit(&mut self, actor: Option<Actor>, command: Command) -> Reply {
        self.requests += 1;
        let index = LogIndex(self.state.applied.0 + 1);
        let envelope = Envelope {
            id: RequestId(format!("s{}", self.requests)),
            time: LogTime(self.clock),
            actor,
            trace: String::new(),
            command,
        };
        let reply = apply(&mut self.state, index, &envelope);
        let digest = self.digester.as_mut().map(|digester| digester.of(&self.state));
        let state = digest.unwrap_or_else(|| crate::ids::Digest(String::new()));
        self.entries.push(Entry { index, envelope, state, audit: Some(self.state.audit.clone()) });
        reply
    }

    /// One turn of the leader loop.
    fn lead(&mut self) {
        let facts = self.facts();
        let commands = next(&self.state, &facts);
        let repeats = commands.is_empty() && self.decisions.last().is_some_and(|d| d.commands.is_empty());
        if self.digester.is_some() && !repeats {
            self.decisions.push(Decision { after: self.state.applied, facts, commands: commands.clone() });
        }
        for command in commands {
            // Like the real loop: what was just refused is not repeated until something moved.
            if self.refused.contains(&command) {
                continue;
            }
            match self.commit(None, command.clone()) {
                Reply::Applied { .. } => self.refused.clear(),
                Reply::Rejected(_) => self.refused.push(command),
            }
        }
        // And what was refused is tried again after a while.
        if self.dice.chance(10) {
            self.refused.clear();
        }
    }

    fn facts(&mut self) -> Facts {
        for member in self.state.nodes.keys() {
            if self.agents.is_up(member, self.clock) {
                self.heard.insert(member.clone(), self.clock);
            }
        }
        // A leader that fell silent is deposed by the others.
        if !self.agents.is_up(&self.leader, self.clock) {
            self.new_leader();
        }
        let open = agents::open_attempts(&self.state);
        self.first_seen.retain(|key, _| open.contains(key));
        for key in open {
            self.first_seen.entry(key).or_insert(self.clock);
        }
        let sight = |at: &u64| MemberSight { last_seen: Some(BootTime(*at)) };
        Facts {
            now: BootTime(self.clock),
            me: self.leader.clone(),
            leading_since: BootTime(self.leading_since),
            members: self.heard.iter().map(|(m, at)| (m.clone(), sight(at))).collect(),
            assigned: self.first_seen.iter().map(|(k, at)| (*k, BootTime(*at))).collect(),
            bound_differs: None,
        }
    }

    /// Another agent that is heard of leads from now on, if there is one.
    fn new_leader(&mut self) {
        let up: Vec<MemberName> = self
            .state
            .nodes
            .keys()
            .filter(|m| **m != self.leader && self.agents.is_up(m, self.clock))
            .cloned()
            .collect();
        if let Some(member) = up.get(self.dice.place(up.len())) {
            self.leader = member.clone();
            self.leading_since = self.clock;
            self.first_seen.clear();
        }
    }

    /// The outage begins with the first assigned step of it and ends when a member is back, as the plan's phases say.
    fn watch_outage(&mut self) {
        use crate::{plan::Phase, rollout::StepPhase};
        let Some(rollout) = self.last() else { return };
        let touched = |s: &&crate::plan::Step| rollout.record(s.id).is_some_and(|r| r.attempt > Attempt(0));
        let began = rollout.plan.steps.iter().filter(|s| s.phase == Phase::Outage).any(|s| touched(&s));
        let settles = |s: &&crate::plan::Step| {
            let back = matches!(s.target, crate::plan::Target::Balancer(..)) && s.settles.is_some();
            back && rollout.record(s.id).is_some_and(|r| matches!(r.phase, StepPhase::Done { .. }))
        };
        let ended = rollout.plan.steps.iter().chain(&rollout.plan.undo).any(|s| settles(&s));
        if began && self.outage.0.is_none() {
            self.outage.0 = Some(self.clock);
        }
        if ended && self.outage.1.is_none() {
            self.outage.1 = Some(self.clock);
        }
    }
}
