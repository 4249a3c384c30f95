//! What a status view shows of members, databases and progress, worked out once for the screen, the plain lines and
//! the snapshot. Holds no text layout.

use super::moment::Moment;
use lockkeeper_core::{
    rollout::Why,
    view::{MemberView, RolloutView, StatusView, StepView},
};

/// One member as the rollout left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPicture {
    /// Its name.
    pub name: String,
    /// It holds a grant, or held the last one.
    pub upgrader: bool,
    /// `in`, `out` or empty if the rollout has not touched it.
    pub balancer: &'static str,
    /// `running`, `stopped`, `started`, `proven` or empty if the rollout has not touched it.
    pub service: &'static str,
    /// The application's version, if read.
    pub version: String,
    /// What it does or waits for.
    pub doing: String,
}

/// Every member of the view, by name.
pub fn members(view: &StatusView, moment: &Moment) -> Vec<MemberPicture> {
    view.members.iter().map(|m| member(view, m, moment)).collect()
}

fn member(view: &StatusView, member: &MemberView, moment: &Moment) -> MemberPicture {
    let mut picture = MemberPicture {
        name: member.name.clone(),
        upgrader: false,
        balancer: match member.in_balancer {
            Some(true) => "in",
            Some(false) => "out",
            None => "",
        },
        service: "",
        version: member.app_version.clone().unwrap_or_default(),
        doing: String::new(),
    };
    let Some(rollout) = &view.rollout else { return picture };
    picture.upgrader = rollout.grant.values().any(|g| g.member == member.name);
    for step in rollout.steps.iter().filter(|s| s.state == "done" && concerns(s, &member.name)) {
        match step.action.as_str() {
            "drain" => picture.balancer = "out",
            "admit" => picture.balancer = "in",
            "stop-service" => picture.service = "stopped",
            "start-service" => picture.service = "started",
            "prove" => picture.service = "proven",
            _ => {}
        }
    }
    picture.doing = doing(rollout, &member.name, moment);
    if picture.doing.is_empty() && member.role == "witness" {
        picture.doing = "(witness)".to_owned();
    }
    picture
}

/// Whether a step acts on this member or its server, or is done by it.
pub fn concerns(step: &StepView, member: &str) -> bool {
    step.target == member || step.target.split_once('/').is_some_and(|(_, server)| server == member)
}

fn doing(rollout: &RolloutView, member: &str, moment: &Moment) -> String {
    let has = |s: &&StepView| s.state == "assigned" && s.member.as_deref() == Some(member);
    let now: Vec<String> = rollout.steps.iter().filter(has).map(|s| under_way(s, moment)).collect();
    if !now.is_empty() {
        return now.join("; ");
    }
    let failed = rollout.steps.iter().find(|s| s.state == "failed" && concerns(s, member));
    if let Some(step) = failed {
        return format!("FAILED step {} ({}): {}", step.id, step.action, step.text);
    }
    let next = rollout.steps.iter().find(|s| s.state == "pending" && !s.undo && concerns(s, member));
    match next {
        Some(step) if !is_over(rollout) && !["aborting", "restoring"].contains(&rollout.state.as_str()) => {
            match rollout.why.iter().find(|w| step_of(w) == Some(step.id)) {
                Some(why) => format!("waits: {}", why.text),
                None if rollout.state == "running" => format!("next: {}", step.action),
                None => format!("{} before {}", rollout.state, step.action),
            }
        }
        Some(_) | None => String::new(),
    }
}

fn under_way(step: &StepView, moment: &Moment) -> String {
    let since = step.began.map(|at| super::moment::span(moment.now.saturating_sub(at))).unwrap_or_default();
    let tries = if step.attempts > 1 { format!(", try {}", step.attempts) } else { String::new() };
    let blocked = if step.text.is_empty() { String::new() } else { format!("  BLOCKED: {}", step.text) };
    format!("{} {}  {since}{tries}{blocked}", step.action, step.target)
}

/// Whether nothing of the rollout will move again.
pub fn is_over(rollout: &RolloutView) -> bool {
    rollout.ended.is_some() || matches!(rollout.state.as_str(), "completed" | "aborted" | "restored")
}

/// The step a reason is about: subjects read `step 8 (drain front/n1)`.
pub fn step_of(why: &Why) -> Option<u32> {
    why.subject.strip_prefix("step ")?.split(' ').next()?.parse().ok()
}

/// What the rollout is doing, in one or two words: the stages under way, else its state.
pub fn headline(rollout: &RolloutView) -> String {
    if rollout.state != "running" {
        return rollout.state.clone();
    }
    let mut stages: Vec<&str> = Vec::new();
    for step in rollout.steps.iter().filter(|s| s.state == "assigned") {
        if !stages.contains(&step.stage.as_str()) {
            stages.push(&step.stage);
        }
    }
    if stages.is_empty() { rollout.state.clone() } else { stages.join(", ") }
}

/// How long users have been without service; none before it began.
pub fn outage_ms(rollout: &RolloutView, now: u64) -> Option<u64> {
    let end = rollout.outage_ended.or(rollout.ended).unwrap_or(now);
    Some(end.saturating_sub(rollout.outage_began?))
}

/// How many settings were changed, and how many of them are still owed.
pub fn owed(rollout: &RolloutView) -> (usize, usize) {
    (rollout.owed.len(), rollout.owed.iter().filter(|o| o.state == "owed").count())
}

/// `[########------------]`.
pub fn bar(done: u32, total: u32, width: usize) -> String {
    let share = if total == 0 {
        0
    } else {
        width * usize::try_from(done.min(total)).unwrap_or(0) / usize::try_from(total).unwrap_or(1)
    };
    format!("[{}{}]", "#".repeat(share), "-".repeat(width - share))
}
