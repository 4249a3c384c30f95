//! What a restore gives up: rows that members at the new version wrote and acknowledged before they were taken out.
//!
//! The counting is done where the database is, when all members are proven stopped; here is only what it means. A
//! count is of rows written, so it is never below the number of acknowledged writes.

use super::{rejection::Rejection, state::Rollout};
use crate::plan::{Action, Step};

/// The acceptance of a loss that cannot be counted.
pub const UNCOUNTED: u64 = u64::MAX;

/// What would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// At most so many rows.
    Rows(u64),
    /// It cannot be counted.
    Uncounted,
}

/// Name of the output that holds the count of a database: a number, or another word when it cannot be counted.
pub fn output(database: &crate::ids::DatabaseName) -> String {
    format!("loss.{database}")
}

/// What a restore of the plan's databases gives up. Nothing when no member at the new version could serve anybody.
pub fn loss(rollout: &Rollout) -> Loss {
    if !rollout.has_served() {
        return Loss::Rows(0);
    }
    let mut rows = 0_u64;
    for step in &rollout.plan.restore {
        let Action::RestoreDatabase(restore) = &step.action else { continue };
        match rollout.outputs.get(&output(&restore.database)).and_then(|text| text.parse::<u64>().ok()) {
            Some(count) => rows = rows.saturating_add(count),
            None => return Loss::Uncounted,
        }
    }
    Loss::Rows(rows)
}

/// Refuses a step that gives something up which nobody accepted. The acceptance is bound to the count: another number,
/// also a higher one, accepts something else.
pub(super) fn check(rollout: &Rollout, step: &Step) -> Result<(), Rejection> {
    if !matches!(step.action, Action::RestoreDatabase(_)) {
        return Ok(());
    }
    let accepted = rollout.restore.as_ref().and_then(|restore| restore.accept_loss);
    match loss(rollout) {
        Loss::Rows(0) => Ok(()),
        Loss::Rows(rows) if accepted == Some(rows) => Ok(()),
        Loss::Rows(rows) => Err(Rejection::LossNotAccepted { rows: Some(rows) }),
        Loss::Uncounted if accepted == Some(UNCOUNTED) => Ok(()),
        Loss::Uncounted => Err(Rejection::LossNotAccepted { rows: None }),
    }
}

/// What a person writes to accept a loss.
pub fn acceptance(rows: Option<u64>) -> String {
    let rows = rows.map_or("all".to_owned(), |rows| rows.to_string());
    format!("lockkeeper restore --reason R --accept-loss {rows}")
}
