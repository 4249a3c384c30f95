//! The application's process on this host: start, stop, look. Knows nothing about versions fitting a schema or about
//! who decided.

pub mod command;
pub mod process;

/// What a look at an application found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
    /// It runs.
    Running {
        /// The version it was started as, if that is known.
        version: Option<String>,
        /// What was seen.
        evidence: String,
    },
    /// It is proven not to run.
    Stopped {
        /// What was seen.
        evidence: String,
    },
    /// Its main process is gone but others of its family are still there.
    Leftovers {
        /// Which.
        pids: Vec<u32>,
    },
    /// It cannot be told.
    Unknown {
        /// A code with a page.
        code: crate::HostCode,
        /// Why not.
        why: String,
    },
}

impl std::fmt::Display for ServiceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServiceState::Running { version: Some(version), evidence } => {
                write!(f, "running {version}: {evidence}")
            }
            ServiceState::Running { version: None, evidence } => write!(f, "running: {evidence}"),
            ServiceState::Stopped { evidence } => write!(f, "stopped: {evidence}"),
            ServiceState::Leftovers { pids } => {
                write!(f, "its main process is gone, but processes {pids:?} are left")
            }
            ServiceState::Unknown { why, .. } => write!(f, "unknown: {why}"),
        }
    }
}
