//! What an upgrader wrote after it was shut out, counted by the application's own marks: how far it had come when the
//! next one took the database up, and how far it was in the end in the file that was cut off.

use super::{AppEvent, AuditRow, Evidence};
use serde::Serialize;

/// Notes that the migration rewrites with one commit.
const BATCH: u64 = 50;

/// Commits of upgraders that were shut out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LateWrites {
    /// Commits after the holder was shut out, wherever they went.
    pub attempted: u64,
    /// Those that are in the live database.
    pub landed: u64,
}

/// Counts them.
pub fn late_writes(evidence: &Evidence) -> LateWrites {
    let events: Vec<&AppEvent> = evidence.apps.values().flatten().collect();
    let diverted = |cut: &super::CutOff| {
        let taken_up = events.iter().find_map(|event| goes_on_after(event, &cut.run))?;
        let more = cut.done.saturating_sub(taken_up);
        Some(more.div_ceil(BATCH) + u64::from(cut.ended))
    };
    let landed = landed(&evidence.live.audit) + evidence.live.corruption.len() as u64;
    let attempted = evidence.cut_off.iter().filter_map(diverted).sum::<u64>() + landed;
    LateWrites { attempted, landed }
}

/// `run B goes on after 1200 of 4000 of run A`: how far run A had come.
fn goes_on_after(event: &AppEvent, run: &str) -> Option<u64> {
    let (_, rest) = event.text.split_once(" goes on after ").filter(|_| event.event == "upgrade-begin")?;
    let (done, of) = rest.split_once(' ')?;
    if of.ends_with(&format!(" of run {run}")) { done.parse().ok() } else { None }
}

/// Rows in the live database of an earlier upgrade's token, after a later upgrade began.
fn landed(audit: &[AuditRow]) -> u64 {
    let mut begun: Vec<&AuditRow> = Vec::new();
    let mut late = 0;
    for row in audit {
        if row.what == "upgrade-begin" {
            begun.push(row);
        } else if let Some((last, earlier)) = begun.split_last() {
            late += u64::from(
                row.token != last.token
                    && earlier.iter().any(|old| old.token == row.token && old.pid == row.pid),
            );
        }
    }
    late
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: &str, pid: u32, token: &str) -> AuditRow {
        let (member, version, token) = ("n1".to_owned(), "2.0".to_owned(), Some(token.to_owned()));
        AuditRow { id: 0, at: 0, member, pid, version, token, what: what.to_owned() }
    }

    #[test]
    fn an_end_under_an_old_token_has_landed() {
        let mut audit = vec![
            row("upgrade-begin", 1, "1-5"),
            row("upgrade-begin", 2, "1-9"),
            row("upgrade-end", 2, "1-9"),
        ];
        assert_eq!(landed(&audit), 0);
        audit.insert(2, row("upgrade-end", 1, "1-5"));
        assert_eq!(landed(&audit), 1);
        assert_eq!(landed(&audit[..1]), 0);
    }

    #[test]
    fn how_far_another_run_had_come_is_read_from_the_beginning_of_the_next() {
        let event = AppEvent {
            event: "upgrade-begin".into(),
            at: 1,
            pid: 1,
            version: "2.0".into(),
            token: None,
            text: "run B goes on after 1200 of 4000 of run A".into(),
        };
        assert_eq!(goes_on_after(&event, "A"), Some(1200));
        assert_eq!(goes_on_after(&event, "B"), None);
    }
}
