//! Law: a member starts only with the right release and an open door: staged, then stopped, then switched, then
//! started; on the way back no release was switched, and the door is opened
//! first; in a restore the old release is switched to.

use super::{Case, broken};
use crate::{
    fault::{Fault, FaultCode},
    ids::MemberName,
    plan::{Action, ActionKind, Step, Target},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let graph = &case.forward;
    let mut fault =
        |step: &Step, text: String| faults.push(broken(FaultCode::LawOpenBeforeStart, step, text));
    for switch in graph.of(ActionKind::SwitchRelease) {
        let Target::Member(member) = &switch.target else { continue };
        if !graph.any_before(graph.on_member(ActionKind::StopService, member), switch) {
            fault(switch, format!("{member} is not stopped before it"));
        }
        if !graph
            .on_member(ActionKind::StageRelease, member)
            .any(|s| same_release(s, switch) && graph.before(s, switch))
        {
            fault(switch, format!("this release is not staged on {member} before it"));
        }
        if let Some(upgrade) = graph.of(ActionKind::CloseGrant).find(|close| !graph.before(close, switch)) {
            fault(
                switch,
                format!(
                    "it does not wait for step {}: before it an abort must find the old release",
                    upgrade.id
                ),
            );
        }
    }
    for start in graph.of(ActionKind::StartService) {
        let Some(member) = member(start) else { continue };
        if !graph.any_before(graph.on_member(ActionKind::SwitchRelease, member), start) {
            fault(start, format!("{member} is not switched to the new release before it"));
        }
        if !is_version(start, case.plan.to.as_str()) {
            fault(start, format!("it does not start {}", case.plan.to));
        }
    }
    let back = [&case.undo, &case.restore];
    let starts_back = back.iter().flat_map(|way| way.of(ActionKind::StartService));
    for start in starts_back.filter(|s| !is_version(s, case.plan.from.as_str())) {
        fault(start, format!("it does not start {}", case.plan.from));
    }
    for start in case.restore.of(ActionKind::StartService) {
        let Some(member) = member(start) else { continue };
        let switches = || case.restore.on_member(ActionKind::SwitchRelease, member);
        if switches().next().is_some() && !case.restore.any_before(switches(), start) {
            fault(start, format!("{member} is not switched to the old release before it"));
        }
    }
    for (graph, start) in graph
        .of(ActionKind::StartService)
        .map(|s| (graph, s))
        .chain(back.into_iter().flat_map(|way| way.of(ActionKind::StartService).map(move |s| (way, s))))
    {
        for database in case.plan.targets.databases.keys() {
            if !graph.any_before(graph.on_database(ActionKind::OpenDoor, database), start) {
                fault(start, format!("the door of {database} is not open before it"));
            }
        }
    }
}

fn member(step: &Step) -> Option<&MemberName> {
    match &step.target {
        Target::Member(member) => Some(member),
        Target::Balancer(_, _) | Target::Database(_) => None,
    }
}

fn same_release(stage: &Step, switch: &Step) -> bool {
    let (Action::StageRelease(stage), Action::SwitchRelease(switch)) = (&stage.action, &switch.action) else {
        return false;
    };
    stage.directory == switch.directory && stage.version == switch.version
}

fn is_version(start: &Step, version: &str) -> bool {
    matches!(&start.action, Action::StartService(s) if s.version.as_str() == version)
}
