//! What changed between two status views, one line each: the form of `--follow` where there is no terminal.

use super::{moment::span, picture};
use lockkeeper_core::view::{RolloutView, StatusView, StepView};

/// Lines for everything that is new in `now`; `before` is what was shown last.
pub fn lines(before: Option<&StatusView>, now: &StatusView) -> Vec<String> {
    let old = before.and_then(|view| view.rollout.as_ref());
    let Some(new) = &now.rollout else { return Vec::new() };
    let old = old.filter(|old| old.id == new.id);
    let mut lines = Vec::new();
    if old.is_none() {
        lines.push(format!(
            "rollout {} {} -> {} started by {}, {} steps",
            new.id, new.from, new.to, new.by, new.total
        ));
    }
    for step in &new.steps {
        let was = old.and_then(|old| old.steps.iter().find(|s| s.id == step.id));
        lines.extend(step_line(was, step));
    }
    if new.point_of_no_return.is_some() && old.and_then(|o| o.point_of_no_return).is_none() {
        lines.push("point of no return passed: from here only forward, or a whole restore".to_owned());
    }
    lines.extend(outage(old, new));
    for (database, grant) in &new.grant {
        let was = old.and_then(|o| o.grant.get(database));
        if was.is_none_or(|was| (&was.state, &was.token) != (&grant.state, &grant.token)) {
            lines.push(format!(
                "{database}: grant {} for {}, token {}",
                grant.state, grant.member, grant.token
            ));
        }
    }
    for owed in &new.owed {
        let was = old.and_then(|o| o.owed.iter().find(|w| w.key == owed.key));
        if was.is_none_or(|was| was.state != owed.state) {
            lines.push(format!("{} {} (was {})", owed.key, owed.state, owed.captured));
        }
    }
    if old.is_none_or(|old| old.state != new.state) && !(old.is_none() && new.state == "running") {
        lines.push(format!("rollout {}", new.state));
    }
    if let Some(before) = before {
        if before.stamp.leader != now.stamp.leader {
            let who = now.stamp.leader.as_deref().unwrap_or("nobody known here");
            lines.push(format!("leader: {who}, term {}", now.stamp.term));
        }
        if !before.stamp.stale && now.stamp.stale {
            lines.push(format!("STALE: {} hears no quorum", now.stamp.source));
        }
    }
    lines
}

fn step_line(was: Option<&StepView>, step: &StepView) -> Option<String> {
    let same =
        was.is_some_and(|w| (&w.state, w.attempts, &w.text) == (&step.state, step.attempts, &step.text));
    if same || step.state == "pending" || step.state == "not-needed" {
        return None;
    }
    let what = format!("step {} {} {}", step.id, step.action, step.target);
    let by = step.member.as_deref().unwrap_or("nobody");
    let text = if step.text.is_empty() { String::new() } else { format!(": {}", step.text) };
    Some(match step.state.as_str() {
        "assigned" if step.text.is_empty() => {
            let token = step.token.as_deref().map(|t| format!(", token {t}")).unwrap_or_default();
            let tries = if step.attempts > 1 { format!(", try {}", step.attempts) } else { String::new() };
            format!("{what} given to {by}{token}{tries}")
        }
        "assigned" => format!("{what} BLOCKED at {by}{text}"),
        "done" => {
            let took = step.began.zip(step.ended).map(|(b, e)| format!(" in {}", span(e.saturating_sub(b))));
            format!("{what} done by {by}{}{text}", took.unwrap_or_default())
        }
        other => format!("{what} {} at {by}{text}", other.to_uppercase()),
    })
}

fn outage(old: Option<&RolloutView>, new: &RolloutView) -> Option<String> {
    if new.outage_ended.is_some() && old.and_then(|o| o.outage_ended).is_none() {
        let took =
            picture::outage_ms(new, new.outage_ended.unwrap_or_default()).map(span).unwrap_or_default();
        return Some(format!("outage ends after {took}"));
    }
    (new.outage_began.is_some() && old.and_then(|o| o.outage_began).is_none())
        .then(|| "outage begins".to_owned())
}
