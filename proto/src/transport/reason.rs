//! Turns what rustls says about a failed handshake into an error of ours. The only place that reads its errors.

use rustls::{AlertDescription, CertificateError, Error};
use std::io;
use std::sync::Arc;

use super::error::{Refusal, TransportError};

/// Our error for a failed handshake.
pub(super) fn reason(error: io::Error) -> TransportError {
    let ours = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).and_then(reason_in);
    ours.unwrap_or_else(|| TransportError::Handshake { source: Arc::new(error) })
}

/// Our error, if we have a name for the library's.
pub(super) fn reason_in(error: &Error) -> Option<TransportError> {
    match error {
        Error::NoCertificatesPresented => Some(TransportError::NoCertificate),
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::AlertReceived(alert) => alert_reason(*alert),
        Error::NoApplicationProtocol | Error::PeerIncompatible(_) | Error::InvalidMessage(_) => {
            Some(TransportError::WrongProtocol)
        }
        _ => None,
    }
}

fn certificate(fault: &CertificateError) -> Option<TransportError> {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Some(TransportError::Expired),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some(TransportError::NotYetValid)
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Some(TransportError::UnknownIssuer)
        }
        CertificateError::Revoked => Some(TransportError::Revoked { who: "the peer".to_owned() }),
        CertificateError::Other(other) => other.0.downcast_ref::<TransportError>().cloned(),
        _ => None,
    }
}

fn alert_reason(alert: AlertDescription) -> Option<TransportError> {
    let why = match alert {
        AlertDescription::CertificateRequired => Refusal::Missing,
        AlertDescription::CertificateExpired => Refusal::Expired,
        AlertDescription::CertificateRevoked => Refusal::Revoked,
        // A chain that ends in a key we do not trust may fail as a bad signature: two roots can share a name.
        AlertDescription::UnknownCA | AlertDescription::DecryptError => Refusal::UnknownIssuer,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => Refusal::Identity,
        AlertDescription::NoApplicationProtocol | AlertDescription::ProtocolVersion => {
            return Some(TransportError::WrongProtocol);
        }
        _ => return None,
    };
    Some(TransportError::Refused { why })
}
