//! Why the agent does not accept its own identity. Each has a code with a page in `deploy/errors/`.

use super::fingerprint::Changes;
use crate::platform::Unsupported;
use lockkeeper_core::ids::MemberName;
use std::{io, path::PathBuf};

/// A named refusal to start. None of these touches the application: a healthy one goes on.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system answered with an error.
    #[error("LK6201: the identity file could not be read or written")]
    File(#[source] io::Error),
    /// Not a whole identity file.
    #[error("LK6202: the identity file is damaged: {0}")]
    Damaged(&'static str),
    /// Written by a newer build.
    #[error("LK6203: the identity file has format {found}; this build reads format {known}")]
    Newer {
        /// Its format.
        found: u8,
        /// The newest known.
        known: u8,
    },
    /// This node was never enrolled.
    #[error("LK6204: this node has no identity yet; run `lockkeeper init` or `lockkeeper join`")]
    Missing,
    /// Enrolled already.
    #[error("LK6205: this node is {name} already; a second identity would make a second node of it")]
    Exists {
        /// As whom.
        name: MemberName,
    },
    /// `agent.toml` names another node.
    #[error("LK6206: agent.toml says this is {configured}, the identity file says {sealed}")]
    Name {
        /// By the settings.
        configured: MemberName,
        /// By the identity.
        sealed: MemberName,
    },
    /// The machine is not the one that was enrolled.
    #[error("LK6207: this is not the machine that was enrolled as {name}{}: {changes}", if *reverted { ", or it was taken back to a snapshot" } else { "" })]
    Machine {
        /// Whose identity it is.
        name: MemberName,
        /// What changed.
        changes: Changes,
        /// Whether nothing but the VM generation id changed.
        reverted: bool,
    },
    /// The machine shows nothing that lies outside its disk, and something changed.
    #[error("LK6212: this may not be the machine that was enrolled as {name}, and nothing outside its disk can tell: {changes}")]
    Weak {
        /// Whose identity it is.
        name: MemberName,
        /// What changed.
        changes: Changes,
    },
    /// A source that `agent.toml` names cannot be read, so nothing can be sealed.
    #[error(transparent)]
    Source(#[from] Unsupported),
    /// Another agent uses the directory.
    #[error("LK6208: {} is in use by another agent", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory cannot be used.
    #[error("LK6209: the data directory {} cannot be used", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl IdentityError {
    /// Whether this may be a copy of a node: then the agent stands in quarantine instead of ending.
    pub const fn is_suspicion(&self) -> bool {
        match self {
            IdentityError::Machine { .. } | IdentityError::Weak { .. } => true,
            IdentityError::File(_)
            | IdentityError::Damaged(_)
            | IdentityError::Newer { .. }
            | IdentityError::Missing
            | IdentityError::Exists { .. }
            | IdentityError::Name { .. }
            | IdentityError::Source(_)
            | IdentityError::InUse { .. }
            | IdentityError::Directory { .. } => false,
        }
    }

    /// The code, which is the name of its page.
    pub const fn code(&self) -> &'static str {
        match self {
            IdentityError::File(_) => "LK6201",
            IdentityError::Damaged(_) => "LK6202",
            IdentityError::Newer { .. } => "LK6203",
            IdentityError::Missing => "LK6204",
            IdentityError::Exists { .. } => "LK6205",
            IdentityError::Name { .. } => "LK6206",
            IdentityError::Machine { .. } => "LK6207",
            IdentityError::Weak { .. } => "LK6212",
            IdentityError::Source(why) => why.code(),
            IdentityError::InUse { .. } => "LK6208",
            IdentityError::Directory { .. } => "LK6209",
        }
    }
}
