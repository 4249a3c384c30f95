//! Whether what must always hold did hold, judged from what the demo left behind. Each is a function of the evidence
//! that answers what it found wrong; the names are those of the project's list of invariants.
//!
//! Nothing here asks an agent, and nothing here is shared with the code that acts.

mod database;
mod decisions;
mod traffic;

#[cfg(test)]
pub(super) mod healthy;
#[cfg(test)]
mod tests;

use super::evidence::Evidence;
use serde::Serialize;

/// One invariant.
struct Invariant {
    name: &'static str,
    /// What contradicts it; empty: it held.
    check: fn(&Evidence) -> Vec<String>,
}

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How many were checked.
    pub checked: usize,
    /// Those that did not hold.
    pub violated: Vec<Violation>,
}

/// One that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Its name.
    pub name: &'static str,
    /// What contradicts it.
    pub found: Vec<String>,
}

/// Contradictions that are listed of one invariant; a broken run can have one for each request.
const FOUND_MAX: usize = 5;

const ALL: [Invariant; 18] = [
    Invariant { name: "one_upgrader", check: database::one_upgrader },
    Invariant { name: "token_monotone", check: database::token_monotone },
    Invariant { name: "schema_forward", check: database::schema_forward },
    Invariant { name: "door_shut", check: database::door_shut },
    Invariant { name: "backup_before", check: database::backup_before },
    Invariant { name: "destructive_once", check: database::destructive_once },
    Invariant { name: "version_match", check: database::version_match },
    Invariant { name: "drained_before_stop", check: traffic::drained_before_stop },
    Invariant { name: "proven_before_admit", check: traffic::proven_before_admit },
    Invariant { name: "serial_start", check: traffic::serial_start },
    Invariant { name: "one_executor", check: traffic::one_executor },
    Invariant { name: "nobody_forgotten", check: traffic::nobody_forgotten },
    Invariant { name: "old_kept", check: decisions::old_kept },
    Invariant { name: "owed_settled", check: decisions::owed_settled },
    Invariant { name: "only_approved", check: decisions::only_approved },
    Invariant { name: "no_silent_way_back", check: decisions::no_silent_way_back },
    Invariant { name: "same_log_same_state", check: decisions::same_log_same_state },
    Invariant { name: "success_is_proven", check: decisions::success_is_proven },
];

/// Checks all of them.
pub fn check(evidence: &Evidence) -> Verdict {
    let mut violated = Vec::new();
    for Invariant { name, check } in &ALL {
        let mut found = check(evidence);
        if found.len() > FOUND_MAX {
            let more = found.len() - FOUND_MAX;
            found.truncate(FOUND_MAX);
            found.push(format!("and {more} more"));
        }
        if !found.is_empty() {
            violated.push(Violation { name, found });
        }
    }
    Verdict { checked: ALL.len(), violated }
}
