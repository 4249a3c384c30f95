//! PEM text, both ways, strict: one file holds what its reader expects and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// The largest PEM file that is read: a key, a chain and a few roots have some 8 KiB.
pub(super) const PEM_BYTES_MAX: u64 = 64 * 1024;

/// What a file of ours may contain.
#[derive(Default)]
pub(super) struct Contents {
    pub certificates: Vec<Vec<u8>>,
    pub key: Option<Vec<u8>>,
}

/// One `CERTIFICATE` block.
pub(super) fn certificate(der: &[u8]) -> String {
    block("CERTIFICATE", der)
}

/// One `PRIVATE KEY` block (PKCS#8).
pub(super) fn key(der: &[u8]) -> String {
    block("PRIVATE KEY", der)
}

/// Reads certificates and at most one key; anything else, or a broken block, is an error.
pub(super) fn read(text: &[u8]) -> Result<Contents, String> {
    let mut contents = Contents::default();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|error| format!("not readable as PEM: {error}"))?;
        match kind {
            SectionKind::Certificate => contents.certificates.push(CertificateDer::from(der).to_vec()),
            SectionKind::PrivateKey if contents.key.is_none() => {
                contents.key = Some(PrivatePkcs8KeyDer::from(der).secret_pkcs8_der().to_vec());
            }
            SectionKind::PrivateKey => return Err("it holds more than one private key".to_owned()),
            other => return Err(format!("it holds a {other:?}, allowed: certificates and one PKCS#8 key")),
        }
    }
    Ok(contents)
}

fn block(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
