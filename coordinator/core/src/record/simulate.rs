//! A plan tried many times with every kind of trouble: what came of it, as a table.

use super::{Ending, FaultKind, Halt, Night};
use crate::{ids::StepId, plan::Plan, time::Millis};
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of one kind of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which trouble.
    pub fault: FaultKind,
    /// Nights.
    pub nights: u64,
    /// Nights that completed, aborted, needed a person at the end, or got stuck.
    pub endings: BTreeMap<Ending, u64>,
    /// Nights that stopped for a person at least once.
    pub halted: u64,
    /// The stops, the most frequent first: cause, advice, how often.
    pub halts: Vec<(Halt, u64)>,
    /// The step where trouble cost the longest outage, if it struck one.
    pub worst: Option<StepId>,
    /// The longest outage.
    pub outage: Millis,
    /// Settings that stayed owed at the end, at most.
    pub owed: usize,
}

/// All kinds of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Simulated {
    /// Nights of each kind.
    pub seeds: u64,
    /// One row a kind.
    pub rows: Vec<Row>,
}

impl Simulated {
    /// Nights that neither ended nor stopped; always 0, or the rollout machine is wrong.
    pub fn stuck(&self) -> u64 {
        self.count(Ending::Stuck)
    }

    /// Nights that ended with a person at a loss.
    pub fn needs_person(&self) -> u64 {
        self.count(Ending::NeedsPerson)
    }

    fn count(&self, ending: Ending) -> u64 {
        self.rows.iter().filter_map(|r| r.endings.get(&ending)).sum()
    }
}

/// Tries a plan `seeds` times with every kind of trouble. The same plan and number give the same answer.
pub fn simulate(plan: &Plan, seeds: u64) -> Simulated {
    let rows = FaultKind::ALL.into_iter().map(|kind| row(plan, kind, seeds)).collect();
    Simulated { seeds, rows }
}

fn row(plan: &Plan, fault: FaultKind, seeds: u64) -> Row {
    let mut row = Row {
        fault,
        nights: 0,
        endings: BTreeMap::new(),
        halted: 0,
        halts: Vec::new(),
        worst: None,
        outage: Millis(0),
        owed: 0,
    };
    let mut halts: BTreeMap<(String, String), (Halt, u64)> = BTreeMap::new();
    for seed in 1..=seeds {
        let Some(outcome) = Night::outcome(plan, fault, seed) else { continue };
        row.nights += 1;
        *row.endings.entry(outcome.ending).or_insert(0) += 1;
        row.owed = row.owed.max(outcome.owed);
        if let Some(halt) = outcome.halt {
            row.halted += 1;
            let seen = halts.entry((halt.code.clone(), halt.remedy.clone())).or_insert((halt.clone(), 0));
            seen.0.owed = seen.0.owed.max(halt.owed);
            seen.1 += 1;
        }
        if outcome.outage >= row.outage {
            row.outage = outcome.outage;
            row.worst = outcome.struck.or(row.worst);
        }
    }
    row.halts = halts.into_values().collect();
    row.halts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    row
}
