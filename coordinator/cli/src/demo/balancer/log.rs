//! The lines of the balancer's log. Their fields are stable: the demo's report and the oracle read them.

use super::health::Admin;
use serde::Serialize;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line<'a> {
    /// A request was answered, or its client went away.
    Request(Request<'a>),
    /// A server's admin or op state changed; one line for each server at the start.
    State(State<'a>),
    /// A runtime command was answered.
    Command {
        /// When, Unix milliseconds.
        at: u64,
        /// As received.
        command: &'a str,
        /// Empty means done; a table that was shown is not repeated here.
        answer: &'a str,
    },
}

/// A request as the balancer saw it.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// Its head was read, Unix milliseconds.
    pub start: u64,
    /// Its answer was handed back.
    pub end: u64,
    /// The client's port.
    pub client: u16,
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// Where it went; none if nowhere.
    pub server: Option<&'a str>,
    /// The answer's status; 499 if the client went away first.
    pub status: u16,
    /// Whether it carried the persistence cookie.
    pub cookie: bool,
    /// What the balancer itself answered for, if it did.
    pub fault: Option<Fault>,
}

/// Why the balancer answered itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// No server could take it.
    NoServer,
    /// The server took no connection; nothing was sent.
    Connect,
    /// The server's answer did not come in time.
    TimedOut,
    /// The server ended the connection before its answer was whole.
    Broken,
    /// `shutdown sessions server` ended it.
    Shutdown,
    /// The request itself was refused.
    BadRequest,
}

impl Fault {
    /// The header `X-Balancer` of the answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::NoServer => "no-server",
            Fault::Connect => "connect",
            Fault::TimedOut => "timed-out",
            Fault::Broken => "broken",
            Fault::Shutdown => "shutdown",
            Fault::BadRequest => "bad-request",
        }
    }
}

/// A server's state after a change.
#[derive(Debug, Serialize)]
pub struct State<'a> {
    /// When, Unix milliseconds. Taken under the lock that picks servers: no request picked before it sees it.
    pub at: u64,
    /// The server.
    pub server: &'a str,
    /// What the operator wants.
    pub admin: Admin,
    /// HAProxy's bits for it: 0 ready, 1 maint, 8 drain.
    pub admin_bits: u8,
    /// 0 down, 2 up.
    pub op: u8,
    /// As in `show stat`.
    pub status: &'a str,
    /// The command, or the check's outcome.
    pub cause: &'a str,
}
