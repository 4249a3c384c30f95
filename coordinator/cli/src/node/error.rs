//! Why an agent does not start, or does not go on.

use lockkeeper_agent::{host::Failure, identity::IdentityError, journal::JournalError, task::TaskError};
use lockkeeper_coordinator::{
    pki::PkiError,
    raft::{Fatal, StartError, StoreError},
    telemetry::TelemetryError,
};
use lockkeeper_proto::transport::{ServeError, TransportError};
use std::{io, net::SocketAddr, path::PathBuf};

/// Why an agent does not start, or does not go on. Every one is final: a supervisor starts it again.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// `agent.toml` cannot be read.
    #[error("LK7101: {} cannot be read", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// `agent.toml` has faults; they were shown.
    #[error("LK7102: {} has {faults} faults", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// How many.
        faults: usize,
    },
    /// Not this node's data, or not this machine.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// There is an identity, but no certificate.
    #[error("LK7103: {} holds no certificate; lockkeeper init or lockkeeper join makes one", path.display())]
    NoCertificate {
        /// The directory.
        path: PathBuf,
    },
    /// The log store.
    #[error("LK7104: the log store {} cannot be used", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The store is of a group that uses more than this build knows.
    #[error("LK7126: the log store {} uses feature {found}, this build knows up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// In use.
        found: u32,
        /// Highest known.
        known: u32,
    },
    /// The journal.
    #[error("LK7105: the journal {} cannot be used", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// The Raft node does not start.
    #[error("LK7106: the Raft node does not start")]
    Raft(#[from] StartError),
    /// A socket.
    #[error("LK7107: cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The directory of the local socket.
    #[error("LK7115: {} cannot be made", path.display())]
    SocketDirectory {
        /// The directory.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// TLS or the local socket.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Logs or traces.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// This program's own file.
    #[error("LK7108: the path of this program is not known")]
    Program(#[source] io::Error),
    /// The store failed while running: what is not on the disk must not be voted on.
    #[error("LK7109: this node can take no part any more")]
    Fatal(#[source] Fatal),
    /// The executor failed: an agent may not act without its memory.
    #[error("LK7110: the agent cannot go on")]
    Task(#[source] TaskError),
    /// A server ended.
    #[error("LK7111: a server ended")]
    Serve(#[source] ServeError),
    /// Peers hear another agent under this name.
    #[error("LK7116: peers will not hear this agent: {0}")]
    Rival(String),
    /// The note of isolation.
    #[error("LK7118: the note of isolation {} cannot be used", path.display())]
    Isolation {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// Something on this machine.
    #[error("{}: {}", .0.code, .0.text)]
    Host(Failure),
    /// Signals.
    #[error("LK7112: signals cannot be waited for")]
    Signals(#[source] io::Error),
}
