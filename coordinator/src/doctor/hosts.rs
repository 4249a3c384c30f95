//! The machines: what their identity proves, their clocks, their room, and doors that people left open.

use super::{Seen, finding};
use crate::preflight::{Finding, FindingVerdict};
use lockkeeper_core::{
    observe::{MachineFacts, Room},
    rollout::Word,
    time::LogTime,
};

/// A clock this far from the asker's is told: certificates, windows and people compare times of several hosts.
const SKEW_MS: u64 = 2_000;
/// Less room than this stops an agent soon: its log and journal grow by some MB a rollout.
const ROOM_SHORT: u64 = 64 << 20;
/// Less than this, or than a twentieth of the disk, is told while there is time.
const ROOM_LOW: u64 = 1 << 30;

pub(super) fn look(seen: &Seen<'_>, findings: &mut Vec<Finding>, unseen: &mut Vec<String>) {
    for (name, node) in &seen.state.nodes {
        match seen.looks.get(name) {
            Some(Ok(facts)) => match &facts.machine {
                Some(facts) => {
                    machine(name.as_str(), facts, (&seen.stamp.source, seen.asked), findings, unseen)
                }
                None => unseen.push(format!(
                    "{name}: clock, room and identity; its build ({}) does not tell",
                    node.agent_version
                )),
            },
            Some(Err(_)) => {
                unseen.push(format!("{name}: clock, room and identity; its agent does not answer"))
            }
            None => {}
        }
        if !seen.state.trust.certificates.contains_key(name) {
            unseen.push(format!("{name}: until when its certificate is valid; it has not said yet"));
        }
        if let Some(opening) = seen.state.guard_openings.get(name)
            && opening.counts(seen.asked.1.0.max(opening.opened))
        {
            let text = format!("{} opened its boot guard: {}", opening.by, opening.reason);
            let remedy =
                format!("it shuts by itself; earlier: rm guard-open.json in the data directory of {name}");
            findings.push(finding(name.as_str(), FindingVerdict::Warning, "", text, remedy));
        }
    }
}

/// One machine: `asker` is whose clock it is compared with, before the question and after the answer.
pub fn machine(
    name: &str,
    machine: &MachineFacts,
    asker: (&str, (LogTime, LogTime)),
    findings: &mut Vec<Finding>,
    unseen: &mut Vec<String>,
) {
    let (source, (asked, answered)) = asker;
    if let Some(weak) = &machine.weak {
        let (code, text) = weak.split_once(": ").unwrap_or(("", weak));
        let remedy = "let the hypervisor show a SMBIOS UUID or a VM generation id, then enrol it anew: lockkeeper member remove, \
                      token create, join";
        findings.push(finding(name, FindingVerdict::Warning, code, text, remedy));
    }
    let (before, after) = (asked.0.saturating_sub(SKEW_MS), answered.0.saturating_add(SKEW_MS));
    if machine.wall_ms < before || machine.wall_ms > after {
        let off = if machine.wall_ms < before {
            format!("{} s behind", (asked.0 - machine.wall_ms) / 1000)
        } else {
            format!("{} s ahead of", (machine.wall_ms - answered.0) / 1000)
        };
        let text = format!("its clock is {off} that of {source}");
        findings.push(finding(
            name,
            FindingVerdict::Warning,
            Word::ClockSkew,
            text,
            format!("chronyc tracking on {name} and {source}"),
        ));
    }
    let mut told: Vec<(u64, u64)> = Vec::new();
    for room in &machine.rooms {
        match room {
            // Two directories of one disk are one finding.
            Ok(room) if told.contains(&(room.free, room.size)) => {}
            Ok(room) => {
                told.push((room.free, room.size));
                findings.extend(low(name, room));
            }
            Err(why) => unseen.push(format!("{name}: room on its disks: {why}")),
        }
    }
}

fn low(name: &str, room: &Room) -> Option<Finding> {
    let verdict = match room.free {
        free if free < ROOM_SHORT => FindingVerdict::Blocked,
        free if free < ROOM_LOW || free < room.size / 20 => FindingVerdict::Warning,
        _ => return None,
    };
    let text = format!(
        "{} MB of {} MB are free at {}",
        room.free / 1_000_000,
        room.size / 1_000_000,
        room.directory
    );
    let remedy = format!(
        "on {name}: df -h {0}; du -xhd1 {0}; sets that may go: lockkeeper backup list",
        room.directory
    );
    Some(finding(name, verdict, Word::DiskLow, text, remedy))
}
