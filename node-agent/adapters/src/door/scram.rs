//! SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) in the form PostgreSQL stores them.
//!
//! A verifier lets a server check a password it does not know. It is sent and kept in place of the secret.

use crate::database::{Answer, DatabaseCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Iterations of the key derivation: PostgreSQL's own default. The secrets are 256 random bits, so more would only
/// make logging in slower.
pub const ITERATIONS: u32 = 4096;

/// Bytes of salt: PostgreSQL's own default.
pub const SALT_BYTES: usize = 16;

const PREFIX: &str = "SCRAM-SHA-256$";

/// The verifier of `password`, which must be printable ASCII (so that SASLprep changes nothing).
pub fn verifier(password: &SecretString, salt: [u8; SALT_BYTES]) -> String {
    let mut salted = [0_u8; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.expose_secret().as_bytes(), &salt, ITERATIONS, &mut salted);
    let stored = Sha256::digest(keyed(&salted, b"Client Key"));
    let server = keyed(&salted, b"Server Key");
    format!(
        "{PREFIX}{ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

/// Passes a text that is a verifier and nothing else: it goes into a statement as a literal, and a plain password in
/// its place would be stored and logged.
pub fn check(text: &str) -> Answer<&str> {
    let good = text.strip_prefix(PREFIX).is_some_and(|rest| {
        let Some((head, keys)) = rest.split_once('$') else { return false };
        let Some((iterations, salt)) = head.split_once(':') else { return false };
        let Some((stored, server)) = keys.split_once(':') else { return false };
        let length = |text: &str| STANDARD.decode(text).map_or(0, |bytes| bytes.len());
        iterations.parse::<u32>().is_ok_and(|n| n >= ITERATIONS)
            && length(salt) >= SALT_BYTES
            && length(stored) == 32
            && length(server) == 32
    });
    if good {
        Ok(text)
    } else {
        Err(DatabaseCode::Verifier.refuse("the holder's output is not a SCRAM-SHA-256 verifier"))
    }
}

fn keyed(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taken from PostgreSQL 15: `create role x password 'pencil'` with this salt, by RFC 7677's example keys.
    #[test]
    fn it_agrees_with_the_rfc() {
        let salt: [u8; 16] = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        assert_eq!(
            verifier(&SecretString::from("pencil"), salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn only_a_whole_verifier_passes() {
        let good = verifier(&SecretString::from("x"), [7; 16]);
        assert!(check(&good).is_ok());
        for bad in ["", "secret", "SCRAM-SHA-256$", "SCRAM-SHA-256$1:AAAA$AAAA:AAAA", &good[..good.len() - 4]]
        {
            assert_eq!(check(bad).unwrap_err().code, DatabaseCode::Verifier, "{bad}");
        }
        assert!(check(&format!("{good}'; drop role x; --")).is_err());
    }
}
