//! Invariants of the database: who upgraded it, under which token, and that nobody else was in it.

use crate::demo::evidence::{AppEvent, AuditRow, Evidence, late_writes};
use lockkeeper_core::{ids::MemberName, view::StepView};

/// A run of the upgrade tool by the applications' own logs; of one that never said its end, the end is open.
struct Run<'a> {
    member: &'a MemberName,
    pid: u32,
    token: Option<String>,
    begun: u64,
    ended: Option<u64>,
}

fn runs(evidence: &Evidence) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    for (member, events) in &evidence.apps {
        for begin in events.iter().filter(|event| event.event == "upgrade-begin") {
            let over = |event: &&AppEvent| {
                event.pid == begin.pid && ["upgrade-end", "failed", "corrupt"].contains(&event.event.as_str())
            };
            let ended = events.iter().filter(|event| event.at >= begin.at).find(over).map(|event| event.at);
            let token = begin.token.clone();
            runs.push(Run { member, pid: begin.pid, token, begun: begin.at, ended });
        }
    }
    runs.sort_by_key(|run| run.begun);
    runs
}

/// Begin and end of each upgrade that succeeded on the live database.
pub fn upgrades(audit: &[AuditRow]) -> Vec<(&AuditRow, &AuditRow)> {
    let who = |row: &AuditRow| (row.member.clone(), row.pid, row.token.clone());
    let begins = audit.iter().filter(|row| row.what == "upgrade-begin");
    begins
        .filter_map(|begin| {
            let ends =
                |row: &&AuditRow| row.what == "upgrade-end" && row.id > begin.id && who(row) == who(begin);
            Some((begin, audit.iter().find(ends)?))
        })
        .collect()
}

/// Whether a run's file was taken away and nothing it did afterwards is in the live database: it may still have run, but
/// not on that.
fn was_cut_off(evidence: &Evidence, run: &Run<'_>) -> bool {
    let fenced = run.token.is_some() && evidence.cut_off.iter().any(|cut| cut.token == run.token);
    fenced && late_writes(evidence).landed == 0
}

/// At most one upgrade runs on the live database at a time, at most one succeeds.
pub fn one_upgrader(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    let runs = runs(evidence);
    for pair in runs.windows(2) {
        if let [first, second] = pair
            && first.ended.is_none_or(|ended| ended > second.begun)
            && !was_cut_off(evidence, first)
        {
            found.push(format!(
                "{} (pid {}) began while {} (pid {}) was at it",
                second.member, second.pid, first.member, first.pid
            ));
        }
    }
    let succeeded = upgrades(&evidence.live.audit).len();
    if succeeded > 1 {
        found.push(format!("{succeeded} upgrades succeeded on the live database"));
    }
    found
}

/// Tokens of upgrades and starts never fall, in the order of commits.
pub fn token_monotone(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    let mut last: Option<((u64, u64), &AuditRow)> = None;
    let fenced = |row: &&AuditRow| row.what == "start" || row.what.starts_with("upgrade-");
    for row in evidence.live.audit.iter().filter(fenced) {
        let Some(text) = &row.token else { continue };
        let Some(token) = token(text) else {
            found.push(format!("row {}: {text:?} is no token", row.id));
            continue;
        };
        if let Some((before, earlier)) = last
            && token < before
        {
            found.push(format!(
                "row {} ({} by {}) has token {text}, row {} had {:?}",
                row.id, row.what, row.member, earlier.id, earlier.token
            ));
        }
        last = Some((token, row));
    }
    found
}

/// `1-38` and `(1, 38)`.
pub fn token(text: &str) -> Option<(u64, u64)> {
    let plain = text.trim_start_matches('(').trim_end_matches(')');
    let (generation, index) = plain.split_once('-').or_else(|| plain.split_once(", "))?;
    Some((generation.parse().ok()?, index.parse().ok()?))
}

/// The schema only rises: nobody of the old version commits anything once the upgrade began.
pub fn schema_forward(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(backup) = evidence.backup.as_ref().filter(|backup| backup.schema > evidence.live.schema) {
        found.push(format!("schema {} in the backup, {} live", backup.schema, evidence.live.schema));
    }
    let begun = evidence.live.audit.iter().find(|row| row.what == "upgrade-begin");
    if let Some(begun) = begun {
        let old = evidence.plan.from.as_str();
        let late = evidence.live.audit.iter().filter(|row| row.id > begun.id && row.version == old);
        found.extend(
            late.map(|row| format!("{} by {} as {old} after the upgrade began", row.what, row.member)),
        );
    }
    found
}

/// While the door was shut nobody but the holder was in the database.
pub fn door_shut(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    for (begin, end) in upgrades(&evidence.live.audit) {
        let inside = evidence.live.audit.iter().filter(|row| begin.id < row.id && row.id < end.id);
        found.extend(inside.map(|row| format!("{} by {} during the upgrade", row.what, row.member)));
    }
    let step =
        |action: &str| evidence.rollout.steps.iter().find(|s: &&StepView| s.action == action && !s.undo);
    let Some(shut) = step("shut-door").and_then(|step| step.ended) else {
        if !evidence.rollout.grant.is_empty() {
            found.push("a grant was given while the door stood open".to_owned());
        }
        return found;
    };
    // Not opened again: shut until all was over.
    let open = step("open-door").and_then(|step| step.began).unwrap_or(evidence.figures.client.to);
    for (member, events) in &evidence.apps {
        for (from, to) in running(events) {
            if from < open && to.is_none_or(|to| to > shut) {
                found.push(format!("the application of {member} ran while the door was shut"));
            }
        }
    }
    found
}

/// From when to when an application ran.
pub fn running(events: &[AppEvent]) -> Vec<(u64, Option<u64>)> {
    let starts = events.iter().filter(|event| event.event == "start");
    starts
        .map(|start| {
            let over = |event: &&AppEvent| {
                event.pid == start.pid && event.at >= start.at && event.event == "stopped"
            };
            (start.at, events.iter().find(over).map(|event| event.at))
        })
        .collect()
}

/// The upgrade began on exactly what a proven backup holds.
pub fn backup_before(evidence: &Evidence) -> Vec<String> {
    let begins: Vec<_> = evidence.live.audit.iter().filter(|row| row.what == "upgrade-begin").collect();
    let Some(first) = begins.first() else { return Vec::new() };
    let Some(backup) = &evidence.backup else { return vec!["there is no backup set of the plan".to_owned()] };
    let mut found = Vec::new();
    if !backup.proven {
        found.push(format!("set {} was never proven by a restore", backup.set));
    }
    let before =
        evidence.live.audit.iter().filter(|row| row.id < first.id).map(|row| row.id).max().unwrap_or(0);
    if backup.last_row != before {
        found.push(format!(
            "set {} ends with row {}, the last write before the upgrade was row {before}",
            backup.set, backup.last_row
        ));
    }
    found
}

/// The upgrade tool changed data once for each grant, and all but the last run were cut off.
pub fn destructive_once(evidence: &Evidence) -> Vec<String> {
    let runs = runs(evidence);
    let mut found = Vec::new();
    for pair in runs.windows(2) {
        if let [first, second] = pair {
            let higher =
                match (first.token.as_deref().and_then(token), second.token.as_deref().and_then(token)) {
                    (Some(before), Some(after)) => before < after,
                    (None, _) | (_, None) => false,
                };
            if !higher || !was_cut_off(evidence, first) {
                found.push(format!(
                    "{} (pid {}, token {:?}) began at {} after {} (pid {}, token {:?})",
                    second.member,
                    second.pid,
                    second.token,
                    second.begun,
                    first.member,
                    first.pid,
                    first.token
                ));
            }
        }
    }
    found
}

/// No member worked on a schema its version does not fit.
pub fn version_match(evidence: &Evidence) -> Vec<String> {
    let mut found: Vec<String> =
        evidence.live.corruption.iter().map(|row| format!("corruption: {row}")).collect();
    for (member, events) in &evidence.apps {
        let wrong = events.iter().filter(|event| ["corrupt", "refused"].contains(&event.event.as_str()));
        found.extend(wrong.map(|event| format!("{member} {}: {}", event.event, event.text)));
    }
    let upgrades = upgrades(&evidence.live.audit);
    let (old, new) = (evidence.plan.from.as_str(), evidence.plan.to.as_str());
    for row in evidence.live.audit.iter().filter(|row| row.what == "start") {
        let fits = if upgrades.iter().any(|(_, end)| end.id < row.id) { new } else { old };
        if row.version != fits {
            found.push(format!("{} started {} on a schema for {fits}", row.member, row.version));
        }
    }
    for (begin, end) in upgrades {
        for request in evidence.requests.iter().filter(|request| request.ok()) {
            let version = request.version.as_deref().unwrap_or("none");
            if request.done_at < begin.at && version != old || request.sent_at > end.at && version != new {
                found.push(format!("request {} was answered by version {version}", request.n));
            }
        }
    }
    found
}
