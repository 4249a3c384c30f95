//! Law: an adopted schema is finished by what the plan rests on, it is judged before anything is changed, and again
//! after the last old release was stopped, before anything relies on it.

use super::{Case, broken, broken_whole};
use crate::{
    fault::{Fault, FaultCode},
    ids::DatabaseName,
    plan::{Action, ActionKind, Step},
};

pub(super) fn law(case: &Case<'_>, faults: &mut Vec<Fault>) {
    let Some(adoption) = &case.plan.adopt else { return };
    let graph = &case.forward;
    for database in case.plan.targets.databases.keys() {
        let rests = case.plan.bound.databases.get(database).map(|bound| bound.schema.as_str());
        let finished = adoption.finished.get(database);
        if !finished.is_some_and(|j| !j.query.is_empty() && !j.after.is_empty() && rests == Some(&j.after)) {
            let text = format!("{database} is not finished by the facts this plan rests on");
            faults.push(broken_whole(FaultCode::LawAdoptedJudged, text).found(rests.unwrap_or_default()));
        }
        for step in graph.steps() {
            let kind = step.action.kind();
            let changes = matches!(
                kind,
                ActionKind::Drain | ActionKind::StopService | ActionKind::ShutDoor | ActionKind::StageRelease
            );
            let relies = matches!(
                kind,
                ActionKind::SwitchRelease | ActionKind::StartService | ActionKind::Admit | ActionKind::Prove
            );
            if (changes || relies) && judges(case, database).all(|judge| !graph.before(judge, step)) {
                faults.push(broken(
                    FaultCode::LawAdoptedJudged,
                    step,
                    format!("{database} is not judged before it"),
                ));
            }
            let again = kind != ActionKind::Prove && relies;
            if again && !judges(case, database).any(|judge| graph.before(judge, step) && is_late(case, judge))
            {
                let text =
                    format!("{database} is not judged again before it, with every old release stopped");
                faults.push(broken(FaultCode::LawAdoptedJudged, step, text));
            }
        }
    }
    for step in graph.steps() {
        if let Action::JudgeSchema(judge) = &step.action
            && adoption.finished.get(&judge.database) != Some(&judge.schema)
        {
            faults.push(broken(
                FaultCode::LawAdoptedJudged,
                step,
                "it judges by something else than the plan says",
            ));
        }
    }
}

/// Whether every old release is stopped before a judgement.
fn is_late(case: &Case<'_>, judge: &Step) -> bool {
    case.forward.of(ActionKind::StopService).all(|stop| case.forward.before(stop, judge))
}

fn judges<'c>(case: &'c Case<'_>, database: &DatabaseName) -> impl Iterator<Item = &'c Step> {
    case.forward.on_database(ActionKind::JudgeSchema, database)
}
