//! Certificates of the group: the authority, what it issues, join tokens, enrolment, files. Knows nothing about TLS
//! connections (those are `lockkeeper_proto::transport`) and reads no clock: who issues says what time it is.
//!
//! A node renews its own certificate by [`renew`], also when it has expired; [`keeper`] does it in time, and follows a
//! roll-over of the authority.

mod authority;
mod context;
pub mod enrol;
mod error;
pub mod keeper;
mod keys;
mod pem;
pub mod renew;
mod request;
mod revoked;
mod roll_over;
mod store;
mod token;

pub use authority::{Issued, IssuingCa, RootCa, Validity};
pub use context::OperatorContext;
pub use error::PkiError;
pub use keys::Keys;
pub use request::{CertificateRequest, PrivateKey};
pub use revoked::revocations;
pub use roll_over::{cross_of, introduced, roots_of};
pub use store::PkiStore;
pub use token::{JoinToken, TokenError, TokenSecret};
