//! What a command is about, in words for people. Never a captured value, evidence, an output or the text of a file:
//! the audit is read by more people than the systems it tells of.

use crate::{
    plan::OwedKey,
    rollout::{
        Command, OutcomeResult, TrustCommand,
        command::{AttemptRef, CommandKind, HaltCause},
    },
};

/// `SetCluster` -> `set-cluster`.
pub(super) fn kind(kind: CommandKind) -> String {
    let mut word = String::new();
    for c in format!("{kind:?}").chars() {
        if c.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(c.to_ascii_lowercase());
    }
    word
}

fn attempt(a: &AttemptRef) -> String {
    format!("step {} attempt {} by {}, token {}, rollout {}", a.step, a.attempt, a.member, a.token, a.rollout)
}

pub(super) fn about(command: &Command) -> String {
    match command {
        Command::Init { cluster, name, generation } => {
            format!("cluster {name} ({cluster}), generation {generation}")
        }
        Command::Enrol(e) => {
            format!("{} as node {}, incarnation {}, at {}", e.member, e.node_id, e.incarnation, e.address)
        }
        Command::TokenCreate { member, .. } => format!("lets {member} join"),
        Command::Announce { member, agent_version, feature, .. } => {
            format!("{member}: agent {agent_version}, feature {feature}")
        }
        Command::SetCluster { text, .. } => {
            format!("cluster file {}", crate::ids::Digest::of(text.as_bytes()))
        }
        Command::Approve { plan, .. } => format!("plan {plan}"),
        Command::Apply { plan } => {
            format!("plan {}: {} {} -> {}", plan.hash, plan.cluster, plan.from, plan.to)
        }
        Command::SetExecutor { rollout, target, member } => {
            format!("{member} for {target}, rollout {rollout}")
        }
        Command::Elect { rollout, database, member } => {
            format!("{member} upgrades {database}, rollout {rollout}")
        }
        Command::Assign { rollout, step, member } => format!("step {step} to {member}, rollout {rollout}"),
        Command::OwedIntent { attempt: a, .. } => attempt(a),
        Command::ReportBlocked { attempt: a, blocked: Some(b) } => format!("{}: {}", attempt(a), b.code),
        Command::ReportBlocked { attempt: a, blocked: None } => format!("{}: goes on", attempt(a)),
        Command::Outcome { attempt: a, result } => match result {
            OutcomeResult::Done { .. } => format!("{}: done", attempt(a)),
            OutcomeResult::Failed { code, .. } => format!("{}: failed {code}", attempt(a)),
            OutcomeResult::Dropped => format!("{}: dropped", attempt(a)),
        },
        Command::Takeover { database, to: Some(member), .. } => format!("{database}, by {member}"),
        Command::Takeover { database, to: None, .. } => database.to_string(),
        Command::Regrant { rollout, database } => format!("{database}, rollout {rollout}"),
        Command::Pause { .. } | Command::Resume | Command::Abort { .. } => String::new(),
        Command::Retry { step } => format!("step {step}"),
        Command::AcceptOwed { key, .. } => key.to_string(),
        Command::Halt { rollout, .. } | Command::Finish { rollout } => format!("rollout {rollout}"),
        Command::Trust(command) => trusted(command),
        Command::Recover { generation, lost, .. } => {
            let lost: Vec<&str> = lost.iter().map(|member| member.as_str()).collect();
            format!("generation {generation} without {}", lost.join(" "))
        }
        Command::GuardOpened { member, opening } => {
            let how = if opening.once { "the next start" } else { "every start" };
            let used = if opening.uses > 0 { format!("; {} let through", opening.uses) } else { String::new() };
            format!("{member}: {how} until {} by {}{used}", opening.until, opening.by)
        }
        Command::Restore { accept_loss, .. } => match accept_loss {
            None => String::new(),
            Some(u64::MAX) => "accepts any loss".to_owned(),
            Some(rows) => format!("accepts the loss of {rows} rows"),
        },
    }
}

fn trusted(command: &TrustCommand) -> String {
    match command {
        TrustCommand::OperatorIssue { name, role, .. } => format!("{name} as {role}"),
        TrustCommand::OperatorRevoke { name, .. } => name.to_string(),
        TrustCommand::MemberRemove { member, .. }
        | TrustCommand::MemberGone { member }
        | TrustCommand::AddVoter { member } => member.to_string(),
        TrustCommand::Certificate { member, incarnation, .. } => format!("{member}, incarnation {incarnation}"),
        TrustCommand::CaRotate { new, .. } => format!("root {}", new.root),
        TrustCommand::CaAdvance { stage } => format!("stage {stage:?}").to_lowercase(),
        TrustCommand::CaFinish => String::new(),
        TrustCommand::RaiseFloor { feature } => format!("feature {feature}"),
    }
}

/// The reason a person gave, or the leader's cause.
pub(super) fn why(command: &Command) -> String {
    match command {
        Command::Approve { reference, .. } => reference.clone(),
        Command::Pause { reason }
        | Command::Abort { reason }
        | Command::AcceptOwed { reason, .. }
        | Command::Takeover { reason, .. }
        | Command::Restore { reason, .. }
        | Command::Recover { reason, .. }
        | Command::Trust(
            TrustCommand::OperatorRevoke { reason, .. } | TrustCommand::MemberRemove { reason, .. },
        ) => reason.clone(),
        Command::GuardOpened { opening, .. } => opening.reason.clone(),
        Command::Halt { cause, .. } => match cause {
            HaltCause::StepFailed { step, .. } | HaltCause::TwinGroup { step } => format!("{}: step {step}", cause.code()),
            HaltCause::MemberLost { member, step } | HaltCause::NoAnswer { member, step } => {
                format!("{}: {member}, step {step}", cause.code())
            }
            HaltCause::UpgraderLost { member, database } => format!("{}: {member}, {database}", cause.code()),
            HaltCause::OwedDiffers { key: OwedKey(key) } => format!("{}: {key}", cause.code()),
            HaltCause::Recovered { .. } => cause.code().to_owned(),
        },
        Command::Init { .. }
        | Command::Enrol(_)
        | Command::TokenCreate { .. }
        | Command::Announce { .. }
        | Command::SetCluster { .. }
        | Command::Apply { .. }
        | Command::SetExecutor { .. }
        | Command::Elect { .. }
        | Command::Assign { .. }
        | Command::OwedIntent { .. }
        | Command::ReportBlocked { .. }
        | Command::Outcome { .. }
        | Command::Resume
        | Command::Retry { .. }
        | Command::Regrant { .. }
        | Command::Finish { .. }
        | Command::Trust(_) => String::new(),
    }
}
