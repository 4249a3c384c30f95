//! Why somebody is not let in. Each variant has a code and a page in `deploy/errors/`; the code travels with the answer.

use lockkeeper_proto::transport::{code_of, coded_status};
use tonic::{Code, Status};

use super::super::error::PkiError;

/// Why a machine did not become a node. No variant repeats the secret.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No token has this secret.
    #[error("LK4301: the group knows no such join token")]
    UnknownToken,
    /// By the group's clock.
    #[error("LK4302: the join token has expired; ask for a new one")]
    ExpiredToken,
    /// By another machine, or for another key.
    #[error("LK4303: the join token was used before; ask for a new one")]
    UsedToken,
    /// The secret belongs to another name.
    #[error("LK4304: the join token was made for another member")]
    OtherMember,
    /// The token is for another group.
    #[error("LK4305: the join token was made for another cluster")]
    OtherCluster,
    /// The request is not in order.
    #[error("LK4306: the join request cannot be used: {0}")]
    BadRequest(String),
    /// Nobody who can decide now.
    #[error("LK4307: the group cannot decide now: {0}")]
    Unavailable(String),
    /// The answer is not in order.
    #[error("LK4308: the group's answer cannot be used: {0}")]
    BadAnswer(String),
    /// None of the token's addresses let us in.
    #[error("LK4309: no address of the join token could be used: {tried}")]
    NoAddress {
        /// Each address with its reason.
        tried: String,
    },
    /// Called on a connection that has an identity already.
    #[error("LK4310: only a machine without certificate may enrol, this is {found}")]
    HasIdentity {
        /// Who it is.
        found: String,
    },
    /// Making the certificate or reading a key failed.
    #[error("LK4311: the certificate could not be made")]
    Pki(#[source] PkiError),
}

impl EnrolError {
    /// Every code of this module, for the test that pairs codes and pages.
    pub const CODES: [&'static str; 11] = [
        "LK4301", "LK4302", "LK4303", "LK4304", "LK4305", "LK4306", "LK4307", "LK4308", "LK4309", "LK4310",
        "LK4311",
    ];

    /// The stable code; the message begins with it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownToken => "LK4301",
            Self::ExpiredToken => "LK4302",
            Self::UsedToken => "LK4303",
            Self::OtherMember => "LK4304",
            Self::OtherCluster => "LK4305",
            Self::BadRequest(_) => "LK4306",
            Self::Unavailable(_) => "LK4307",
            Self::BadAnswer(_) => "LK4308",
            Self::NoAddress { .. } => "LK4309",
            Self::HasIdentity { .. } => "LK4310",
            Self::Pki(_) => "LK4311",
        }
    }

    /// The gRPC answer.
    pub(super) fn to_status(&self) -> Status {
        let code = match self {
            Self::UnknownToken
            | Self::ExpiredToken
            | Self::UsedToken
            | Self::OtherMember
            | Self::OtherCluster
            | Self::HasIdentity { .. } => Code::PermissionDenied,
            Self::BadRequest(_) => Code::InvalidArgument,
            Self::Unavailable(_) => Code::Unavailable,
            Self::BadAnswer(_) | Self::NoAddress { .. } | Self::Pki(_) => Code::Internal,
        };
        coded_status(code, self.code(), self.to_string())
    }

    /// The group's decision behind a failed call; none if there was none, so that the next address may be tried.
    pub(super) fn decided(status: &Status) -> Option<Self> {
        // Messages begin with the code, which `Display` adds again.
        let detail = || status.message().split_once(": ").map_or("", |(_, rest)| rest).to_owned();
        match code_of(status)? {
            "LK4301" => Some(Self::UnknownToken),
            "LK4302" => Some(Self::ExpiredToken),
            "LK4303" => Some(Self::UsedToken),
            "LK4304" => Some(Self::OtherMember),
            "LK4305" => Some(Self::OtherCluster),
            "LK4306" => Some(Self::BadRequest(detail())),
            _ => None,
        }
    }
}
