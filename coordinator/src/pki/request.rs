//! Private keys and certificate requests. The requester makes both; only the request leaves the machine.

use lockkeeper_core::ids::Digest;
use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKey};
use rustls_pki_types::{CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use std::fmt;

use super::error::PkiError;

/// The largest request that is read. Ours have some 200 bytes.
const REQUEST_BYTES_MAX: usize = 4096;

/// A private key, ECDSA P-256. `Debug` does not show it, and there is no `Display`.
pub struct PrivateKey(pub(super) KeyPair);

/// A checked request: its signature proves that the requester holds the key. Nothing else in it counts.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    der: Vec<u8>,
    pub(super) key: PublicKey,
}

impl PrivateKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, PkiError> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self).map_err(PkiError::make("make a private key"))
    }

    /// Reads PKCS#8 DER.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(PkiError::make("read a private key"))
    }

    /// PKCS#8 DER, for files and for TLS.
    pub fn to_der(&self) -> Vec<u8> {
        self.0.serialize_der()
    }

    /// A request for a certificate of this key. It names nobody: the authority sets every name.
    pub fn request(&self) -> Result<CertificateRequest, PkiError> {
        let mut empty = CertificateParams::default();
        empty.distinguished_name = rcgen::DistinguishedName::new();
        let request =
            empty.serialize_request(&self.0).map_err(PkiError::make("make a certificate request"))?;
        CertificateRequest::from_der(request.der())
    }
}

impl CertificateRequest {
    /// Reads and checks PKCS#10 DER. `LK4102` if it is too large, unreadable, not signed by its own key, or not for
    /// an ECDSA P-256 key.
    pub fn from_der(der: &[u8]) -> Result<Self, PkiError> {
        let bad = |reason: String| PkiError::BadRequest { reason };
        if der.len() > REQUEST_BYTES_MAX {
            return Err(bad(format!("{} bytes, allowed: {REQUEST_BYTES_MAX}", der.len())));
        }
        let parsed = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map_err(|error| bad(error.to_string()))?;
        if *parsed.public_key.algorithm() != PKCS_ECDSA_P256_SHA256 {
            return Err(bad("the key must be ECDSA P-256".to_owned()));
        }
        Ok(Self { der: der.to_vec(), key: parsed.public_key })
    }

    /// The request as it travels.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Tells two requests apart, for answering a repeated one alike.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.der)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl fmt::Debug for CertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateRequest").field(&self.digest().0).finish()
    }
}
