//! What can go wrong between two machines before a request is heard. Each variant has a code and a page in
//! `deploy/errors/`.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::certificate::IdentityFault;

/// Response metadata that carries an error code, so that nobody has to read it out of a message.
const CODE_KEY: &str = "lockkeeper-code";

/// Why a connection was not made or not kept. Cloneable, because TLS libraries hand errors on by reference.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// The peer wants a certificate and got none.
    #[error("LK4001: no certificate was presented; everything but enrolment needs one")]
    NoCertificate,
    /// The chain does not lead to a root we trust.
    #[error("LK4002: the peer's certificate was not issued by this cluster's authority")]
    UnknownIssuer,
    /// `notAfter` has passed.
    #[error("LK4003: the peer's certificate has expired")]
    Expired,
    /// `notBefore` lies ahead.
    #[error("LK4004: the peer's certificate is not valid yet; compare the clocks of both machines")]
    NotYetValid,
    /// Named by the revocation list.
    #[error("LK4005: the certificate of {who} is revoked")]
    Revoked {
        /// The identity it carries.
        who: String,
    },
    /// Issued by us, but it does not say who it is.
    #[error("LK4006: the peer's certificate carries no usable identity: {fault}")]
    BadIdentity {
        /// What is wrong with it.
        fault: IdentityFault,
    },
    /// A certificate of another cluster under a root we trust.
    #[error("LK4007: the peer belongs to cluster {found}, this is {expected}")]
    WrongCluster {
        /// Ours.
        expected: String,
        /// Theirs.
        found: String,
    },
    /// The address leads to somebody else.
    #[error("LK4008: expected {expected}, found {found}")]
    WrongPeer {
        /// Whom we wanted.
        expected: String,
        /// Who answered.
        found: String,
    },
    /// No common protocol above TLS.
    #[error("LK4009: the peer does not speak h2, lockkeeper-join/1 or lockkeeper-renew/1 over TLS 1.3")]
    WrongProtocol,
    /// The handshake did not end in time.
    #[error("LK4010: the TLS handshake did not end within {limit_ms} ms")]
    HandshakeTimeout {
        /// The limit.
        limit_ms: u128,
    },
    /// A limit of the accept loop is reached.
    #[error("LK4011: too many {what} at once (limit {limit})")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// No TCP or unix connection.
    #[error("LK4012: cannot connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Any other TLS failure.
    #[error("LK4013: the TLS handshake failed")]
    Handshake {
        /// What the TLS library or the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The server at the token's address is not the one that made the token.
    #[error("LK4014: no certificate of the presented chain has the digest {expected} that the token names")]
    WrongAuthority {
        /// From the token, hex.
        expected: String,
    },
    /// Our own certificate, key or roots.
    #[error("LK4015: this node's own certificate files cannot be used: {reason}")]
    Credentials {
        /// Which part, and why.
        reason: String,
    },
    /// The unix socket could not be made.
    #[error("LK4016: cannot {action} the socket {}", path.display())]
    Socket {
        /// What was attempted.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another agent answers on the socket.
    #[error("LK4017: another agent is listening on {}", path.display())]
    SocketInUse {
        /// Where.
        path: PathBuf,
    },
    /// A request without peer information: a fault of our wiring.
    #[error("LK4018: the connection carries no identity")]
    NoIdentity,
    /// A call between agents, made by somebody else.
    #[error("LK4019: only nodes may make this call, this is {found}")]
    NotANode {
        /// Who it is.
        found: String,
    },
    /// Not `host:port`.
    #[error("LK4020: {address:?} is not an address; allowed: host:port, [ipv6]:port")]
    BadAddress {
        /// What was found.
        address: String,
    },
    /// The peer ended the connection because of our certificate.
    #[error("LK4021: the peer refused our certificate: {why}")]
    Refused {
        /// The peer's reason.
        why: Refusal,
    },
    /// The identity was revoked, or the time without one ran out, while the connection was open.
    #[error("LK4022: the connection was ended: {reason}")]
    Ended {
        /// Why.
        reason: &'static str,
    },
}

/// Why a peer refused our certificate, as its TLS alert tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// We presented none.
    #[error("none was presented")]
    Missing,
    /// It has expired, by the peer's clock.
    #[error("it has expired")]
    Expired,
    /// It is revoked.
    #[error("it is revoked")]
    Revoked,
    /// The peer does not trust its issuer.
    #[error("the peer does not trust its issuer")]
    UnknownIssuer,
    /// It is not a certificate this service is for, or broken.
    #[error("its identity is not accepted")]
    Identity,
}

impl TransportError {
    /// Every code this module can produce, for the test that pairs codes and pages.
    pub const CODES: [&'static str; 22] = [
        "LK4001", "LK4002", "LK4003", "LK4004", "LK4005", "LK4006", "LK4007", "LK4008", "LK4009", "LK4010",
        "LK4011", "LK4012", "LK4013", "LK4014", "LK4015", "LK4016", "LK4017", "LK4018", "LK4019", "LK4020",
        "LK4021", "LK4022",
    ];

    /// The stable code; the message begins with it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate => "LK4001",
            Self::UnknownIssuer => "LK4002",
            Self::Expired => "LK4003",
            Self::NotYetValid => "LK4004",
            Self::Revoked { .. } => "LK4005",
            Self::BadIdentity { .. } => "LK4006",
            Self::WrongCluster { .. } => "LK4007",
            Self::WrongPeer { .. } => "LK4008",
            Self::WrongProtocol => "LK4009",
            Self::HandshakeTimeout { .. } => "LK4010",
            Self::TooMany { .. } => "LK4011",
            Self::Connect { .. } => "LK4012",
            Self::Handshake { .. } => "LK4013",
            Self::WrongAuthority { .. } => "LK4014",
            Self::Credentials { .. } => "LK4015",
            Self::Socket { .. } => "LK4016",
            Self::SocketInUse { .. } => "LK4017",
            Self::NoIdentity => "LK4018",
            Self::NotANode { .. } => "LK4019",
            Self::BadAddress { .. } => "LK4020",
            Self::Refused { .. } => "LK4021",
            Self::Ended { .. } => "LK4022",
        }
    }

    /// The gRPC answer for it.
    pub fn to_status(&self) -> Status {
        coded_status(self.grpc_code(), self.code(), self.to_string())
    }

    const fn grpc_code(&self) -> Code {
        match self {
            Self::NotANode { .. } => Code::PermissionDenied,
            Self::Connect { .. } | Self::HandshakeTimeout { .. } | Self::TooMany { .. } => Code::Unavailable,
            Self::NoCertificate
            | Self::UnknownIssuer
            | Self::Expired
            | Self::NotYetValid
            | Self::Revoked { .. }
            | Self::BadIdentity { .. }
            | Self::WrongCluster { .. }
            | Self::WrongPeer { .. }
            | Self::WrongProtocol
            | Self::Handshake { .. }
            | Self::WrongAuthority { .. }
            | Self::NoIdentity
            | Self::Refused { .. }
            | Self::Ended { .. } => Code::Unauthenticated,
            Self::Credentials { .. }
            | Self::Socket { .. }
            | Self::SocketInUse { .. }
            | Self::BadAddress { .. } => Code::FailedPrecondition,
        }
    }

    /// The transport's reason behind an error of any layer above, such as the [`Status`] of a failed call.
    pub fn behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a TransportError> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<TransportError>() {
                return Some(found);
            }
            // `io::Error::source` skips the error it wraps, so it is opened here.
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = match wrapped {
                Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
                None => error.source(),
            };
        }
        None
    }
}

impl From<TransportError> for io::Error {
    fn from(error: TransportError) -> Self {
        let kind = match error.grpc_code() {
            Code::Unavailable => io::ErrorKind::NotConnected,
            Code::Unauthenticated | Code::PermissionDenied => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}

/// A gRPC answer with an error code of ours in its metadata. `message` should begin with the code, for people.
pub fn coded_status(code: Code, lockkeeper_code: &'static str, message: impl Into<String>) -> Status {
    let mut status = Status::new(code, message);
    status.metadata_mut().insert(CODE_KEY, MetadataValue::from_static(lockkeeper_code));
    status
}

/// The code of ours behind a failed call: from the answer's metadata, else from the connection that failed.
pub fn code_of(status: &Status) -> Option<&str> {
    let told = status.metadata().get(CODE_KEY).and_then(|value| value.to_str().ok());
    told.or_else(|| TransportError::behind(status).map(TransportError::code))
}
