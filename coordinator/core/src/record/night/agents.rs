//! Agents as the group hears of them: who is up, who works at what, and what they report when.

use super::{Dice, Night};
use crate::{
    ids::{Attempt, MemberName, StepId},
    plan::{Action, ActionKind, Plan},
    record::FaultKind,
    rollout::{
        Assignment, Command, OutcomeResult, Reply, State, StepPhase, assignments_for,
        command::{AttemptRef, BlockedReport, Verdict},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Something an agent will say.
#[derive(Debug, Clone)]
struct Report {
    due: u64,
    member: MemberName,
    command: Command,
}

/// All agents.
#[derive(Debug)]
pub(super) struct Agents {
    kind: FaultKind,
    /// Trouble strikes the n-th attempt that can have it.
    countdown: u64,
    struck: Option<StepId>,
    /// Silent until.
    down: BTreeMap<MemberName, u64>,
    begun: BTreeSet<AttemptRef>,
    reports: Vec<Report>,
    /// What the judge will read of a database, when an upgrade did not end well.
    left: BTreeMap<String, Verdict>,
    wants: Option<FaultKind>,
}

/// Attempts that somebody has.
pub(super) fn open_attempts(state: &State) -> Vec<(StepId, Attempt)> {
    let Some(rollout) = &state.rollout else { return Vec::new() };
    let open = rollout.steps.iter().filter(|(_, r)| matches!(r.phase, StepPhase::Assigned { .. }));
    open.map(|(id, r)| (*id, r.attempt)).collect()
}

impl Agents {
    pub fn new(plan: &Plan, kind: FaultKind, dice: &mut Dice) -> Self {
        let can = match kind {
            FaultKind::UpgraderLost | FaultKind::UpgradeFailed => {
                plan.steps.iter().filter(|s| s.action.kind() == ActionKind::UpgradeDatabase).count()
            }
            FaultKind::OwedDiffers => plan.steps.iter().filter(|s| s.settles.is_some()).count(),
            _ => plan.steps.len(),
        };
        Self {
            kind,
            countdown: dice.below(can as u64),
            struck: None,
            down: BTreeMap::new(),
            begun: BTreeSet::new(),
            reports: Vec::new(),
            left: BTreeMap::new(),
            wants: None,
        }
    }

    pub fn struck(&self) -> Option<StepId> {
        self.struck
    }

    pub fn is_up(&self, member: &MemberName, now: u64) -> bool {
        self.down.get(member).is_none_or(|until| *until <= now)
    }

    pub fn next_due(&self) -> Option<u64> {
        self.reports.iter().map(|r| r.due).min()
    }

    /// Trouble that leader or people have to make, once.
    pub fn wanted(&mut self) -> Option<FaultKind> {
        self.wants.take()
    }

    /// Whether trouble strikes this attempt.
    fn strikes(&mut self, assignment: &Assignment) -> bool {
        let action = assignment.step.action.kind();
        let can = match self.kind {
            FaultKind::None => false,
            FaultKind::UpgraderLost | FaultKind::UpgradeFailed => action == ActionKind::UpgradeDatabase,
            FaultKind::OwedDiffers => assignment.captured.is_some(),
            _ => true,
        };
        if !can || self.struck.is_some() {
            return false;
        }
        if self.countdown > 0 {
            self.countdown -= 1;
            return false;
        }
        self.struck = Some(assignment.step.id);
        true
    }

    fn say(&mut self, due: u64, member: &MemberName, command: Command) {
        self.reports.push(Report { due, member: member.clone(), command });
    }
}

impl Night {
    /// Agents begin what they were handed, and say what is due.
    pub(super) fn work(&mut self) {
        let nodes: Vec<MemberName> = self.state.nodes.keys().cloned().collect();
        for member in nodes.iter().filter(|m| self.agents.is_up(m, self.clock)).cloned().collect::<Vec<_>>() {
            for assignment in assignments_for(&self.state, &member) {
                if self.agents.begun.insert(assignment.attempt.clone()) {
                    self.begin_attempt(&assignment);
                }
            }
        }
        let now = self.clock;
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.agents.reports)
            .into_iter()
            .partition(|r| r.due <= now && self.agents.is_up(&r.member, now));
        self.agents.reports = later;
        for report in due {
            self.agents_say(&report);
        }
        // A silent agent's reports wait until it is heard again.
        let back: Vec<(MemberName, u64)> = self.agents.down.iter().map(|(m, at)| (m.clone(), *at)).collect();
        for report in &mut self.agents.reports {
            if let Some((_, until)) = back.iter().find(|(m, _)| *m == report.member) {
                report.due = report.due.max(*until);
            }
        }
    }

    fn agents_say(&mut self, report: &Report) {
        let Reply::Rejected(_) = self.commit(None, report.command.clone()) else { return };
        // Like the real agent: an intent that lost means that the effect is not wanted any more, and is not begun.
        if let Command::OwedIntent { attempt, .. } = &report.command {
            for later in &mut self.agents.reports {
                match &mut later.command {
                    Command::Outcome { attempt: a, result } if a == attempt => {
                        *result = OutcomeResult::Dropped
                    }
                    _ => {}
                }
            }
        }
    }

    fn begin_attempt(&mut self, assignment: &Assignment) {
        let attempt = &assignment.attempt;
        let member = attempt.member.clone();
        let estimate = assignment.step.estimate.0.max(100).min(assignment.step.deadline.hard.0.max(100));
        let took = (estimate / 2 + self.dice.below(estimate)).min(assignment.step.deadline.hard.0.max(100));
        let mut due = self.clock + took;
        if !assignment.wanted {
            let result = OutcomeResult::Dropped;
            self.agents.say(self.clock + 1, &member, Command::Outcome { attempt: attempt.clone(), result });
            return;
        }
        let mut result = self.good(assignment);
        if self.agents.strikes(assignment) {
            match self.agents.kind {
                FaultKind::MemberLost | FaultKind::UpgraderLost => {
                    let lost_after = assignment.plan.policy.lost_after.0;
                    self.agents
                        .down
                        .insert(member.clone(), self.clock + lost_after * (3 + self.dice.below(5)));
                    self.leave(assignment, true);
                    if self.dice.chance(50) {
                        // It died, and what it did dies with it.
                        result = failed(&assignment.step.action, self.verdict(assignment));
                    }
                }
                FaultKind::StepFailed | FaultKind::UpgradeFailed => {
                    self.leave(assignment, false);
                    result = failed(&assignment.step.action, self.verdict(assignment));
                }
                FaultKind::OwedDiffers => {
                    if let OutcomeResult::Done { read_back: Some(text), .. } = &mut result {
                        text.push_str(", but differently");
                    }
                }
                FaultKind::Blocked => {
                    let report = BlockedReport {
                        code: "forgotten-node".into(),
                        text: "somebody else is in the way".into(),
                        remedy: "ask them to leave".into(),
                    };
                    let say = |blocked| Command::ReportBlocked { attempt: attempt.clone(), blocked };
                    self.agents.say(self.clock + 1, &member, say(Some(report)));
                    self.agents.say(due, &member, say(None));
                    due += 1 + took;
                }
                FaultKind::LeaderChange | FaultKind::Pause | FaultKind::Abort => {
                    self.agents.wants = Some(self.agents.kind);
                }
                FaultKind::None | FaultKind::Reordered => {}
            }
        }
        if assignment.step.owes.is_some() {
            let captured = format!("as {} was", assignment.step.target);
            self.agents.say(
                self.clock + 1,
                &member,
                Command::OwedIntent { attempt: attempt.clone(), captured },
            );
        }
        let outcome = Command::Outcome { attempt: attempt.clone(), result };
        if self.agents.kind == FaultKind::Reordered {
            self.agents.struck = self.agents.struck.or(Some(assignment.step.id));
            for _ in 0..=self.dice.below(3) {
                let late = due + 1 + self.dice.below(30_000);
                self.agents.say(late, &member, outcome.clone());
            }
            due += self.dice.below(took + 1);
        }
        self.agents.say(due, &member, outcome);
    }

    /// What the judge will say of the database behind a broken attempt.
    fn leave(&mut self, assignment: &Assignment, lost: bool) {
        if let Action::UpgradeDatabase(upgrade) = &assignment.step.action {
            let all = [Verdict::Untouched, Verdict::Touched, Verdict::Finished];
            let place = self.dice.place(if lost { 3 } else { 2 });
            let verdict = all.get(place).copied().unwrap_or(Verdict::Touched);
            self.agents.left.insert(upgrade.database.to_string(), verdict);
        }
    }

    fn verdict(&self, assignment: &Assignment) -> Option<Verdict> {
        match &assignment.step.action {
            Action::UpgradeDatabase(upgrade) => self.agents.left.get(upgrade.database.as_str()).copied(),
            _ => None,
        }
    }

    /// The step done well, with what later steps rely on.
    fn good(&mut self, assignment: &Assignment) -> OutcomeResult {
        let mut outputs = BTreeMap::new();
        if let Action::CloseGrant(close) = &assignment.step.action {
            let upgrade = assignment.plan.steps.iter().find_map(|s| match &s.action {
                Action::UpgradeDatabase(u) if u.database == close.database => Some(u),
                _ => None,
            });
            if let Some(upgrade) = upgrade {
                let value = match self.agents.left.remove(upgrade.database.as_str()) {
                    Some(Verdict::Untouched) => upgrade.schema.before.clone(),
                    Some(Verdict::Touched) => "half".to_owned(),
                    Some(Verdict::Finished) | None => upgrade.schema.after.clone(),
                };
                outputs.insert(format!("judge.{}", close.database), value);
            }
        }
        OutcomeResult::Done {
            evidence: "simulated".into(),
            outputs,
            read_back: assignment.captured.clone().filter(|_| assignment.step.settles.is_some()),
            action_ms: None,
        }
    }
}

fn failed(action: &Action, verdict: Option<Verdict>) -> OutcomeResult {
    OutcomeResult::Failed {
        code: "LK5001".into(),
        text: format!("simulated failure of {}", action.kind()),
        verdict,
    }
}
