//! Reads who a certificate speaks for. Knows nothing about trust: the chain is verified elsewhere.

use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ActorName, ClusterId, Incarnation, MemberName, NameError};
use std::fmt;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::peer::PeerIdentity;

/// Serial number of a certificate, big-endian without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial(Vec<u8>);

/// Who a certificate speaks for, and which certificate it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Node or operator, never anything else.
    pub identity: PeerIdentity,
    /// For the revocation list.
    pub serial: Serial,
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// Not a certificate at all.
    #[error("it is not an X.509 certificate")]
    NotX509,
    /// None or several alternative names, or one that is no URI.
    #[error("it must have exactly one alternative name, a URI; found {found}")]
    Names {
        /// How many and of what kind.
        found: String,
    },
    /// Not `spiffe://<cluster>/node/<name>/<incarnation>` or `spiffe://<cluster>/operator/<name>`.
    #[error(
        "{uri:?} is not of the form spiffe://<cluster>/node/<name>/<incarnation> or spiffe://<cluster>/operator/<name>"
    )]
    Form {
        /// What was found.
        uri: String,
    },
    /// The name breaks the rule for names.
    #[error("the name in it cannot be used: {0}")]
    Name(NameError),
    /// An operator without exactly one role, or a node with one.
    #[error("{0}")]
    Role(&'static str),
}

impl Serial {
    /// Wraps a big-endian number; leading zeros do not count.
    pub fn new(bytes: &[u8]) -> Self {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        Self(bytes[start..].to_vec())
    }

    /// Reads lower- or upper-case hex.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.is_empty() || !text.len().is_multiple_of(2) || !text.is_ascii() {
            return None;
        }
        let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(|bytes| Self::new(&bytes))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Subject {
    /// Reads the certificate `der`.
    pub fn of(der: &[u8]) -> Result<Self, IdentityFault> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityFault::NotX509)?;
        if !rest.is_empty() {
            return Err(IdentityFault::NotX509);
        }
        let identity = identity(&the_uri(&certificate)?, &certificate)?;
        Ok(Self { identity, serial: Serial::new(certificate.raw_serial()) })
    }
}

/// From when to when a certificate counts, unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// First moment.
    pub not_before_ms: u64,
    /// Last moment.
    pub not_after_ms: u64,
}

/// The lifetime of the certificate `der`; none if it is not one.
pub fn lifetime(der: &[u8]) -> Option<Lifetime> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let ms = |seconds: i64| u64::try_from(seconds).unwrap_or_default().saturating_mul(1000);
    let span = certificate.validity();
    Some(Lifetime {
        not_before_ms: ms(span.not_before.timestamp()),
        not_after_ms: ms(span.not_after.timestamp()),
    })
}

/// The URI that names a node.
pub fn node_uri(cluster: &ClusterId, name: &MemberName, incarnation: Incarnation) -> String {
    format!("spiffe://{cluster}/node/{name}/{incarnation}")
}

/// The URI that names an operator.
pub fn operator_uri(cluster: &ClusterId, name: &ActorName) -> String {
    format!("spiffe://{cluster}/operator/{name}")
}

/// The organisational unit that gives an operator's role.
pub fn role_unit(role: Role) -> String {
    format!("role={role}")
}

/// The one alternative name. Other kinds are refused, so that nobody can smuggle a second identity in.
fn the_uri(certificate: &X509Certificate<'_>) -> Result<String, IdentityFault> {
    let names = match certificate.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.as_slice(),
        Ok(None) => &[],
        Err(_) => return Err(IdentityFault::Names { found: "an unreadable list".into() }),
    };
    match names {
        [GeneralName::URI(uri)] => Ok((*uri).to_owned()),
        [_] => Err(IdentityFault::Names { found: "one of another kind".into() }),
        several => Err(IdentityFault::Names { found: several.len().to_string() }),
    }
}

fn identity(uri: &str, certificate: &X509Certificate<'_>) -> Result<PeerIdentity, IdentityFault> {
    let form = || IdentityFault::Form { uri: uri.to_owned() };
    let mut parts = uri.strip_prefix("spiffe://").ok_or_else(form)?.split('/');
    let cluster = parts.next().filter(|text| is_cluster(text)).ok_or_else(form)?;
    let cluster = ClusterId(cluster.to_owned());
    let (kind, name) = (parts.next().ok_or_else(form)?, parts.next().ok_or_else(form)?);
    let (number, end) = (parts.next(), parts.next());
    match (kind, number, end) {
        ("node", Some(number), None) => {
            let number: u32 = number.parse().map_err(|_| form())?;
            let name = MemberName::new(name).map_err(IdentityFault::Name)?;
            let incarnation = Incarnation(number);
            // `007` and `7` must not be two spellings of one identity.
            if uri != node_uri(&cluster, &name, incarnation) {
                return Err(form());
            }
            if units(certificate).next().is_some() {
                return Err(IdentityFault::Role("a node certificate must not carry a role"));
            }
            Ok(PeerIdentity::Node { cluster, name, incarnation })
        }
        ("operator", None, None) => {
            let name = ActorName::new(name).map_err(IdentityFault::Name)?;
            Ok(PeerIdentity::Operator { cluster, name, role: role(certificate)? })
        }
        _ => Err(form()),
    }
}

fn is_cluster(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn role(certificate: &X509Certificate<'_>) -> Result<Role, IdentityFault> {
    let mut units = units(certificate);
    let only = match (units.next(), units.next()) {
        (Some(only), None) => only,
        (None, _) => return Err(IdentityFault::Role("an operator certificate must carry a role")),
        (Some(_), Some(_)) => {
            return Err(IdentityFault::Role("an operator certificate must carry exactly one role"));
        }
    };
    only.and_then(|text| text.strip_prefix("role="))
        .and_then(|text| text.parse().ok())
        .ok_or(IdentityFault::Role("the role in it is not viewer, operator, approver or admin"))
}

fn units<'a>(certificate: &'a X509Certificate<'_>) -> impl Iterator<Item = Option<&'a str>> {
    certificate.subject().iter_organizational_unit().map(|unit| unit.as_str().ok())
}
