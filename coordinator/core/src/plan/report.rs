//! What a plan says to people: what will happen, what cannot be undone, how long, what will be owed.

use super::Plan;
use crate::fault::Fault;

/// A plan for people.
#[must_use = "a report that nobody reads helps nobody"]
#[derive(Debug, Clone, PartialEq)]
pub struct PlanReport {
    /// Things to know before approving.
    pub warnings: Vec<Fault>,
}

impl PlanReport {
    /// The report of a plan, with what the planner noticed.
    pub fn new(_plan: &Plan, warnings: Vec<Fault>) -> Self {
        Self { warnings }
    }
}
