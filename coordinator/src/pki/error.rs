//! What can go wrong with certificates and their files. Each variant has a code and a page in `deploy/errors/`.

use std::io;
use std::path::PathBuf;

/// Why a certificate, key or file of the PKI cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The library refused to make a key or sign.
    #[error("LK4101: cannot {action}")]
    Make {
        /// What was attempted.
        action: &'static str,
        /// What the library said.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate request that cannot be signed.
    #[error("LK4102: the certificate request cannot be used: {reason}")]
    BadRequest {
        /// What is wrong with it.
        reason: String,
    },
    /// The authority would sign something that outlives it, or that ends before it begins.
    #[error("LK4103: a certificate cannot be valid {reason}")]
    BadValidity {
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A file could not be read or written.
    #[error("LK4104: cannot {action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is there, but not what it should be.
    #[error("LK4105: {} cannot be used: {reason}", path.display())]
    BadFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A private key that others can read.
    #[error("LK4106: {} holds a private key and others can read it (mode {mode:03o}); run chmod 600 on it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl PkiError {
    /// Every code of this module, for the test that pairs codes and pages.
    pub const CODES: [&'static str; 6] = ["LK4101", "LK4102", "LK4103", "LK4104", "LK4105", "LK4106"];

    /// The stable code; the message begins with it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Make { .. } => "LK4101",
            Self::BadRequest { .. } => "LK4102",
            Self::BadValidity { .. } => "LK4103",
            Self::File { .. } => "LK4104",
            Self::BadFile { .. } => "LK4105",
            Self::Exposed { .. } => "LK4106",
        }
    }

    pub(super) fn make(action: &'static str) -> impl FnOnce(rcgen::Error) -> Self {
        move |source| Self::Make { action, source }
    }
}
