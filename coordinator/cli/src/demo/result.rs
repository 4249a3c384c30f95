//! What a demo came to: the one object of `--json`. Every figure is computed from what was left behind or from the
//! group's own record; its keys are stable.

use super::{
    copy::CopyReport,
    critical_path,
    evidence::LateWrites,
    fault::FaultReport,
    figures::{Figures, Requests},
    invariants::Verdict,
    sight::Lead,
};
use lockkeeper_core::{ids::MemberName, plan::Plan, version::Version, view::RolloutView};
use serde::Serialize;

/// How a demo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step is proven.
    Completed,
    /// It went back before the point of no return.
    Aborted,
    /// It went back after it, to the proven set.
    Restored,
    /// A step failed; a person decides.
    Halted,
    /// Nothing went on until the demo's patience ended.
    Blocked,
}

/// The object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DemoResult {
    /// How it ended.
    pub state: Outcome,
    /// The members.
    pub members: Vec<MemberName>,
    /// From this version.
    pub from: Version,
    /// To this one.
    pub to: Version,
    /// Who upgraded the live database, by its audit.
    pub upgrader: Option<MemberName>,
    /// The fencing token of the grant it did so under.
    pub token: Option<String>,
    /// Upgrades begun and ended on the live database.
    pub database_upgrades: u64,
    /// Upgrades begun on the live database.
    pub attempts: u64,
    /// The tokens of the upgrades begun on the live database, in order.
    pub tokens: Vec<String>,
    /// What an upgrader wrote, or tried to, after it was shut out.
    pub late_writes: LateWrites,
    /// How often another agent came to lead while the rollout ran.
    pub leader_changes: u64,
    /// The users' requests.
    pub requests: Requests,
    /// How long users met no service, by their clock, milliseconds.
    pub outage_ms: u64,
    /// The rollout from its start to its end by the log's clock.
    pub wall_ms: u64,
    /// The longest chain of real actions.
    pub critical_path_ms: u64,
    /// `wall_ms` over `critical_path_ms`.
    pub overhead_ratio: f64,
    /// Settings that were changed.
    pub changed: usize,
    /// Those still owed.
    pub owed: Vec<String>,
    /// Acknowledged or seeded notes that are not there.
    pub rows_lost: u64,
    /// What the group waits for, if it did not come to an end.
    pub why: Vec<String>,
    /// What was done to the agents.
    pub fault: FaultReport,
    /// What was checked.
    pub invariants: Verdict,
}

/// What a result is made of.
pub struct Told<'a> {
    /// The plan that was applied.
    pub plan: &'a Plan,
    /// The rollout's last view.
    pub rollout: &'a RolloutView,
    /// Who led when.
    pub leads: &'a [Lead],
    /// From the files.
    pub figures: &'a Figures,
    /// From the live database's audit.
    pub tokens: Vec<String>,
    /// From the files that were cut off.
    pub late_writes: LateWrites,
    /// What was done.
    pub fault: FaultReport,
    /// What was checked.
    pub invariants: Verdict,
}

impl Outcome {
    /// Of a rollout's state; one that still runs when nobody waits any longer is blocked.
    pub fn of(state: &str) -> Self {
        match state {
            "completed" => Outcome::Completed,
            "aborted" => Outcome::Aborted,
            "restored" => Outcome::Restored,
            "halted" => Outcome::Halted,
            _still_running => Outcome::Blocked,
        }
    }
}

impl DemoResult {
    /// Puts it together.
    pub fn new(told: Told<'_>) -> Self {
        let Told { plan, rollout, leads, figures, tokens, late_writes, fault, invariants } = told;
        let ended =
            rollout.ended.unwrap_or_else(|| rollout.steps.iter().filter_map(|s| s.ended).max().unwrap_or(0));
        let wall_ms = ended.saturating_sub(rollout.started);
        let critical_path_ms = critical_path::length_ms(plan, &rollout.steps);
        let upgrader = figures.database.upgrader.clone();
        let granted =
            rollout.grant.values().find(|g| upgrader.as_ref().is_some_and(|u| u.as_str() == g.member));
        let owed = rollout.owed.iter().filter(|owed| owed.state != "restored");
        Self {
            state: Outcome::of(&rollout.state),
            members: plan.bound.members.keys().cloned().collect(),
            from: plan.from.clone(),
            to: plan.to.clone(),
            token: granted.map(|grant| grant.token.clone()),
            upgrader,
            database_upgrades: figures.database.database_upgrades,
            attempts: figures.database.attempts,
            tokens,
            late_writes,
            leader_changes: leader_changes(leads, rollout.started),
            requests: figures.requests.clone(),
            outage_ms: figures.outage_ms,
            wall_ms,
            critical_path_ms,
            overhead_ratio: ratio(wall_ms, critical_path_ms),
            changed: rollout.owed.len(),
            owed: owed.map(|owed| owed.key.clone()).collect(),
            rows_lost: figures.database.rows_lost,
            why: rollout
                .why
                .iter()
                .map(|why| format!("{}: {} {}", why.subject, why.code, why.text))
                .collect(),
            fault,
            invariants,
        }
    }

    /// Why this is no success; empty if it is one.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut note = |wrong: bool, text: String| all.extend(wrong.then_some(text));
        note(self.state != Outcome::Completed, format!("the rollout ended {:?}", self.state).to_lowercase());
        for why in &self.why {
            note(true, format!("it waits: {why}"));
        }
        note(self.fault.missed(), format!("fault-missed: {}", self.fault.effect));
        let (attempted, landed) = (self.late_writes.attempted, self.late_writes.landed);
        note(landed > 0, format!("{landed} late writes landed in the live database"));
        let silent = self.fault.kind.writes_late() && attempted == 0;
        note(
            silent,
            "the upgrader that was shut out tried to write nothing, so nothing was proven".to_owned(),
        );
        for text in self.fault.copy.iter().flat_map(CopyReport::shortcomings) {
            note(true, text);
        }
        note(self.database_upgrades != 1, format!("{} database upgrades", self.database_upgrades));
        note(self.rows_lost > 0, format!("{} notes were lost", self.rows_lost));
        let failed = self.requests.failed_outside_outage;
        note(failed > 0, format!("{failed} requests failed outside the outage"));
        note(!self.owed.is_empty(), format!("still owed: {}", self.owed.join(", ")));
        for violation in &self.invariants.violated {
            note(true, format!("{} violated: {}", violation.name, violation.found.join("; ")));
        }
        all
    }
}

/// Two digits are plenty for a ratio that is read by people.
fn ratio(wall: u64, critical: u64) -> f64 {
    let hundredths = wall.saturating_mul(100) / critical.max(1);
    // Exact below 2^53, which is 2,800 years of milliseconds.
    hundredths as f64 / 100.0
}

fn leader_changes(leads: &[Lead], since: u64) -> u64 {
    let during = leads.windows(2).filter(|pair| match pair {
        [before, after] => after.at >= since && after.leader != before.leader,
        _other_lengths => false,
    });
    during.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_leader_during_the_rollout_is_a_change() {
        let lead = |at, term, leader: &str| Lead { at, term, leader: leader.to_owned() };
        let leads = [lead(10, 1, "n1"), lead(20, 2, "n2"), lead(50, 3, "n1"), lead(60, 4, "n1")];
        assert_eq!(leader_changes(&leads, 30), 1);
        assert_eq!(leader_changes(&leads, 0), 2);
        assert_eq!(leader_changes(&leads[..1], 0), 0);
    }

    #[test]
    fn a_ratio_has_two_digits_and_survives_nothing_done() {
        assert_eq!(ratio(1_039, 1_000), 1.03);
        assert_eq!(ratio(7, 0), 7.0);
    }
}
