//! The demo's figures, computed from the files it leaves behind and from nothing else.
//!
//! `tests/oracle/demo.py` computes the same ones from the same files, written separately. The definitions:
//! a server *takes new requests* while the balancer's log says admin 0 and op 2; an *outage* is a stretch in
//! which no server does; a failed request counts as *outside* if the time from its sending to its end touches no
//! outage; an outage's *length* is the client's: from the last success ended before it to the first ended after.

mod balancer;
mod database;
mod outage;
mod timeline;

use super::client::{self, Summary};
use anyhow::Context as _;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

pub use database::{Database, live_file};
pub use outage::{Requests, Window};
pub use timeline::Lane;

/// Everything that can be read off the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The client's requests.
    pub requests: Requests,
    /// The sum of the outages as the client met them, milliseconds.
    pub outage_ms: u64,
    /// The outages in the balancer's log during the client's run.
    pub windows: Vec<Window>,
    /// What the databases say.
    #[serde(flatten)]
    pub database: Database,
    /// What each member did when, in the order of their names.
    pub lanes: Vec<Lane>,
    /// The client's log as a whole.
    pub client: Summary,
}

/// Reads `keep`: `db/`, `app-*.log`, `balancer.log` and `client.log`.
pub fn of(keep: &Path) -> anyhow::Result<Figures> {
    let lines = client::read(&keep.join("client.log"))?;
    let records: Vec<&client::Record> = client::records(&lines).collect();
    let summary = Summary::of(&lines);
    let changes = balancer::read(&keep.join("balancer.log"))?;
    let windows = outage::windows(&changes, summary.from, summary.to);
    Ok(Figures {
        requests: outage::count(&records, &windows),
        outage_ms: outage::length_ms(&records, &windows),
        database: Database::read(&keep.join("db"), &records)?,
        lanes: timeline::lanes(keep, &changes, summary.from, summary.to)?,
        windows,
        client: summary,
    })
}

/// Prints [`of`] as JSON.
pub fn print(keep: &Path) -> anyhow::Result<ExitCode> {
    serde_json::to_writer_pretty(std::io::stdout(), &of(keep)?).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}
