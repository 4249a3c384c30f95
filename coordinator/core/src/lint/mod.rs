//! The linter: laws that every plan must obey, one a file.
//!
//! It shares no code with the planner and knows no profile: it looks at the finished plan alone, so a mistake in the
//! planner does not excuse itself. Its codes are `LK21xx`.

mod adopted_judged;
mod adopted_no_upgrade;
mod adopted_old_out;
mod adopted_whole;
mod credential_delivered;
mod deadlines;
mod door_before_grant;
mod drain_before_stop;
mod executor_not_holder;
mod grant_whole;
mod graph;
mod no_secret;
mod nobody_forgotten;
mod one_upgrade;
mod order;
mod owed_forward;
mod owed_undo;
mod proof_before_admit;
mod proven_backup;
mod ready_before_start;
mod restore_order;
mod restore_whole;
mod rolling;
mod serial_start;
mod staged_before_outage;
mod stop_before_database;
mod texts;
mod two_executors;
mod undo_before_no_return;

use crate::{
    fault::{Fault, FaultCode, Report},
    plan::{Plan, Step, Strategy},
};
use graph::Graph;

/// What a law looks at: the plan, with the transitive order of each way.
pub(crate) struct Case<'p> {
    plan: &'p Plan,
    forward: Graph<'p>,
    undo: Graph<'p>,
    restore: Graph<'p>,
}

impl<'p> Case<'p> {
    /// The steps of every way.
    fn every_step(&self) -> impl Iterator<Item = &'p Step> {
        self.plan.every_step()
    }
}

/// A law: adds a fault for everything that breaks it.
type Law = fn(&Case<'_>, &mut Vec<Fault>);

/// All laws but the order of numbers, which the others rely on. Those of `no_secret` are two.
const LAWS: [Law; 21] = [
    staged_before_outage::law,
    drain_before_stop::law,
    stop_before_database::law,
    proven_backup::law,
    door_before_grant::law,
    grant_whole::law,
    one_upgrade::law,
    executor_not_holder::law,
    two_executors::law,
    owed_forward::law,
    owed_undo::law,
    serial_start::law,
    ready_before_start::law,
    proof_before_admit::law,
    undo_before_no_return::law,
    nobody_forgotten::law,
    no_secret::law,
    credential_delivered::law,
    deadlines::law,
    restore_whole::law,
    restore_order::law,
];

/// The laws of a plan with strategy `rolling`: no database, no grant, no outage; what it must do instead is in `rolling`.
const ROLLING: [Law; 10] = [
    drain_before_stop::law,
    executor_not_holder::law,
    two_executors::law,
    owed_forward::law,
    owed_undo::law,
    proof_before_admit::law,
    nobody_forgotten::law,
    no_secret::law,
    deadlines::law,
    rolling::law,
];

/// The laws of a plan that takes over what somebody began by hand: the database is upgraded already.
const ADOPTED: [Law; 13] = [
    staged_before_outage::law,
    drain_before_stop::law,
    executor_not_holder::law,
    two_executors::law,
    owed_forward::law,
    serial_start::law,
    proof_before_admit::law,
    no_secret::law,
    deadlines::law,
    adopted_no_upgrade::law,
    adopted_judged::law,
    adopted_old_out::law,
    adopted_whole::law,
];

/// Everything about a plan that breaks a law. A report without errors means that the plan may be applied.
pub fn lint(plan: &Plan) -> Report {
    let mut faults = Vec::new();
    order::law(plan, &mut faults);
    if faults.is_empty() {
        let case = Case {
            plan,
            forward: Graph::new(&plan.steps),
            undo: Graph::new(&plan.undo),
            restore: Graph::new(&plan.restore),
        };
        let laws: &[Law] = match (plan.strategy, &plan.adopt) {
            (_, Some(_)) => &ADOPTED,
            (Strategy::Offline, None) => &LAWS,
            (Strategy::Rolling, None) => &ROLLING,
        };
        for law in laws {
            law(&case, &mut faults);
        }
    }
    Report::new(faults, String::new())
}

/// A broken law, at a step.
fn broken(code: FaultCode, step: &Step, text: impl std::fmt::Display) -> Fault {
    Fault::new(code, format!("step {} ({} {}): {text}", step.id, step.action.kind(), step.target))
        .help("this plan was not made by this planner, or the planner is wrong; do not apply it")
}

/// A broken law, of the plan as a whole.
fn broken_whole(code: FaultCode, text: impl Into<String>) -> Fault {
    Fault::new(code, text)
        .help("this plan was not made by this planner, or the planner is wrong; do not apply it")
}
