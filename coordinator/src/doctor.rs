//! `doctor`: what is wrong and what to do about it, from whatever is known. A pure function of what was seen; it asks
//! nobody, so it says the same from a running group and from one data directory.

mod hosts;
mod surroundings;

pub use hosts::machine;

use crate::{
    planning::Looks,
    preflight::{self, Finding, FindingVerdict},
};
use lockkeeper_core::{
    cluster::ClusterSpec,
    ids::MemberName,
    rollout::{Rollout, State, Status, Word},
    time::LogTime,
    view::Stamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How long something may stay owed before it is told: longer than the outage of any usual rollout.
const OWED_OLD_MS: u64 = 3_600_000;

/// What a diagnosis rests on.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What the source knows.
    pub state: &'a State,
    /// Whose knowledge it is.
    pub stamp: Stamp,
    /// Who votes, as far as is known.
    pub voters: &'a [MemberName],
    /// What the agents saw; empty: none was asked.
    pub looks: &'a Looks,
    /// Wall clock of who asked, before the first question and after the last answer.
    pub asked: (LogTime, LogTime),
}

/// `doctor --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorView {
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at, each with the reason: nothing is known of it, good or bad.
    pub unseen: Vec<String>,
}

/// The diagnosis.
pub fn diagnose(seen: Seen<'_>) -> DoctorView {
    let (mut findings, mut unseen) = (Vec::new(), Vec::new());
    group(&seen, &mut findings, &mut unseen);
    match seen.state.config.as_deref() {
        Some(config) => cluster(&seen, &config.spec, &mut findings, &mut unseen),
        None => {
            let remedy = "lockkeeper cluster apply FILE";
            findings.push(finding(
                "cluster",
                FindingVerdict::Warning,
                "LK3108",
                "no cluster file is in force",
                remedy,
            ));
            unseen.push("databases and balancers: no cluster file names them".to_owned());
        }
    }
    hosts::look(&seen, &mut findings, &mut unseen);
    if let Some(rollout) = &seen.state.rollout {
        under_way(rollout, seen.asked.1, &mut findings);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    DoctorView { stamp: seen.stamp, findings, unseen }
}

/// What preflight says against a rollout, and what stands around the members.
fn cluster(seen: &Seen<'_>, spec: &ClusterSpec, findings: &mut Vec<Finding>, unseen: &mut Vec<String>) {
    let mut looks = seen.looks.clone();
    // Who was not asked is unseen, not wrong.
    for name in
        spec.members.keys().chain(spec.witnesses.keys()).filter(|name| !seen.looks.contains_key(*name))
    {
        if seen.state.nodes.contains_key(name) {
            unseen.push(format!("{name}: its agent was not asked"));
            looks.insert(name.clone(), Err(String::new()));
        }
    }
    let silent: BTreeSet<String> =
        looks.keys().filter(|name| !seen.looks.contains_key(*name)).map(ToString::to_string).collect();
    let mut told = preflight::findings(seen.state, spec, &looks, seen.asked.1);
    let nobody = seen.looks.values().all(Result::is_err);
    told.retain(|finding| {
        let database = spec.databases.keys().any(|name| name.as_str() == finding.subject);
        finding.verdict != FindingVerdict::Good
            && finding.subject != "rollout"
            && !silent.contains(&finding.subject)
            && !(nobody && database)
    });
    findings.append(&mut told);
    if nobody {
        for name in spec.databases.keys() {
            unseen.push(format!("database {name}: no agent answered that could look"));
        }
        for name in spec.balancers.keys() {
            unseen.push(format!("balancer {name}: no agent answered that could look"));
        }
    } else {
        surroundings::look(seen, spec, findings, unseen);
    }
}

fn finding(
    subject: impl Into<String>,
    verdict: FindingVerdict,
    code: impl Into<String>,
    text: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding { subject: subject.into(), verdict, text: text.into(), code: code.into(), remedy: remedy.into() }
}

/// Whether anything can be decided, and how much may still be lost.
fn group(seen: &Seen<'_>, findings: &mut Vec<Finding>, unseen: &mut Vec<String>) {
    if seen.state.group.is_none() {
        let text = "this agent knows no group";
        findings.push(finding(
            "group",
            FindingVerdict::Blocked,
            "LK3001",
            text,
            "lockkeeper init, or lockkeeper join with a token",
        ));
        return;
    }
    let answer = |name: &&MemberName| seen.looks.get(*name).is_some_and(Result::is_ok);
    let (votes, answering) = (seen.voters.len(), seen.voters.iter().filter(answer).count());
    let silent: Vec<&str> = seen.voters.iter().filter(|name| !answer(name)).map(MemberName::as_str).collect();
    if seen.looks.is_empty() {
        unseen.push("group: whether a quorum is there".to_owned());
        return;
    }
    let start = format!("systemctl start lockkeeper on {}", silent.join(", "));
    if seen.stamp.stale {
        let text =
            format!("no quorum is heard: {answering} of {votes} voters answer; nothing can be decided");
        let remedy = format!(
            "{start}; what is owed meanwhile: lockkeeper breakglass show; if they are lost for good: lockkeeper recover"
        );
        findings.push(finding("group", FindingVerdict::Blocked, "LK3101", text, remedy));
    } else if !silent.is_empty() && answering <= votes / 2 + 1 {
        let text = format!("{answering} of {votes} voters answer: losing one more stops every decision");
        findings.push(finding("group", FindingVerdict::Warning, "LK1312", text, start));
    }
}

/// A rollout that a person must look after, and what stays owed for long.
fn under_way(rollout: &Rollout, now: LogTime, findings: &mut Vec<Finding>) {
    let subject = format!("rollout {}", rollout.id);
    let remedy = "lockkeeper status --why";
    match &rollout.status {
        Status::Halted { cause, .. } => {
            let text = "it has halted; drained stays drained, shut stays shut";
            findings.push(finding(subject, FindingVerdict::Blocked, cause.code(), text, remedy));
        }
        Status::Paused { by, reason, .. } => {
            let text = format!("{by} paused it: {reason}");
            findings.push(finding(
                subject,
                FindingVerdict::Warning,
                Word::Paused,
                text,
                "lockkeeper resume, or lockkeeper abort",
            ));
        }
        Status::Running
        | Status::Aborting
        | Status::Restoring
        | Status::Completed { .. }
        | Status::Aborted { .. }
        | Status::Restored { .. } => {}
    }
    for (key, owed) in rollout.owed_open() {
        let age = now.0.saturating_sub(owed.since.0);
        if age >= OWED_OLD_MS {
            let text = format!(
                "changed {} min ago by step {} and not given back; it was {:?}",
                age / 60_000,
                owed.step,
                owed.captured
            );
            let remedy = format!(
                "{remedy} says what gives it back; by hand: lockkeeper breakglass show; to leave it: lockkeeper owed accept {} --reason R",
                key.0
            );
            findings.push(finding(key.0.clone(), FindingVerdict::Warning, Word::StillOwed, text, remedy));
        }
    }
}

#[cfg(test)]
mod tests;
