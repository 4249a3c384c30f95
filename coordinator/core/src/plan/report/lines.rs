//! Groups steps into lines: one for the same thing done side by side, and the serial run told as "first" and
//! "others", because who is first is only known when the upgrader is elected.

use super::{
    Line, Ruler,
    forecast::member_of,
    words::{names, place, what},
};
use crate::{
    ids::{MemberName, StepId},
    plan::{ActionKind, Phase, Plan, Step, Strategy, Target},
    time::Millis,
};
use std::collections::{BTreeMap, BTreeSet};

/// The way forward.
pub(super) fn forward(plan: &Plan) -> Vec<Line> {
    if plan.strategy == Strategy::Rolling {
        return side_by_side(plan, &plan.steps);
    }
    if plan.adopt.is_some() {
        return adopted(plan);
    }
    let run = plan.steps.iter().position(|s| s.serial.is_some()).unwrap_or(plan.steps.len());
    let (before, after) = plan.steps.split_at(run);
    let mut lines = side_by_side(plan, before);
    mark(plan, &mut lines);
    lines.extend(serial(plan, after));
    lines
}

/// An adoption elects nobody, so all is told as it is: who is new, and who follows.
fn adopted(plan: &Plan) -> Vec<Line> {
    let mut lines = side_by_side(plan, &plan.steps);
    mark(plan, &mut lines);
    let admits =
        |line: &Line| plan.steps.iter().any(|s| line.steps.first() == Some(&s.id) && is_admission(s));
    // Past the first admission users are served; what comes next stands behind the line.
    if let Some(at) = lines.iter().position(admits)
        && let Some(next) = lines.get_mut(at + 1)
        && next.before.is_none()
    {
        next.before = Some(Ruler::OutageEnds);
    }
    lines
}

/// A way back.
pub(super) fn back(plan: &Plan, steps: &[Step]) -> Vec<Line> {
    side_by_side(plan, steps)
}

/// One line for each kind of step of a stage; the steps of a grant and those of a serial run are one line.
fn side_by_side(plan: &Plan, steps: &[Step]) -> Vec<Line> {
    let mut groups: Vec<Vec<&Step>> = Vec::new();
    for step in steps {
        let together = |other: &Step| {
            other.stage == step.stage
                && step.grant == other.grant
                && (other.action.kind() == step.action.kind()
                    || step.grant.is_some()
                    // Of a rolling plan people want to read what each member passes.
                    || (plan.strategy == Strategy::Offline && step.serial.is_some() && other.serial.is_some()))
        };
        // Only the last stage's groups can be meant, so the search is short.
        match groups.iter_mut().rev().take(8).find(|group| group.first().is_some_and(|first| together(first)))
        {
            Some(group) => group.push(step),
            None => groups.push(vec![step]),
        }
    }
    groups.iter().map(|group| line(plan, group)).collect()
}

fn line(plan: &Plan, group: &[&Step]) -> Line {
    // Of a grant the upgrade is what people read; of others, everything once.
    let shown: Vec<&&Step> = match group.iter().find(|s| s.irreversible) {
        Some(_) => group.iter().filter(|s| s.irreversible).collect(),
        None => group.iter().collect(),
    };
    let mut texts: Vec<String> = Vec::new();
    for step in &shown {
        let text = what(plan, step);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let serial = group.iter().any(|s| s.serial.is_some());
    Line {
        before: None,
        steps: group.iter().map(|s| s.id).collect(),
        place: place(plan, group),
        what: texts.join(", "),
        serial,
        undo: shown.iter().map(|s| s.undo.as_str()).find(|u| !u.is_empty()).unwrap_or_default().to_owned(),
        about: lane_time(group),
        each: serial,
    }
}

/// How long the slowest member (or database) takes through all its steps of the group.
fn lane_time(group: &[&Step]) -> Millis {
    let mut times: BTreeMap<&Target, u64> = BTreeMap::new();
    for step in group {
        *times.entry(&step.target).or_insert(0) += step.estimate.0;
    }
    Millis(times.into_values().max().unwrap_or(0))
}

fn mark(plan: &Plan, lines: &mut [Line]) {
    // Numbers are dense from 1, so a step's place is its number.
    let step = |id: &StepId| usize::try_from(id.0).ok().and_then(|n| plan.steps.get(n.checked_sub(1)?));
    let any = |line: &Line, test: fn(&Step) -> bool| line.steps.iter().filter_map(step).any(test);
    if let Some(line) = lines.iter_mut().find(|line| any(line, |s| s.phase == Phase::Outage)) {
        line.before = Some(Ruler::OutageBegins);
    }
    if let Some(line) = lines.iter_mut().find(|line| any(line, |s| s.irreversible)) {
        line.before = Some(Ruler::PointOfNoReturn);
    }
}

/// The serial run and what follows it: once for the first member, once for the others.
fn serial(plan: &Plan, steps: &[Step]) -> Vec<Line> {
    let members: BTreeSet<&MemberName> = steps.iter().filter_map(member_of).collect();
    let members: Vec<MemberName> = members.into_iter().cloned().collect();
    let upgraders: Option<BTreeSet<&MemberName>> =
        plan.policy.upgraders.values().next().map(|upgraders| upgraders.iter().collect());
    let first: Vec<MemberName> = match upgraders {
        Some(may) => members.iter().filter(|m| may.contains(m)).cloned().collect(),
        None => members.clone(),
    };
    let Some(example) = first.first().or(members.first()) else { return side_by_side(plan, steps) };
    let of_example: Vec<&Step> = steps.iter().filter(|s| member_of(s) == Some(example)).collect();
    let all: Vec<&Step> = steps.iter().collect();
    let word = if members.len() == 1 { example.to_string() } else { "first".to_owned() };
    let mut lines: Vec<Line> = Vec::new();
    for (part, kinds) in [(true, false), (false, true)] {
        let chosen: Vec<&Step> = of_example.iter().filter(|s| is_admission(s) == kinds).copied().collect();
        if chosen.is_empty() {
            continue;
        }
        let ids = all.iter().filter(|s| is_admission(s) == kinds).map(|s| s.id).collect();
        let made = line(plan, &chosen);
        lines.push(Line {
            steps: ids,
            place: word.clone(),
            serial: part && members.len() > 1,
            each: false,
            ..made
        });
    }
    let first_end = Line {
        before: Some(Ruler::OutageEnds),
        steps: all.iter().map(|s| s.id).collect(),
        place: "others".to_owned(),
        what: format!("the same, one member after another ({})", names(&members)),
        serial: true,
        undo: lines.first().map(|l| l.undo.clone()).unwrap_or_default(),
        about: lines.first().map(|l| l.about).unwrap_or_default(),
        each: true,
    };
    if members.len() > 1 {
        lines.push(first_end);
    }
    lines
}

fn is_admission(step: &Step) -> bool {
    step.action.kind() == ActionKind::Admit
}
