//! `explain STEP` as text: all that is known about one step, and what is not.

use super::{
    moment::{Moment, span},
    picture, source,
};
use lockkeeper_core::{
    plan::{Action, Plan, Step, Who},
    view::{RolloutView, StatusView, StepView},
};

/// The step as the rollout records it, and, with the plan, what it would do.
pub fn text(
    view: &StatusView,
    rollout: &RolloutView,
    step: &StepView,
    plan: Option<&Plan>,
    moment: &Moment,
) -> String {
    let way = if step.undo { " (way back)" } else { "" };
    let mut lines = vec![
        format!("step {} of rollout {}{way}: {} {}", step.id, rollout.id, step.action, step.target),
        format!("  does       {}", about(&step.action)),
        format!("  stage      {}, {}", step.stage, phase(step)),
    ];
    lines.push(format!("  state      {}", state(step, moment)));
    if !step.text.is_empty() {
        lines.push(format!("  says       {}", step.text));
    }
    if let Some((began, ended)) = step.action_ms {
        lines.push(format!(
            "  took       {} by the clock of the host that did it",
            span(ended.saturating_sub(began))
        ));
    }
    for why in rollout.why.iter().filter(|w| picture::step_of(w) == Some(step.id)) {
        lines.push(format!("  why        {}: {}", why.code, why.text));
        lines.push(format!("  then       {}", why.remedy));
    }
    match plan.and_then(|p| p.every_step().find(|s| s.id.0 == step.id)) {
        Some(planned) => lines.extend(planned_lines(planned)),
        None => lines.push(
            "  not known  who may do it, undo, deadlines and facts: they stand in the plan file (add --plan FILE)"
                .to_owned(),
        ),
    }
    lines.push(source::line(&view.stamp, moment));
    lines.join("\n") + "\n"
}

fn phase(step: &StepView) -> &'static str {
    use lockkeeper_core::plan::Phase;
    match step.phase {
        Phase::Before => "before the outage",
        Phase::Outage => "in the outage",
        Phase::After => "after the first members serve again",
    }
}

fn state(step: &StepView, moment: &Moment) -> String {
    let mut text = step.state.clone();
    if let Some(member) = &step.member {
        text.push_str(&format!(", {member}"));
    }
    if let Some(token) = &step.token {
        text.push_str(&format!(", token {token}"));
    }
    if step.attempts > 1 {
        text.push_str(&format!(", try {}", step.attempts));
    }
    match (step.began, step.ended) {
        (_, Some(ended)) => text.push_str(&format!(", settled {}", moment.since(ended))),
        (Some(began), None) => text.push_str(&format!(", since {}", moment.since(began))),
        (None, None) => {}
    }
    text
}

/// What only the plan knows.
fn planned_lines(step: &Step) -> Vec<String> {
    let who = match &step.who {
        Who::Member(m) => format!("the agent of {m}"),
        Who::Executor => "the committed executor of the target".to_owned(),
        Who::ExecutorNotHolder => "the committed executor of the target, never the grant's holder".to_owned(),
        Who::Holder(d) => format!("the member elected to upgrade {d}"),
    };
    let after = if step.after_text().is_empty() { "none".to_owned() } else { step.after_text() };
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let mut lines = vec![
        format!("  who        {who}"),
        format!("  undo       {}", if step.undo.is_empty() { "none" } else { &step.undo }),
        format!(
            "  deadlines  told after {}, failed after {}; estimate {}",
            step.deadline.soft, step.deadline.hard, step.estimate
        ),
        format!("  after      {after}"),
        format!("  facts      {}", list(step.facts.clone())),
    ];
    if let Some(serial) = &step.serial {
        lines.push(format!("  serial     one member at a time through {:?}", serial.run));
    }
    if let Some(key) = &step.owes {
        lines.push(format!("  owes       {key}"));
    }
    if let Some(key) = &step.settles {
        lines.push(format!("  settles    {key}"));
    }
    if step.irreversible {
        lines.push("  no return  its assignment is the point of no return".to_owned());
    }
    if let Action::UpgradeDatabase(upgrade) = &step.action {
        lines.push(format!("  command    {}", upgrade.command.argv.join(" ")));
    }
    lines
}

/// What an action does, in a sentence; the words are those of plans and profiles.
pub fn about(action: &str) -> &'static str {
    match action {
        "stage-release" => "copies the release into its own directory and compares every file's hash",
        "switch-release" => "points the `current` link at the new release; the old one is kept",
        "drain" => "takes the member out of the balancer: drain, wait for zero sessions, maintenance",
        "admit" => "puts the member back: wait until its checks pass, then ready",
        "stop-service" => "stops the application",
        "start-service" => "starts the application",
        "prove-no-writers" => "proves by the session list that nobody can write to the database",
        "backup" => "takes a backup set",
        "prove-backup" => "restores the set beside the database and compares catalog and data",
        "shut-door" => "keeps every principal out of the database",
        "mint-credential" => "lets the elected member make its own secret and answer only a verifier",
        "admit-holder" => "lets the grant's holder, and nobody else, into the database",
        "upgrade-database" => "runs the one upgrade attempt this grant allows",
        "close-grant" => "takes the holder's way into the database away and proves it",
        "open-door" => "gives back the ways into the database that were taken",
        "restore-database" => "puts the proven backup set in the database's place; the failed one is kept beside it",
        "judge-schema" => "proves that the schema reads what the new version brings, so that nobody upgrades it again",
        "prove" => "proves the member by probes that must hold for a while",
        "run" => "runs a command of the profile",
        _ => "an action this build of the command line has no words for",
    }
}
