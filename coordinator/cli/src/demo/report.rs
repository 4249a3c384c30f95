//! The demo's last words: the picture of who did what when, and the figures. Text only; the figures come with it.

use super::{
    fault::FaultKind,
    figures::{Figures, Lane},
    result::{DemoResult, Outcome},
};
use std::path::Path;

/// Columns before the picture.
const LABEL: usize = 8;

/// Marks on the time axis.
const MARKS: u64 = 6;

/// The report. `kept` is where the files stay, if they do.
pub fn text(result: &DemoResult, figures: &Figures, kept: Option<&Path>) -> String {
    let mut lines = vec![
        format!(
            "{} -> {} on {} members in {}{}",
            result.from,
            result.to,
            result.members.len(),
            seconds(result.wall_ms),
            match result.state {
                Outcome::Completed => "",
                Outcome::Aborted => ": ABORTED",
                Outcome::Restored => ": RESTORED",
                Outcome::Halted => ": HALTED",
                Outcome::Blocked => ": BLOCKED",
            }
        ),
        String::new(),
    ];
    lines.extend(picture(result, figures));
    lines.push(String::new());
    lines.extend(summary(result));
    lines.push(match kept {
        Some(directory) => format!("files: {}", directory.display()),
        None => "files: removed; keep them with --keep DIR".to_owned(),
    });
    if result.fault.kind == FaultKind::None {
        lines.push("try: lockkeeper demo --fault kill-leader".to_owned());
    }
    lines.join("\n") + "\n"
}

fn picture(result: &DemoResult, figures: &Figures) -> Vec<String> {
    let (from, to) = (figures.client.from, figures.client.to);
    let width = figures.lanes.first().map_or(0, |lane| lane.picture.chars().count() as u64);
    let mut lines = vec![format!("{:LABEL$}{}", "", axis(to.saturating_sub(from), width))];
    let upgrader = |lane: &Lane| result.upgrader.as_ref() == Some(&lane.member);
    for lane in &figures.lanes {
        let mark = if upgrader(lane) { " *" } else { "" };
        lines.push(format!("{:LABEL$}{}", format!("{}{mark}", lane.member), lane.picture));
    }
    let out = |column: u64| {
        let moment = from + to.saturating_sub(from) * column / width.max(1);
        figures.windows.iter().any(|window| window.from <= moment && moment < window.to)
    };
    let front: String = (0..width).map(|column| if out(column) { '-' } else { '=' }).collect();
    lines.push(format!("{:LABEL$}{front}   outage {}", "front", seconds(result.outage_ms)));
    lines.push(format!(
        "{:LABEL$}= in the balancer  d draining  . stopped  U upgrading  s starting  P proving",
        ""
    ));
    lines
}

/// `0s        2         4`: whole seconds, at most [`MARKS`] of them.
fn axis(length_ms: u64, width: u64) -> String {
    let step = (length_ms / 1_000 / MARKS + 1) * 1_000;
    let mut axis = String::new();
    let mut at = 0;
    while at <= length_ms && width > 0 {
        let column = usize::try_from(at * width / length_ms.max(1)).unwrap_or(0);
        let label = if at == 0 { "0s".to_owned() } else { (at / 1_000).to_string() };
        if column as u64 + label.len() as u64 <= width {
            axis.push_str(&" ".repeat(column.saturating_sub(axis.chars().count())));
            axis.push_str(&label);
        }
        at += step;
    }
    axis
}

fn summary(result: &DemoResult) -> Vec<String> {
    let upgrader = match (&result.upgrader, &result.token) {
        (Some(member), Some(token)) => format!("upgrader {member}, token {token}"),
        (Some(member), None) => format!("upgrader {member}"),
        (None, _) => "nobody upgraded".to_owned(),
    };
    let requests = &result.requests;
    let outside = requests.failed_outside_outage;
    let during = requests.total.saturating_sub(requests.ok).saturating_sub(outside);
    let owed = result.owed.len();
    let coordination = result.wall_ms.saturating_sub(result.critical_path_ms);
    let violated = result.invariants.violated.len();
    let late = &result.late_writes;
    let mut lines = vec![
        format!(
            "{upgrader} · {} of the live database, {} · {}",
            count(result.database_upgrades, "upgrade"),
            count(result.attempts, "attempt"),
            count(result.leader_changes, "leader change")
        ),
        format!(
            "requests {}: {} ok, {} during the outage, {outside} failed outside it",
            grouped(requests.total),
            grouped(requests.ok),
            grouped(during)
        ),
        format!(
            "owed {}, restored {} · invariants {} checked, {violated} violated · coordination {} of {}",
            result.changed,
            result.changed - owed.min(result.changed),
            result.invariants.checked,
            hundredths(coordination),
            seconds(result.wall_ms)
        ),
    ];
    if result.tokens.len() > 1 {
        lines.push(format!(
            "tokens {} · late writes: {} attempted, {} landed in the live database",
            result.tokens.join(" < "),
            late.attempted,
            late.landed
        ));
    }
    if let (Some(victim), Some(step)) = (&result.fault.victim, &result.fault.during_step) {
        let word = match result.fault.kind {
            FaultKind::None => "untouched",
            FaultKind::KillLeader | FaultKind::KillUpgrader => "killed",
            FaultKind::Partition => "cut off",
            FaultKind::PauseLeader | FaultKind::PauseUpgrader => "paused",
            FaultKind::Clone => "copied and started elsewhere",
        };
        lines.push(format!(
            "fault: the agent of {victim} was {word} during step {step}: {}",
            result.fault.effect
        ));
    }
    lines
}

fn count(number: u64, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

fn hundredths(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
}

/// `1,412`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_412, 1_000_000].map(grouped), ["0", "999", "1,412", "1,000,000"]);
        assert_eq!((seconds(11_249), hundredths(311)), ("11.2 s".to_owned(), "0.31 s".to_owned()));
        assert_eq!(
            (count(1, "attempt"), count(0, "attempt")),
            ("1 attempt".to_owned(), "0 attempts".to_owned())
        );
    }

    #[test]
    fn the_axis_marks_whole_seconds_within_the_picture() {
        assert_eq!(axis(11_200, 60), "0s        2          4          6         8          10");
        assert_eq!(axis(900, 60), "0s");
        assert!(axis(61_000, 60).len() <= 60);
        assert_eq!(axis(0, 0), "");
    }
}
