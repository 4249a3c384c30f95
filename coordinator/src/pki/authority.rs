//! The authority: a root that the operator keeps, an issuing certificate whose key the voters hold, and the leaves
//! it issues. The authority sets every name in what it signs; a request contributes its public key only.

use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ActorName, ClusterId, Digest, Incarnation, MemberName};
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::transport::{CaDigest, Serial, node_uri, operator_uri, role_unit};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use std::fmt;
use time::OffsetDateTime;

use super::error::PkiError;
use super::request::{CertificateRequest, PrivateKey};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Back-dating of every certificate, because the clocks of two machines differ by minutes where nobody looks.
const BACKDATE_MS: u64 = 5 * 60 * 1000;

/// Life of a leaf. Renewed at a third of it, so a certificate survives twenty days without a working group.
const LEAF_DAYS: u64 = 30;

/// Life of root and issuing certificates: longer than the product they guard is likely to stand unattended.
const AUTHORITY_DAYS: u64 = 3650;

/// From when to when a certificate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: LogTime,
    /// Last moment.
    pub not_after: LogTime,
}

/// The root and its key. Made by `init`, handed to the operator, never kept by an agent.
pub struct RootCa {
    cluster: ClusterId,
    certificate: CertificateDer<'static>,
    validity: Validity,
    issuer: Issuer<'static, KeyPair>,
}

/// The issuing certificate and its key, which every voter holds.
pub struct IssuingCa {
    cluster: ClusterId,
    certificate: CertificateDer<'static>,
    validity: Validity,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, then its issuer without the root; DER.
    pub chain: Vec<Vec<u8>>,
    /// For audit and revocation.
    pub serial: Serial,
    /// From when to when it counts.
    pub validity: Validity,
}

impl Validity {
    /// Of a leaf made `now`.
    pub const fn leaf(now: LogTime) -> Self {
        Self::days(now, LEAF_DAYS)
    }

    const fn days(now: LogTime, days: u64) -> Self {
        Self {
            not_before: LogTime(now.0.saturating_sub(BACKDATE_MS)),
            not_after: LogTime(now.0.saturating_add(days * DAY_MS)),
        }
    }

    /// When a holder asks for the next certificate: after a third of its life.
    pub const fn renew_at(&self) -> LogTime {
        LogTime(self.not_before.0 + self.not_after.0.saturating_sub(self.not_before.0) / 3)
    }

    /// `LK4103` unless it is a span inside `issuer`'s. Leaves back-dated before their issuer are cut, not refused.
    fn inside(self, issuer: Validity) -> Result<Self, PkiError> {
        if self.not_before >= self.not_after {
            return Err(PkiError::BadValidity { reason: "until a moment before it begins" });
        }
        if self.not_after > issuer.not_after {
            return Err(PkiError::BadValidity { reason: "longer than its issuer" });
        }
        Ok(self)
    }
}

impl RootCa {
    /// A new root for `cluster`, with a key of its own.
    pub fn create(cluster: &ClusterId, now: LogTime) -> Result<Self, PkiError> {
        let key = PrivateKey::generate()?;
        let validity = Validity::days(now, AUTHORITY_DAYS);
        // Root, issuing certificate, leaf: nothing between and nothing beyond.
        let params = authority(cluster, "root", 1, validity)?;
        let certificate = params.self_signed(&key.0).map_err(PkiError::make("sign the root certificate"))?;
        Self::of(cluster, certificate.der().clone(), validity, key)
    }

    fn of(
        cluster: &ClusterId,
        certificate: CertificateDer<'static>,
        validity: Validity,
        key: PrivateKey,
    ) -> Result<Self, PkiError> {
        let issuer = issuer(&certificate, key)?;
        Ok(Self { cluster: cluster.clone(), certificate, validity, issuer })
    }

    /// Puts a root together again from its file; see [`super::PkiStore::read_root`].
    pub(super) fn from_parts(cluster: &ClusterId, der: Vec<u8>, key: PrivateKey) -> Result<Self, PkiError> {
        let validity = validity_of(&der)?;
        Self::of(cluster, der.into(), validity, key)
    }

    /// A new issuing certificate with a key of its own.
    pub fn issuing(&self, now: LogTime) -> Result<IssuingCa, PkiError> {
        let key = PrivateKey::generate()?;
        let wished = Validity::days(now, AUTHORITY_DAYS);
        let validity = Validity { not_after: wished.not_after.min(self.validity.not_after), ..wished };
        let params = authority(&self.cluster, "issuing", 0, validity.inside(self.validity)?)?;
        let certificate =
            params.signed_by(&key.0, &self.issuer).map_err(PkiError::make("sign the issuing certificate"))?;
        IssuingCa::of(&self.cluster, certificate.der().clone(), validity, key)
    }

    /// `issuing` of another root, signed by this one too: same name and key, so that what it issues is good under both.
    pub fn cross(&self, issuing: &IssuingCa, now: LogTime) -> Result<Vec<u8>, PkiError> {
        let wished = Validity::days(now, AUTHORITY_DAYS);
        let validity = Validity { not_after: wished.not_after.min(self.validity.not_after), ..wished };
        let params = authority(&self.cluster, "issuing", 0, validity.inside(self.validity)?)?;
        let certificate = params
            .signed_by(issuing.issuer.key(), &self.issuer)
            .map_err(PkiError::make("cross-sign the issuing certificate"))?;
        Ok(certificate.der().to_vec())
    }

    /// The certificate, DER. Everybody may have it.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// What join tokens name it by.
    pub fn digest(&self) -> CaDigest {
        CaDigest::of(&self.certificate)
    }

    pub(super) fn key_der(&self) -> Vec<u8> {
        self.issuer.key().serialize_der()
    }
}

impl IssuingCa {
    fn of(
        cluster: &ClusterId,
        certificate: CertificateDer<'static>,
        validity: Validity,
        key: PrivateKey,
    ) -> Result<Self, PkiError> {
        let issuer = issuer(&certificate, key)?;
        Ok(Self { cluster: cluster.clone(), certificate, validity, issuer })
    }

    /// Puts the issuing authority together from what a file or an enrolment gave. Errors if they do not belong together.
    pub fn from_parts(cluster: &ClusterId, certificate: Vec<u8>, key: &[u8]) -> Result<Self, PkiError> {
        let validity = validity_of(&certificate)?;
        Self::of(cluster, certificate.into(), validity, PrivateKey::from_der(key)?)
    }

    /// The issuing certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// What the group knows it by.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.certificate)
    }

    /// The issuing key, PKCS#8 DER: for the file of a voter and for enrolling another one, nowhere else.
    pub fn key_der(&self) -> Vec<u8> {
        self.issuer.key().serialize_der()
    }

    /// Makes `request`'s key speak for this member. Good for serving and for dialling.
    pub fn issue_node(
        &self,
        request: &CertificateRequest,
        name: &MemberName,
        incarnation: Incarnation,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name.as_str());
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(request, subject, node_uri(&self.cluster, name, incarnation), usages, validity)
    }

    /// Makes `request`'s key speak for this person, with this role. Good for dialling only.
    pub fn issue_operator(
        &self,
        request: &CertificateRequest,
        name: &ActorName,
        role: Role,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name.as_str());
        subject.push(DnType::OrganizationalUnitName, role_unit(role));
        let usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(request, subject, operator_uri(&self.cluster, name), usages, validity)
    }

    fn issue(
        &self,
        request: &CertificateRequest,
        subject: DistinguishedName,
        uri: String,
        usages: Vec<ExtendedKeyUsagePurpose>,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let wished = Validity { not_after: validity.not_after.min(self.validity.not_after), ..validity };
        let validity = wished.inside(self.validity)?;
        let mut params = blank(subject, validity)?;
        let uri = uri.try_into().map_err(PkiError::make("write the identity"))?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default();
        let certificate =
            params.signed_by(&request.key, &self.issuer).map_err(PkiError::make("sign a certificate"))?;
        Ok(Issued {
            chain: vec![certificate.der().to_vec(), self.certificate.to_vec()],
            serial: Serial::new(&serial),
            validity,
        })
    }
}

fn issuer(certificate: &CertificateDer<'_>, key: PrivateKey) -> Result<Issuer<'static, KeyPair>, PkiError> {
    use x509_parser::prelude::FromDer as _;
    let bad = |reason: &str| PkiError::BadRequest { reason: reason.to_owned() };
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate)
        .map_err(|_| bad("the authority's certificate is unreadable"))?;
    if parsed.public_key().subject_public_key.data.as_ref() != key.0.public_key_raw() {
        return Err(bad("the authority's key does not belong to its certificate"));
    }
    Issuer::from_ca_cert_der(certificate, key.0).map_err(PkiError::make("read the authority's certificate"))
}

fn validity_of(der: &[u8]) -> Result<Validity, PkiError> {
    use x509_parser::prelude::FromDer as _;
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(der).map_err(|_| {
        PkiError::BadRequest { reason: "the authority's certificate is unreadable".to_owned() }
    })?;
    let ms = |time: x509_parser::time::ASN1Time| {
        LogTime(u64::try_from(time.timestamp()).unwrap_or_default().saturating_mul(1000))
    };
    let span = parsed.validity();
    Ok(Validity { not_before: ms(span.not_before), not_after: ms(span.not_after) })
}

fn authority(
    cluster: &ClusterId,
    which: &str,
    below: u8,
    validity: Validity,
) -> Result<CertificateParams, PkiError> {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "lockkeeper");
    subject.push(DnType::CommonName, format!("{which} of {cluster}"));
    let mut params = blank(subject, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn blank(subject: DistinguishedName, validity: Validity) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.use_authority_key_identifier_extension = true;
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    // The library would derive it from the key, and two certificates of one key could then not be told apart.
    let mut serial: [u8; 16] = rand::random();
    // Positive, and never with a leading zero byte.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn moment(time: LogTime) -> Result<OffsetDateTime, PkiError> {
    i64::try_from(time.0 / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or(PkiError::BadValidity { reason: "beyond the year 9999" })
}

impl fmt::Debug for RootCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootCa").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl fmt::Debug for IssuingCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuingCa").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("serial", &self.serial.to_string()).finish_non_exhaustive()
    }
}
