//! What a client's log says as a whole. Knows requests, not what the balancer or the members did meanwhile.

use super::record::{Line, Record};
use serde::Serialize;

/// Failures at most this far apart are one span: a quarter of a second without a success in between is not
/// told apart by a user.
const SPAN_GAP_MS: u64 = 250;

/// All requests of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Requests with a line.
    pub total: u64,
    /// Answered (reads) or acknowledged (writes).
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// Writes acknowledged.
    pub written: u64,
    /// The first request was due, Unix milliseconds.
    pub from: u64,
    /// The last one ended.
    pub to: u64,
    /// The largest delay between due and sent: how far the generator itself lagged, milliseconds.
    pub lag_ms: u64,
    /// When requests failed.
    pub spans: Vec<Span>,
    /// Why the log is not whole, if it is not.
    pub incomplete: Option<String>,
}

/// A stretch of failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first failed request was sent, Unix milliseconds.
    pub from: u64,
    /// The last one ended.
    pub to: u64,
    /// How many.
    pub failed: u64,
}

impl Summary {
    /// Reads the lines of one log.
    pub fn of(lines: &[Line]) -> Self {
        let records: Vec<&Record> = records(lines).collect();
        let ok = records.iter().filter(|record| record.ok()).count() as u64;
        let total = records.len() as u64;
        Self {
            total,
            ok,
            failed: total - ok,
            written: records.iter().filter(|record| record.ok() && record.id.is_some()).count() as u64,
            from: records.iter().map(|record| record.scheduled_at).min().unwrap_or(0),
            to: records.iter().map(|record| record.done_at).max().unwrap_or(0),
            lag_ms: records.iter().map(|r| r.sent_at.saturating_sub(r.scheduled_at)).max().unwrap_or(0),
            spans: spans(&records),
            incomplete: incomplete(lines, total),
        }
    }
}

/// The requests of a log.
pub fn records(lines: &[Line]) -> impl Iterator<Item = &Record> {
    lines.iter().filter_map(|line| match line {
        Line::Request(record) => Some(&**record),
        Line::Start { .. } | Line::End { .. } | Line::LinesLost { .. } => None,
    })
}

fn incomplete(lines: &[Line], total: u64) -> Option<String> {
    let mut scheduled = None;
    for line in lines {
        match line {
            Line::LinesLost { lost } => return Some(format!("{lost} lines found no room")),
            Line::End { scheduled: count, .. } => scheduled = Some(*count),
            Line::Start { .. } | Line::Request(_) => {}
        }
    }
    match scheduled {
        None => Some("the last line is missing: the client was killed".to_owned()),
        Some(count) if count != total => {
            Some(format!("{count} requests were scheduled, {total} have a line"))
        }
        Some(_) => None,
    }
}

fn spans(records: &[&Record]) -> Vec<Span> {
    let mut failed: Vec<&&Record> = records.iter().filter(|record| !record.ok()).collect();
    failed.sort_by_key(|record| record.sent_at);
    let mut spans: Vec<Span> = Vec::new();
    for record in failed {
        match spans.last_mut() {
            Some(span) if record.sent_at <= span.to + SPAN_GAP_MS => {
                span.to = span.to.max(record.done_at);
                span.failed += 1;
            }
            Some(_) | None => spans.push(Span { from: record.sent_at, to: record.done_at, failed: 1 }),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::client::record::Kind;

    fn request(n: u64, at: u64, status: Option<u16>) -> Line {
        Line::Request(Box::new(Record {
            n,
            scheduled_at: at,
            sent_at: at + 1,
            done_at: at + 3,
            sent_us: 0,
            done_us: 0,
            kind: Kind::Fresh,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            status,
            error: None,
            member: None,
            version: None,
            balancer: None,
            id: None,
            title: None,
        }))
    }

    #[test]
    fn failures_close_together_are_one_span() {
        let mut lines: Vec<Line> =
            [(100, Some(200)), (200, None), (300, Some(503)), (400, Some(200)), (900, Some(500))]
                .into_iter()
                .zip(0..)
                .map(|((at, status), n)| request(n, at, status))
                .collect();
        lines.push(Line::End { at: 1_000, scheduled: 5 });
        let summary = Summary::of(&lines);
        assert_eq!((summary.total, summary.ok, summary.failed), (5, 2, 3));
        let spans = [Span { from: 201, to: 303, failed: 2 }, Span { from: 901, to: 903, failed: 1 }];
        assert_eq!(summary.spans, spans);
        assert_eq!((summary.from, summary.to, summary.lag_ms), (100, 903, 1));
        assert_eq!(summary.incomplete, None);
    }

    #[test]
    fn a_log_that_is_not_whole_says_why() {
        let line = request(0, 100, Some(200));
        assert!(Summary::of(std::slice::from_ref(&line)).incomplete.unwrap().contains("killed"));
        let short = Summary::of(&[line.clone(), Line::End { at: 1, scheduled: 2 }]);
        assert_eq!(short.incomplete.unwrap(), "2 requests were scheduled, 1 have a line");
        let lost = Summary::of(&[line, Line::LinesLost { lost: 4 }, Line::End { at: 1, scheduled: 1 }]);
        assert_eq!(lost.incomplete.unwrap(), "4 lines found no room");
    }
}
