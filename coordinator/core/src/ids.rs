//! One newtype per kind of id, so that two ids cannot be swapped.
//!
//! Names come from people (cluster file, command line) and are checked once, here; numbers come from the log.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name Lockkeeper accepts, in bytes. Names end up in database logins (PostgreSQL allows 63 bytes,
/// of which the prefix and token take 25), certificate names and file names.
pub const NAME_MAX: usize = 32;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name may not be empty")]
    Empty,
    /// Longer than [`NAME_MAX`] bytes.
    #[error("a name may have at most {NAME_MAX} bytes, found {0}")]
    TooLong(usize),
    /// A character outside the allowed set.
    #[error("found {0:?}; allowed: a-z, 0-9, '-' and '_', beginning with a letter or digit")]
    Character(char),
}

fn check_name(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return Err(NameError::Character(first));
    }
    match text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);
        impl $type {
            /// Checks and wraps a name.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check_name(&text)?;
                Ok(Self(text))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    };
}

name!(/// The cluster's name for people.
    ClusterName);
name!(/// A member or witness, by its name in the cluster file.
    MemberName);
name!(/// A balancer, by its name in the cluster file.
    BalancerName);
name!(/// A database, by its name in the cluster file.
    DatabaseName);
name!(/// A profile, by name.
    ProfileName);
name!(/// A person or script that holds an operator certificate.
    ActorName);

/// Made once by `init`; two clusters never share one, whatever their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClusterId(pub String);

/// The number openraft knows a voter by. Assigned at enrolment, never reused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// Raised whenever a node's identity is made anew; a certificate carries it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

/// Made by `init` or `recover`; the first half of every fencing token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// Position in the replicated log; the second half of every fencing token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogIndex(pub u64);

/// Fencing token. Compared by generation, then index; every effect carries one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token {
    /// Which life of the group.
    pub generation: Generation,
    /// The log index of the entry that gave the right.
    pub index: LogIndex,
}

/// The log index of the entry that started the rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RolloutId(pub u64);

/// Number of a step inside its plan, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepId(pub u32);

/// How often a step was tried, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt(pub u32);

/// BLAKE3 of a plan's canonical JSON without its hash field, lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanHash(pub String);

/// BLAKE3 of some bytes (evidence, captured value, file), lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(pub String);

/// Makes a repeated request harmless: the second one with the same id is answered like the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex().to_string())
    }
}

impl PlanHash {
    /// The first eight characters, for people.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.generation.0, self.index.0)
    }
}

macro_rules! show_inner {
    ($($type:ident),*) => { $(impl fmt::Display for $type {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&self.0.to_string()) }
    })* };
}
show_inner!(ClusterId, NodeId, Incarnation, Generation, LogIndex, RolloutId, StepId, Attempt, PlanHash, Digest, RequestId);
