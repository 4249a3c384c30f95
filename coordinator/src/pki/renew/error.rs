//! Why a certificate was not renewed. Each variant has a code and a page in `deploy/errors/`.

use lockkeeper_core::ids::{Incarnation, MemberName};
use lockkeeper_proto::transport::{code_of, coded_status};
use tonic::{Code, Status};

use super::super::error::PkiError;

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// Removed, or enrolled anew under the same name.
    #[error("LK4351: the group does not know {member} with incarnation {incarnation}; it has to join anew")]
    NotAdmitted {
        /// Who asked.
        member: MemberName,
        /// With which identity.
        incarnation: Incarnation,
    },
    /// This agent cannot issue now.
    #[error("LK4352: this agent cannot renew a certificate now: {0}")]
    Unavailable(String),
    /// The request is not in order.
    #[error("LK4353: the renewal request cannot be used: {0}")]
    BadRequest(String),
    /// The answer is not in order.
    #[error("LK4354: the answer to the renewal cannot be used: {0}")]
    BadAnswer(String),
    /// Nobody renewed it.
    #[error("LK4355: no agent renewed the certificate: {tried}")]
    Nobody {
        /// Each address with its reason.
        tried: String,
    },
    /// Making the certificate or reading a key failed.
    #[error("LK4356: the renewed certificate could not be made")]
    Pki(#[source] PkiError),
}

impl RenewError {
    /// Every code of this module, for the test that pairs codes and pages.
    pub const CODES: [&'static str; 6] = ["LK4351", "LK4352", "LK4353", "LK4354", "LK4355", "LK4356"];

    /// The stable code; the message begins with it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAdmitted { .. } => "LK4351",
            Self::Unavailable(_) => "LK4352",
            Self::BadRequest(_) => "LK4353",
            Self::BadAnswer(_) => "LK4354",
            Self::Nobody { .. } => "LK4355",
            Self::Pki(_) => "LK4356",
        }
    }

    /// The gRPC answer.
    pub(super) fn to_status(&self) -> Status {
        let code = match self {
            Self::NotAdmitted { .. } => Code::PermissionDenied,
            Self::BadRequest(_) => Code::InvalidArgument,
            Self::Unavailable(_) => Code::Unavailable,
            Self::BadAnswer(_) | Self::Nobody { .. } | Self::Pki(_) => Code::Internal,
        };
        coded_status(code, self.code(), self.to_string())
    }

    /// Whether a failed call was a decision, so that asking another agent or oneself would only go round it.
    pub(super) fn decided(status: &Status) -> bool {
        // LK4005 and LK4021: revoked, as the handshake tells.
        matches!(code_of(status), Some("LK4351" | "LK4353"))
            || (code_of(status) == Some("LK4021") && revoked(status))
    }
}

fn revoked(status: &Status) -> bool {
    use lockkeeper_proto::transport::{Refusal, TransportError};
    matches!(TransportError::behind(status), Some(TransportError::Refused { why: Refusal::Revoked }))
}
