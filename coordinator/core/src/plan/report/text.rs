//! The plan as one screen of text.

use super::{Line, PlanReport, Ruler, words::numbers};
use crate::{ids::StepId, plan::Strategy, time::LogTime};

/// Which characters the reader's terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    /// Lines drawn with box characters.
    Unicode,
    /// Plain ASCII.
    Ascii,
}

/// Width of the rulers.
const WIDTH: usize = 100;

pub(super) fn text(report: &PlanReport, glyphs: Glyphs) -> String {
    let mut out = String::new();
    let mut say = |line: String| {
        out.push_str(line.trim_end());
        out.push('\n');
    };
    let strategy = report.strategy.as_str();
    let hops = if report.hops == 0 {
        if report.adopts.is_empty() { "restart".to_owned() } else { "no hop".to_owned() }
    } else if report.hops == 1 {
        "1 hop".to_owned()
    } else {
        format!("{} hops", report.hops)
    };
    let parent = report.parent.as_ref().map_or("none", |parent| parent.short());
    say(format!(
        "PLAN {}  {}  {} -> {}   {hops}   strategy {strategy}   parent: {parent}",
        report.plan.short(),
        report.cluster,
        report.from,
        report.to
    ));
    say(format!(
        "profile {} ({})   facts as of {}, {} members",
        report.profile,
        report.profile_digest.get(..8).unwrap_or_default(),
        utc(report.observed),
        report.members
    ));
    for (at, line) in report.adopts.iter().enumerate() {
        say(format!("{:<8}{line}", if at == 0 { "adopts" } else { "" }));
    }
    say(String::new());
    say(row("steps", "where", "what", "serial", "undo", "about"));
    for line in &report.lines {
        if let Some(ruler) = line.before {
            say(rule(ruler, report, glyphs));
        }
        say(line_text(line));
    }
    if report.strategy == Strategy::Offline
        && !report.lines.iter().any(|l| l.before == Some(Ruler::OutageEnds))
    {
        say(rule(Ruler::OutageEnds, report, glyphs));
    }
    say(String::new());
    match (report.strategy, report.adopts.is_empty()) {
        (Strategy::Offline, true) => say("way back, before the point of no return".to_owned()),
        (Strategy::Rolling, _) => {
            say(format!("way back: the member that is out; those that are in again stay at {}", report.to));
        }
        (Strategy::Offline, false) => {
            say("way back: none for the database, its point of no return was passed by hand before this plan"
                .to_owned());
            say("abort stops here: members that were taken out stay out and are owed until a person answers"
                .to_owned());
        }
    }
    for line in &report.undo {
        say(line_text(line));
    }
    if report.point_of_no_return.is_some() {
        say(format!(
            "after it: forward, or restore of the whole set {} (lockkeeper restore)",
            report.sets.join(" ")
        ));
        for line in &report.restore {
            say(line_text(line));
        }
    }
    say(String::new());
    let mut field = |name: &str, values: &[String]| {
        for (at, value) in values.iter().enumerate() {
            say(format!("{:<8}{value}", if at == 0 { name } else { "" }));
        }
    };
    field("floor", &report.floor);
    field("door", &report.door);
    field("loss", &report.loss);
    field("stop", std::slice::from_ref(&report.stop));
    field("owed", &[owed(report)]);
    field("needs", std::slice::from_ref(&report.needs));
    let warnings: Vec<String> =
        report.warnings.iter().map(|w| format!("[{}] {}; {}", w.code, w.message, w.help)).collect();
    field("warning", &warnings);
    out
}

fn row(steps: &str, place: &str, what: &str, serial: &str, undo: &str, about: &str) -> String {
    format!("{steps:>7}  {place:<9} {what:<46} {serial:<7} {undo:<16} {about}")
}

fn line_text(line: &Line) -> String {
    let about = format!("{}{}", line.about, if line.each { " each" } else { "" });
    let serial = if line.serial { "yes" } else { "" };
    row(&numbers(&sorted(&line.steps)), &line.place, &line.what, serial, &line.undo, &about)
}

fn sorted(steps: &[StepId]) -> Vec<StepId> {
    let mut steps = steps.to_vec();
    steps.sort();
    steps
}

fn rule(ruler: Ruler, report: &PlanReport, glyphs: Glyphs) -> String {
    let (light, heavy) = match glyphs {
        Glyphs::Unicode => ('─', '═'),
        Glyphs::Ascii => ('-', '='),
    };
    let (mark, text) = match ruler {
        Ruler::OutageBegins => (light, "outage begins".to_owned()),
        Ruler::PointOfNoReturn => (heavy, "point of no return".to_owned()),
        Ruler::OutageEnds => {
            let about = format!("outage ends: about {} (estimates, never rehearsed)", report.forecast.outage);
            (light, about)
        }
    };
    let rest = WIDTH.saturating_sub(text.chars().count() + 5);
    format!(" {0}{0} {text} {1}", mark, mark.to_string().repeat(rest))
}

/// `front/n1 n2 n3, n1 n2/service`: keys of one thing are told together.
fn owed(report: &PlanReport) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for key in &report.owed {
        let (left, right) = key.0.split_once('/').unwrap_or((key.0.as_str(), ""));
        // Balancers come as BALANCER/MEMBER, all others as NAME/WORD; the word is what they have in common.
        let (common, own) = if matches!(right, "service" | "door") {
            (format!("/{right}"), left)
        } else {
            (format!("{left}/"), right)
        };
        match groups.iter_mut().find(|(name, _)| *name == common) {
            Some((_, members)) => members.push(own.to_owned()),
            None => groups.push((common, vec![own.to_owned()])),
        }
    }
    let told = groups.iter().map(|(common, members)| {
        let list = if members.len() > 6 { format!("({} members)", members.len()) } else { members.join(" ") };
        if common.starts_with('/') { format!("{list}{common}") } else { format!("{common}{list}") }
    });
    told.collect::<Vec<_>>().join(", ")
}

/// A log time as `2026-11-20 21:58:04 UTC`.
fn utc(time: LogTime) -> String {
    let seconds = time.0 / 1000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1970 to a date of the Gregorian calendar: years begin in March, so that the leap day comes last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_795_212_000_000, "2026-11-20 22:00:00 UTC"),
            (4_107_542_399_000, "2100-02-28 23:59:59 UTC"),
        ] {
            assert_eq!(utc(LogTime(ms)), text);
        }
    }
}
