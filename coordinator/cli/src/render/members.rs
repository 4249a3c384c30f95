//! `members` as text.

use super::{
    moment::{Moment, span},
    picture, source,
    table::Table,
    trust::left,
};
use lockkeeper_core::view::{MemberView, Stamp, StatusView};
use serde::Deserialize;

/// `members --json`.
#[derive(Debug, Deserialize)]
pub struct MembersView {
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Members and witnesses.
    pub members: Vec<MemberView>,
}

/// Members and witnesses with what their agents are.
pub fn text(view: &MembersView, moment: &Moment) -> String {
    let mut table = Table::new([
        "NAME",
        "ROLE",
        "VOTER",
        "ENROLLED",
        "ADDRESS",
        "AGENT",
        "APP",
        "ISOLATED",
        "CERTIFICATE",
        "SEEN",
    ]);
    for m in &view.members {
        table.row([
            m.name.clone(),
            m.role.clone(),
            yes(m.voter),
            yes(m.enrolled),
            m.address.clone(),
            m.agent_version.clone(),
            m.app_version.clone().unwrap_or_default(),
            yes(m.isolated),
            m.certificate_expires.map(|at| left(at, moment.now)).unwrap_or_default(),
            seen(m),
        ]);
    }
    format!("{}\n{}\n", table.text(), source::line(&view.stamp, moment))
}

/// The members' part of `status`.
pub fn table(view: &StatusView, moment: &Moment) -> String {
    let mut table = Table::new(["MEMBER", "ROLE", "VOTER", "APP", "BALANCER", "SERVICE", "SEEN", "DOING"]);
    for (m, p) in view.members.iter().zip(picture::members(view, moment)) {
        let doing = if p.upgrader { format!("* {}", p.doing) } else { p.doing };
        table.row([
            p.name,
            m.role.clone(),
            yes(m.voter),
            p.version,
            p.balancer.to_owned(),
            p.service.to_owned(),
            seen(m),
            doing,
        ]);
    }
    table.text()
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn seen(member: &MemberView) -> String {
    match (member.enrolled, member.last_seen) {
        (false, _) => "never joined".to_owned(),
        (true, _) if member.leaving => "leaving".to_owned(),
        (true, Some(ms)) => format!("{} ago", span(ms)),
        // Only the leader hears every agent.
        (true, None) => "unknown here".to_owned(),
    }
}
