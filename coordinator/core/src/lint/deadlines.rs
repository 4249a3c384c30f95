//! Law: every step has limits that are some.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    time::Millis,
};

/// Longer than this is no limit: nobody would still wait for it.
const LONGEST: Millis = Millis::from_secs(7 * 24 * 3600);

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    for step in case.every_step() {
        let limits = step.deadline;
        if limits.soft.0 == 0 || limits.hard < limits.soft || limits.hard > LONGEST {
            let text = format!("its limits are {} and {}", limits.soft, limits.hard);
            faults.push(
                broken(FaultCode::LawDeadlines, step, text)
                    .allowed("soft above zero, hard not below soft, at most 7 days")
                    .help("correct the profile's or the cluster file's durations"),
            );
        }
    }
}
