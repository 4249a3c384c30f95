//! Law: an old release never runs against the new schema. Before anything is relied on every one of them is stopped, what
//! starts afterwards is the new release, staged and switched to; nothing on a way back starts anything. A door that is
//! shut meanwhile is shut behind the last writer, and opened only when all are switched.

use super::{Case, broken, broken_whole};
use crate::{
    fault::{Fault, FaultCode},
    ids::MemberName,
    plan::{Action, ActionKind, Step, Target},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    let (from, to) = (&case.plan.from, &case.plan.to);
    let mut fault = |step: &Step, text: String| faults.push(broken(FaultCode::LawAdoptedOldOut, step, text));
    let old =
        || case.plan.bound.members.iter().filter(|(_, bound)| bound.version != *to).map(|(name, _)| name);
    for step in graph.steps() {
        let relies = matches!(
            step.action.kind(),
            ActionKind::SwitchRelease
                | ActionKind::StartService
                | ActionKind::Admit
                | ActionKind::ProveNoWriters
                | ActionKind::ShutDoor
        );
        for member in old().filter(|_| relies) {
            if !graph.any_before(graph.on_member(ActionKind::StopService, member), step) {
                fault(step, format!("{member}, which has {from}, is not stopped before it"));
            }
        }
        match &step.action {
            Action::StartService(start) => {
                starts(case, step, &start.member, start.version == *to, &mut fault)
            }
            Action::SwitchRelease(switch) => {
                let staged = graph.steps().any(|s| {
                    s.target == step.target
                        && graph.before(s, step)
                        && matches!(&s.action, Action::StageRelease(stage)
                            if stage.version == switch.version && stage.directory == switch.directory)
                });
                if switch.version != *to || !staged {
                    fault(step, format!("{to} is not staged there before it, or it switches to another"));
                }
            }
            Action::ShutDoor(shut) => {
                let quiet = graph.on_database(ActionKind::ProveNoWriters, &shut.database);
                if !graph.any_before(quiet, step) {
                    fault(step, "nobody is proven to write before it".to_owned());
                }
            }
            Action::OpenDoor(_) => {
                for switch in graph.of(ActionKind::SwitchRelease).filter(|s| !graph.before(s, step)) {
                    fault(step, format!("{} is not switched before it", switch.target));
                }
            }
            _ => {}
        }
    }
    for step in case.undo.steps().filter(|s| s.action.kind() != ActionKind::OpenDoor || s.settles.is_none()) {
        fault(step, "on the way back of this plan only a door is opened".to_owned());
    }
    for step in case.restore.steps() {
        fault(step, "there is no set to restore".to_owned());
    }
    let door = |steps: &mut dyn Iterator<Item = &Step>| {
        steps
            .filter(|s| s.action.kind() == ActionKind::OpenDoor)
            .filter_map(|s| s.settles.clone())
            .collect::<Vec<_>>()
    };
    for shut in graph.of(ActionKind::ShutDoor) {
        if !shut.owes.as_ref().is_some_and(|key| door(&mut case.undo.steps()).contains(key)) {
            let text = format!("the door of {} is not opened on the way back", shut.target);
            faults.push(broken_whole(FaultCode::LawAdoptedOldOut, text));
        }
    }
}

fn starts(
    case: &Case<'_>,
    step: &Step,
    member: &MemberName,
    is_new: bool,
    fault: &mut impl FnMut(&Step, String),
) {
    let graph = &case.forward;
    if !is_new || step.target != Target::Member(member.clone()) {
        fault(step, format!("it does not start {} on its own host", case.plan.to));
    }
    if !graph.any_before(graph.on_member(ActionKind::SwitchRelease, member), step) {
        fault(step, format!("{member} is not switched before it"));
    }
    for shut in graph.of(ActionKind::ShutDoor) {
        let Target::Database(database) = &shut.target else { continue };
        if !graph.any_before(graph.on_database(ActionKind::OpenDoor, database), step) {
            fault(step, format!("the door of {database} is not open before it"));
        }
    }
}
