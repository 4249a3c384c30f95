//! Law: the order of a restore. Everybody is out and stopped and proven to be, the door is shut, and only then the set
//! takes the place of the failed database; only then releases are switched back, and only then doors open.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    plan::{Action, ActionKind, Step, Target},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.restore;
    let mut fault = |step: &Step, text: String| faults.push(broken(FaultCode::LawRestoreOrder, step, text));
    for stop in graph.of(ActionKind::StopService) {
        let Target::Member(member) = &stop.target else { continue };
        for drain in graph.on_balancer(ActionKind::Drain, member).filter(|drain| !graph.before(drain, stop)) {
            fault(stop, format!("{member} is not out of {} before it", drain.target));
        }
    }
    for quiet in graph.of(ActionKind::ProveNoWriters) {
        for stop in graph.of(ActionKind::StopService).filter(|stop| !graph.before(stop, quiet)) {
            fault(quiet, format!("{} is not stopped before it", stop.target));
        }
    }
    for restore in graph.of(ActionKind::RestoreDatabase) {
        let Target::Database(database) = &restore.target else { continue };
        let shut = graph.on_database(ActionKind::ShutDoor, database).find(|shut| graph.before(shut, restore));
        match shut {
            None => fault(restore, format!("the door of {database} is not shut before it")),
            Some(shut)
                if !graph.any_before(graph.on_database(ActionKind::ProveNoWriters, database), shut) =>
            {
                fault(shut, format!("nobody is proven to write to {database} before it"));
            }
            Some(_) => {}
        }
    }
    for switch in graph.of(ActionKind::SwitchRelease) {
        for restore in graph.of(ActionKind::RestoreDatabase).filter(|restore| !graph.before(restore, switch))
        {
            // Until then the release in place is the one that fits the schema.
            fault(switch, format!("{} is not restored before it", restore.target));
        }
        if !matches!(&switch.action, Action::SwitchRelease(s) if s.version == case.plan.from) {
            fault(switch, format!("it does not switch to {}", case.plan.from));
        }
    }
    for open in graph.of(ActionKind::OpenDoor) {
        for earlier in graph
            .of(ActionKind::SwitchRelease)
            .chain(graph.of(ActionKind::RestoreDatabase))
            .filter(|earlier| !graph.before(earlier, open))
        {
            fault(open, format!("it does not wait for step {}", earlier.id));
        }
    }
}
