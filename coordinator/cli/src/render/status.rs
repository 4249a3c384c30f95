//! `status` as text, and the screen that `--follow` and `--watch` redraw.

use super::{
    moment::{Moment, running, span},
    paint::Paint,
    picture::{self, MemberPicture},
    source,
    table::Table,
    why,
};
use lockkeeper_core::{
    rollout::Why,
    view::{RolloutView, StatusView},
};

/// Width of the progress bar, in characters.
const BAR: usize = 20;

/// Reasons shown beside the status; `--why` shows all.
const SHOWN: usize = 3;

/// The whole status.
pub fn text(view: &StatusView, moment: &Moment, paint: Paint) -> String {
    let mut lines = vec![head(view, moment, paint)];
    if let Some(rollout) = &view.rollout {
        lines.extend(progress(rollout, moment));
    }
    lines.push(String::new());
    lines.push(super::members::table(view, moment).trim_end().to_owned());
    let opened = view.members.iter().filter_map(|m| Some((&m.name, m.guard_open.as_ref()?)));
    lines.extend(opened.map(|(name, opening)| super::breakglass::opened(name, opening, moment)));
    if let Some(rollout) = &view.rollout {
        lines.extend(held(rollout, moment));
        let people: Vec<&Why> = rollout.why.iter().filter(|w| why::is_persons(w)).collect();
        if !people.is_empty() {
            lines.push(String::new());
            lines.push(paint.bad("needs a person") + " (all that waits: lockkeeper status --why)");
            lines.extend(people.iter().take(SHOWN).map(|w| why::one(w, moment)));
        }
    }
    lines.push(String::new());
    lines.push(source::line(&view.stamp, moment));
    lines.join("\n") + "\n"
}

/// The lines of the live screen, each meant to be cut at the terminal's width.
pub fn screen(view: &StatusView, moment: &Moment, paint: Paint) -> Vec<String> {
    let mut lines = vec![head(view, moment, paint)];
    let Some(rollout) = &view.rollout else {
        lines.push(source::line(&view.stamp, moment).replace('\n', "  "));
        return lines;
    };
    lines.extend(progress(rollout, moment));
    lines.extend(member_lines(&picture::members(view, moment)));
    lines.extend(held(rollout, moment));
    let people = rollout.why.iter().filter(|w| why::is_persons(w)).take(SHOWN);
    lines.extend(people.map(|w| format!("needs a person: {}: {}  then: {}", w.subject, w.text, w.remedy)));
    lines.push(source::line(&view.stamp, moment).replace('\n', "  "));
    lines
}

/// One line a member, in columns.
fn member_lines(members: &[MemberPicture]) -> Vec<String> {
    let width = |of: &dyn Fn(&MemberPicture) -> usize| members.iter().map(of).max().unwrap_or(0);
    let name = width(&|m| m.name.chars().count());
    let version = width(&|m| m.version.chars().count());
    let line = |m: &MemberPicture| {
        let mark = if m.upgrader { '*' } else { ' ' };
        let text = format!(
            "{:name$} {mark} {:3}  {:7}  {:version$}  {}",
            m.name, m.balancer, m.service, m.version, m.doing
        );
        text.trim_end().to_owned()
    };
    members.iter().map(line).collect()
}

/// The first line: which cluster, which rollout, what it does.
fn head(view: &StatusView, moment: &Moment, paint: Paint) -> String {
    let cluster = if view.cluster.is_empty() { "(not initialised)" } else { &view.cluster };
    let Some(rollout) = &view.rollout else {
        return format!("{cluster}: no rollout yet, cluster file {}", view.cluster_version);
    };
    let word = paint.state(&rollout.state, &picture::headline(rollout).to_uppercase());
    let when = match rollout.ended {
        Some(ended) => format!("ended {}", moment.since(ended)),
        None => format!("started {} by {}", moment.since(rollout.started), rollout.by),
    };
    format!("{cluster}: rollout {}  {} -> {}  {word}  {when}", rollout.id, rollout.from, rollout.to)
}

/// Progress, outage clock, point of no return.
fn progress(rollout: &RolloutView, moment: &Moment) -> Vec<String> {
    let back = ["aborting", "aborted", "restoring", "restored"].contains(&rollout.state.as_str());
    let way = if back { "way back " } else { "" };
    let mut parts = vec![format!(
        "{way}{} {} of {} steps",
        picture::bar(rollout.done, rollout.total, BAR),
        rollout.done,
        rollout.total
    )];
    if let Some(outage) = picture::outage_ms(rollout, moment.now) {
        let over = if rollout.outage_ended.is_some() { " (over)" } else { "" };
        parts.push(format!("outage {}{over}", running(outage)));
    }
    if matches!(rollout.state.as_str(), "running" | "aborting" | "restoring") && rollout.forecast > 0 {
        parts.push(format!("about {} left", span(rollout.forecast)));
    }
    parts.push(match rollout.point_of_no_return {
        Some(at) => format!("point of no return passed {}", moment.since(at)),
        None if picture::is_over(rollout) => "point of no return never passed".to_owned(),
        None => "point of no return not passed: abort undoes everything".to_owned(),
    });
    vec![parts.join("   ")]
}

/// Grants and what is owed.
fn held(rollout: &RolloutView, moment: &Moment) -> Vec<String> {
    let mut lines: Vec<String> = rollout
        .grant
        .iter()
        .map(|(database, g)| {
            let since = moment.since(g.since);
            format!("{database}: grant {} held by {}, token {}, since {since}", g.state, g.member, g.token)
        })
        .collect();
    let (changed, open) = picture::owed(rollout);
    if changed > 0 {
        let keys: Vec<&str> =
            rollout.owed.iter().filter(|o| o.state == "owed").map(|o| o.key.as_str()).collect();
        let list = if keys.is_empty() { String::new() } else { format!(": {}", keys.join(", ")) };
        lines.push(format!("owed {open} of {changed} changed settings{list}"));
    }
    lines
}

/// What a finished or halted rollout leaves to say, for the end of `--follow`.
pub fn ending(view: &StatusView, moment: &Moment, paint: Paint) -> String {
    let Some(rollout) = &view.rollout else { return String::new() };
    let mut text = head(view, moment, paint) + "\n" + &progress(rollout, moment).join("\n") + "\n";
    let mut table = Table::new(["MEMBER", "BALANCER", "SERVICE", "APP"]);
    for m in picture::members(view, moment) {
        table.row([m.name, m.balancer.to_owned(), m.service.to_owned(), m.version]);
    }
    text.push_str(&table.text());
    for line in held(rollout, moment) {
        text.push_str(&(line + "\n"));
    }
    if !picture::is_over(rollout) {
        for reason in rollout.why.iter().filter(|w| why::is_persons(w)) {
            text.push_str(&(why::one(reason, moment) + "\n"));
        }
    }
    text
}
