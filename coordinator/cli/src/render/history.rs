//! `history` as text: one line a rollout; with `--diff` what each of them changed.

use super::{
    moment::{Moment, span},
    picture, source,
    table::Table,
};
use lockkeeper_core::view::{HistoryRollout, HistoryView};

/// How much of each rollout is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One line.
    Line,
    /// Steps, settings and events as well.
    Diff,
}

/// The rollouts, oldest first.
pub fn text(view: &HistoryView, detail: Detail, moment: &Moment) -> String {
    let mut text = String::new();
    if view.rollouts.is_empty() {
        text.push_str("no rollout yet\n");
    } else {
        let mut table = Table::new([
            "ROLLOUT", "STARTED", "TOOK", "FROM", "TO", "STATE", "OUTAGE", "UPGRADER", "BY", "PLAN",
        ]);
        for entry in &view.rollouts {
            let r = &entry.rollout;
            let took = r.ended.unwrap_or(moment.now).saturating_sub(r.started);
            let upgraders: Vec<&str> = r.grant.values().map(|g| g.member.as_str()).collect();
            table.row([
                r.id.to_string(),
                moment.stamp(r.started),
                span(took),
                r.from.clone(),
                r.to.clone(),
                r.state.clone(),
                picture::outage_ms(r, moment.now).map(span).unwrap_or_default(),
                upgraders.join(","),
                r.by.clone(),
                r.plan.chars().take(8).collect(),
            ]);
        }
        text.push_str(&table.text());
        if detail == Detail::Diff {
            view.rollouts.iter().for_each(|r| text.push_str(&diff(r, moment)));
        }
        text.push('\n');
    }
    text + &source::line(&view.stamp, moment) + "\n"
}

/// `+` was done, `-` was given back, `*` is or stays changed, `!` failed.
fn diff(entry: &HistoryRollout, moment: &Moment) -> String {
    let r = &entry.rollout;
    let mut text = format!("\nrollout {} ({} -> {}), plan {}\n", r.id, r.from, r.to, r.plan);
    for step in r.steps.iter().filter(|s| matches!(s.state.as_str(), "done" | "failed" | "assigned")) {
        let mark = match (step.state.as_str(), step.undo) {
            ("failed", _) => '!',
            ("done", false) => '+',
            ("done", true) => '-',
            _ => '*',
        };
        let by = step.member.as_deref().map(|m| format!(" by {m}")).unwrap_or_default();
        let said = if step.text.is_empty() { String::new() } else { format!(": {}", step.text) };
        text.push_str(&format!("  {mark} step {} {} {}{by}{said}\n", step.id, step.action, step.target));
    }
    for owed in &r.owed {
        let mark = if owed.state == "restored" { '-' } else { '*' };
        text.push_str(&format!("  {mark} {} was {}: {}\n", owed.key, owed.captured, owed.state));
    }
    for event in &entry.events {
        text.push_str(&format!("    {} log {} {}\n", moment.stamp(event.time.0), event.index, event.text));
    }
    text
}
