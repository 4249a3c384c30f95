//! The digest by which a join token names an authority.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// SHA-256 of a root certificate's DER, so that a person can compare it with other tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaDigest([u8; 32]);

impl CaDigest {
    /// The digest of the certificate `der`.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Wraps a digest read from a token.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for CaDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
