//! `status --why`: what waits, since when, who can end it, and how.

use super::{moment::Moment, paint::Paint, picture, source};
use lockkeeper_core::{
    rollout::{Why, why::Owner},
    view::StatusView,
};

/// Every reason, people's business first.
pub fn text(view: &StatusView, moment: &Moment, paint: Paint) -> String {
    let mut lines = Vec::new();
    match &view.rollout {
        None => lines.push("nothing waits: there is no rollout".to_owned()),
        Some(rollout) if picture::is_over(rollout) => {
            lines.push(format!("nothing waits: rollout {} is {}", rollout.id, rollout.state));
        }
        Some(rollout) => {
            let word = paint.state(&rollout.state, &rollout.state.to_uppercase());
            let steps = format!("{} of {} steps done", rollout.done, rollout.total);
            lines
                .push(format!("{word}: rollout {}, {} -> {}, {steps}", rollout.id, rollout.from, rollout.to));
            lines.extend(rollout.why.iter().map(|w| one(w, moment)));
            if rollout.why.is_empty() {
                lines.push("  nothing waits".to_owned());
            }
            let (_, open) = picture::owed(rollout);
            if open > 0 {
                lines.push(format!("  owed: {open}, see lockkeeper owed"));
            }
        }
    }
    lines.push(source::line(&view.stamp, moment));
    lines.join("\n") + "\n"
}

/// One reason.
pub fn one(why: &Why, moment: &Moment) -> String {
    let who = match &why.owner {
        Owner::Person => "a person".to_owned(),
        Owner::Agent(name) => format!("the agent of {name}"),
        Owner::Rollout => "the rollout itself".to_owned(),
    };
    format!(
        "  {}\n     {}: {}\n     since {}   who: {who}   then: {}",
        why.subject,
        why.code,
        why.text,
        moment.since(why.since.0),
        why.remedy
    )
}

/// Whether only a person can end the wait.
pub fn is_persons(why: &Why) -> bool {
    match why.owner {
        Owner::Person => true,
        Owner::Agent(_) | Owner::Rollout => false,
    }
}
