//! Certificates of the group: the authority, what it issues, join tokens, enrolment, files. Knows nothing about TLS
//! connections (those are `lockkeeper_proto::transport`) and reads no clock: who issues says what time it is.
//!
//! An expired leaf may one day still do one thing, renew itself; the place for that is a sibling of [`enrol`], with
//! a protocol name of its own beside `lockkeeper-join/1`.

mod authority;
mod context;
pub mod enrol;
mod error;
mod pem;
mod request;
mod store;
mod token;

pub use authority::{Issued, IssuingCa, RootCa, Validity};
pub use context::OperatorContext;
pub use error::PkiError;
pub use request::{CertificateRequest, PrivateKey};
pub use store::PkiStore;
pub use token::{JoinToken, TokenError, TokenSecret};
