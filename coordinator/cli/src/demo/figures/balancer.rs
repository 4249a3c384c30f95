//! The balancer's log as a list of changes: which server took new requests from when on. Knows no requests.

use anyhow::Context as _;
use lockkeeper_core::ids::MemberName;
use serde::Deserialize;
use std::path::Path;

/// A server's state from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When, Unix milliseconds.
    pub at: u64,
    /// The server.
    pub server: MemberName,
    /// Whether it takes requests without a cookie.
    pub takes_new: bool,
}

#[derive(Deserialize)]
struct State {
    at: u64,
    server: MemberName,
    admin_bits: u8,
    op: u8,
}

/// Reads the changes in the order they were made.
pub fn read(path: &Path) -> anyhow::Result<Vec<Change>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut changes = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let failed = || format!("{}, line {number}", path.display());
        let line: serde_json::Value = serde_json::from_str(line).with_context(failed)?;
        match line.get("event").and_then(serde_json::Value::as_str) {
            Some("state") => {
                let State { at, server, admin_bits, op } =
                    serde_json::from_value(line).with_context(failed)?;
                changes.push(Change { at, server, takes_new: admin_bits == 0 && op == 2 });
            }
            Some("lines-lost") => anyhow::bail!("{}: the log is not whole", failed()),
            Some(_) | None => {}
        }
    }
    Ok(changes)
}
