//! The join token: what a person carries from the group to a new machine.
//!
//! Text: `lkj1_` and unpadded URL-safe base64 of `length (2 bytes) | body | first 8 bytes of BLAKE3 of both`. The length
//! comes first so that a token that lost its end in copying is told apart from one that was damaged.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockkeeper_core::ids::{ClusterId, Digest, MemberName};
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::transport::CaDigest;
use serde::{Deserialize, Serialize};
use std::fmt;

const FAMILY: &str = "lkj";
const PREFIX: &str = "lkj1_";
const SUM: usize = 8;
const LENGTH: usize = 2;

/// Addresses in a token. Three voters are enough to find the group while one is down; five is the most there are.
const ADDRESSES_MAX: usize = 5;

/// Bytes of one address: a DNS name has at most 253, and a port.
const ADDRESS_BYTES_MAX: usize = 260;

/// The longest text that is read, before anything is decoded.
const TEXT_BYTES_MAX: usize = 4096;

/// The half of a token that proves the right to join. The log holds only its hash. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret([u8; 32]);

/// A join token. Its text form is a secret; `Debug` does not show the secret part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Which group.
    pub cluster: ClusterId,
    /// Where voters listen, `host:port`; 1 to 5.
    pub addresses: Vec<String>,
    /// The root under which a server must prove itself before the secret is sent.
    pub authority: CaDigest,
    /// Whom the token lets in.
    pub member: MemberName,
    /// Proves the right to join.
    pub secret: TokenSecret,
    /// Not valid after, by the group's clock.
    pub expires: LogTime,
}

/// Why a text is not a usable token. No variant repeats any of the text: it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something else altogether.
    #[error("LK4201: this is not a join token; one begins with {PREFIX}")]
    NotAToken,
    /// Made by another release.
    #[error(
        "LK4202: this join token has another format, this build reads {PREFIX}; use the same release on both machines"
    )]
    Version,
    /// A character that cannot be there.
    #[error("LK4203: character {at} of the join token cannot be part of one; it was damaged in copying")]
    Character {
        /// Position, from 1.
        at: usize,
    },
    /// The end is missing.
    #[error("LK4204: the join token is cut off: {found} of {expected} bytes are there")]
    Truncated {
        /// Bytes that are there.
        found: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// Damaged, or with something after its end.
    #[error("LK4205: the join token is damaged: its checksum does not match")]
    Checksum,
    /// Undamaged, but its content makes no sense.
    #[error("LK4206: the join token's {field} cannot be used")]
    Content {
        /// Which part.
        field: &'static str,
    },
    /// By this machine's clock, which may be wrong: only the group decides.
    #[error(
        "LK4207: the join token expired {minutes} min ago by this machine's clock; ask for a new one, or compare the clocks"
    )]
    Expired {
        /// How long ago.
        minutes: u64,
    },
}

/// Frozen: the body of version 1.
#[derive(Serialize, Deserialize)]
struct BodyV1 {
    cluster: String,
    addresses: Vec<String>,
    authority: [u8; 32],
    member: String,
    secret: [u8; 32],
    expires: u64,
}

impl TokenSecret {
    /// A fresh one from the system's random numbers.
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// What the log holds.
    pub fn hash(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// For the one call that sends it.
    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl JoinToken {
    /// The hash of the secret: what `token create` commits, and what enrolment looks up.
    pub fn token_hash(&self) -> Digest {
        self.secret.hash()
    }

    /// The text form: a secret, shown once to the person who asked for it. `LK4206` if a field is out of bounds.
    pub fn to_text(&self) -> Result<String, TokenError> {
        self.check()?;
        let body = BodyV1 {
            cluster: self.cluster.0.clone(),
            addresses: self.addresses.clone(),
            authority: *self.authority.as_bytes(),
            member: self.member.to_string(),
            secret: self.secret.0,
            expires: self.expires.0,
        };
        let body = postcard::to_stdvec(&body).map_err(|_| TokenError::Content { field: "body" })?;
        let length = u16::try_from(body.len()).map_err(|_| TokenError::Content { field: "length" })?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(body);
        bytes.extend(sum(&bytes));
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads the text form; white space around it does not matter. Says nothing about whether the group accepts it.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let Some(encoded) = text.strip_prefix(PREFIX) else {
            let other = text.strip_prefix(FAMILY).and_then(|rest| rest.split_once('_'));
            let numbered = other.is_some_and(|(number, _)| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            });
            return Err(if numbered { TokenError::Version } else { TokenError::NotAToken });
        };
        let body = unwrap(encoded)?;
        let (body, rest): (BodyV1, &[u8]) =
            postcard::take_from_bytes(&body).map_err(|_| TokenError::Content { field: "body" })?;
        if !rest.is_empty() {
            return Err(TokenError::Content { field: "body" });
        }
        let token = Self {
            cluster: ClusterId(body.cluster),
            addresses: body.addresses,
            authority: CaDigest::from_bytes(body.authority),
            member: MemberName::new(body.member).map_err(|_| TokenError::Content { field: "member" })?,
            secret: TokenSecret(body.secret),
            expires: LogTime(body.expires),
        };
        token.check()?;
        Ok(token)
    }

    /// A hint before anything is sent: `LK4207` if the token has expired by the clock that says `now`.
    pub fn hint_expired(&self, now: LogTime) -> Result<(), TokenError> {
        match now.0.checked_sub(self.expires.0) {
            Some(late) if late > 0 => Err(TokenError::Expired { minutes: late / 60_000 }),
            Some(_) | None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), TokenError> {
        let id = &self.cluster.0;
        let named =
            !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !named {
            return Err(TokenError::Content { field: "cluster" });
        }
        let usable = |address: &String| !address.is_empty() && address.len() <= ADDRESS_BYTES_MAX;
        if self.addresses.is_empty()
            || self.addresses.len() > ADDRESSES_MAX
            || !self.addresses.iter().all(usable)
        {
            return Err(TokenError::Content { field: "addresses" });
        }
        Ok(())
    }
}

impl TokenError {
    /// Every code of this module, for the test that pairs codes and pages.
    pub const CODES: [&'static str; 7] =
        ["LK4201", "LK4202", "LK4203", "LK4204", "LK4205", "LK4206", "LK4207"];

    /// The stable code; the message begins with it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAToken => "LK4201",
            Self::Version => "LK4202",
            Self::Character { .. } => "LK4203",
            Self::Truncated { .. } => "LK4204",
            Self::Checksum => "LK4205",
            Self::Content { .. } => "LK4206",
            Self::Expired { .. } => "LK4207",
        }
    }
}

fn sum(bytes: &[u8]) -> [u8; SUM] {
    let mut sum = [0; SUM];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..SUM]);
    sum
}

/// The body inside length and checksum.
fn unwrap(encoded: &str) -> Result<Vec<u8>, TokenError> {
    if encoded.len() > TEXT_BYTES_MAX {
        return Err(TokenError::Checksum);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if let Some(at) = encoded.bytes().position(|byte| !allowed(byte)) {
        return Err(TokenError::Character { at: PREFIX.len() + at + 1 });
    }
    // Only the number of characters can be wrong now (a cut in the middle of a group) or its last bits.
    let whole = encoded.len() - usize::from(encoded.len() % 4 == 1);
    let bytes = URL_SAFE_NO_PAD.decode(&encoded[..whole]).or_else(|_| {
        // A cut inside a group of four leaves stray bits; up to the last full group the bytes are what they were.
        URL_SAFE_NO_PAD.decode(&encoded[..encoded.len() / 4 * 4]).map_err(|_| TokenError::Checksum)
    })?;
    let Some((length, _)) = bytes.split_first_chunk::<LENGTH>() else {
        return Err(TokenError::Truncated { found: bytes.len(), expected: LENGTH + SUM });
    };
    let expected = LENGTH + usize::from(u16::from_be_bytes(*length)) + SUM;
    if bytes.len() < expected {
        return Err(TokenError::Truncated { found: bytes.len(), expected });
    }
    let (content, found) = bytes.split_at(expected - SUM);
    if found != sum(content) || URL_SAFE_NO_PAD.encode(&bytes) != encoded {
        return Err(TokenError::Checksum);
    }
    Ok(content[LENGTH..].to_vec())
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}
