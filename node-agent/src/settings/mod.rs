//! What the agent may rely on, from `agent.toml` and the command line. No `Option` survives in here.
//!
//! Three types, in this order: a [`Fragment`] is what one source says; put together they are the input; [`Settings`]
//! is what follows, checked. Knows nothing about the cluster: that is in the replicated state.

mod fragment;
mod resolve;

pub use fragment::{Fragment, read};
pub use resolve::settings;

use crate::{isolation::Rules, platform::Source};
use lockkeeper_core::{fault::Report, ids::MemberName, plan::ActionKind};
use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

/// This node, as the program relies on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name in the cluster file.
    pub name: MemberName,
    /// Where peers, the API and the console are served, all behind TLS.
    pub listen: SocketAddr,
    /// `host:port` under which others reach it.
    pub advertise: String,
    /// Everything it keeps.
    pub data: PathBuf,
    /// The operators' socket on this host.
    pub socket: Socket,
    /// Where metrics are served.
    pub metrics: Metrics,
    /// Where traces go.
    pub traces: Traces,
    /// What is logged.
    pub log: Log,
    /// Actions the local policy allows. The group is told, and nothing else is ever carried out.
    pub allowed: BTreeSet<ActionKind>,
    /// By what this machine is told from a copy of it.
    pub machine: Machine,
    /// What a copy of it may still talk to.
    pub isolation: Rules,
}

/// By what a machine is told from a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Where its `/sys`, `/etc` and `/var` begin; another place than `/` inside a container.
    pub root: PathBuf,
    /// What is looked at.
    pub sources: BTreeSet<Source>,
    /// Whether the list was written down: then a source that cannot be read refuses the enrolment.
    pub named: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self { root: PathBuf::from("/"), sources: Source::ALL.into(), named: false }
    }
}

/// The operators' socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its path.
    pub path: PathBuf,
    /// The group whose members are operators.
    pub group: SocketGroup,
}

/// Who beside root may use the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketGroup {
    /// Nobody.
    RootOnly,
    /// The members of this group, as operators. It need not exist: then it is nobody.
    Named(String),
}

/// Where metrics are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metrics {
    /// Nowhere.
    Off,
    /// On this loopback address.
    On(SocketAddr),
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traces {
    /// Nowhere.
    Off,
    /// To this OTLP endpoint (gRPC).
    Otlp(String),
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A filter such as `info` or `lockkeeper_agent=debug,info`.
    pub filter: String,
    /// How it is written.
    pub format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads `agent.toml` and lays `over` (from the command line) over it. Every fault at once.
pub fn from_file(file: &str, text: &str, over: Fragment) -> Result<(Settings, Report), Report> {
    read(file, text, |fragment, document| settings(&fragment.overlaid(over), document))
}

#[cfg(test)]
mod tests;
