//! Law: every shared target has an executor; with one alone a person is warned.

use super::{Case, broken_whole};
use crate::fault::{Fault, FaultCode};
use std::collections::BTreeSet;

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let both = case.every_step();
    let targets: BTreeSet<_> = both.filter_map(|s| s.target.shared()).collect();
    for target in targets {
        let named: BTreeSet<_> =
            case.plan.policy.executors.iter().filter(|(t, _)| *t == target).flat_map(|(_, e)| e).collect();
        if named.is_empty() {
            faults.push(broken_whole(FaultCode::LawTwoExecutors, format!("nobody may act on {target}")));
        } else if named.len() < 2 {
            faults.push(
                Fault::new(FaultCode::FewExecutors, format!("one agent alone may act on {target}"))
                    .help("name a second executor in the cluster file"),
            );
        }
    }
}
