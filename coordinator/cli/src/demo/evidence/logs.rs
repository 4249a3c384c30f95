//! The lines of the applications' and the balancer's logs, as far as the invariants need them.

use anyhow::Context as _;
use lockkeeper_core::ids::MemberName;
use serde::{Deserialize, de::DeserializeOwned};
use std::path::Path;

/// A line of an application's log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AppEvent {
    /// Its word, such as `ready`.
    pub event: String,
    /// When, Unix milliseconds.
    pub at: u64,
    /// Which process.
    pub pid: u32,
    /// As which version.
    pub version: String,
    /// Under which token.
    pub token: Option<String>,
    /// The rest.
    pub text: String,
}

/// A server's state from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerState {
    /// When, Unix milliseconds.
    pub at: u64,
    /// The server.
    pub server: MemberName,
    /// HAProxy's bits: 0 ready, 1 maint, 8 drain.
    pub admin_bits: u8,
    /// 0 down, 2 up.
    pub op: u8,
}

impl ServerState {
    /// Whether it takes requests without a cookie.
    pub fn takes_new(&self) -> bool {
        self.admin_bits == 0 && self.op == 2
    }
}

/// A request the balancer answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BalancerRequest {
    /// Its head was read, Unix milliseconds.
    pub start: u64,
    /// Its answer was handed back.
    pub end: u64,
    /// Where it went; none if nowhere.
    pub server: Option<MemberName>,
    /// The answer's status.
    pub status: u16,
}

/// An application's log.
pub fn app_events(path: &Path) -> anyhow::Result<Vec<AppEvent>> {
    lines(path, |_| true)
}

/// The balancer's log: changes of servers.
pub fn balancer_states(path: &Path) -> anyhow::Result<Vec<ServerState>> {
    lines(path, |event| event == "state")
}

/// The balancer's log: requests.
pub fn balancer_requests(path: &Path) -> anyhow::Result<Vec<BalancerRequest>> {
    lines(path, |event| event == "request")
}

#[derive(Deserialize)]
struct Kind {
    event: String,
}

fn lines<T: DeserializeOwned>(path: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let place = || format!("{}, line {number}", path.display());
        let kind: Kind = serde_json::from_str(line).with_context(place)?;
        anyhow::ensure!(kind.event != "lines-lost", "{}: the log is not whole", place());
        if wanted(&kind.event) {
            found.push(serde_json::from_str(line).with_context(place)?);
        }
    }
    Ok(found)
}
