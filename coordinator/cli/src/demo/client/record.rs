//! The lines of the client's log. Their fields are stable: the demo's report and the oracle read them.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// The load begins.
    Start {
        /// When, Unix milliseconds.
        at: u64,
        /// Requests per second.
        rate: u32,
    },
    /// A request has ended.
    Request(Box<Record>),
    /// The load has ended and every request has its line.
    End {
        /// When, Unix milliseconds.
        at: u64,
        /// How many requests were scheduled, so that a line lost is noticed.
        scheduled: u64,
    },
    /// Lines that found no room; written by the log itself.
    LinesLost {
        /// How many.
        lost: u64,
    },
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the schedule, from 0.
    pub n: u64,
    /// When it was due, Unix milliseconds.
    pub scheduled_at: u64,
    /// When its attempt began (connecting included).
    pub sent_at: u64,
    /// When the answer was whole, or the failure certain.
    pub done_at: u64,
    /// `sent_at` on the monotonic clock, microseconds.
    pub sent_us: u64,
    /// `done_at` on the monotonic clock, microseconds.
    pub done_us: u64,
    /// Which kind of user.
    pub kind: Kind,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The answer's status.
    pub status: Option<u16>,
    /// Why there is no answer.
    pub error: Option<String>,
    /// Header `X-Member`.
    pub member: Option<String>,
    /// Header `X-Version`.
    pub version: Option<String>,
    /// Header `X-Balancer`: why the balancer answered itself.
    pub balancer: Option<String>,
    /// The id a write was acknowledged with.
    pub id: Option<i64>,
    /// The title that was written: unique in all runs, so that an id given twice is noticed.
    pub title: Option<String>,
}

/// How a user holds on to connections and cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Keeps connections, takes no cookie.
    KeepAlive,
    /// Keeps connections and the cookie: stays with one server.
    Sticky,
    /// A connection for each request.
    Fresh,
}

impl Record {
    /// A read is fine when it was answered, a write only when it was acknowledged.
    pub fn ok(&self) -> bool {
        match self.status {
            Some(200) => self.method == "GET",
            Some(201) => self.method == "POST" && self.id.is_some(),
            Some(_) | None => false,
        }
    }
}

/// Reads a client's log. A last line that was cut off is an error: the client writes whole lines.
pub fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let failed = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(failed)?;
    let mut lines = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(failed)?;
        lines.push(
            serde_json::from_str(&line)
                .with_context(|| format!("{}, line {}", path.display(), number + 1))?,
        );
    }
    Ok(lines)
}
