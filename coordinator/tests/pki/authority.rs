//! What the authority issues, and what it refuses to sign.

use lockkeeper_coordinator::pki::enrol::EnrolError;
use lockkeeper_coordinator::pki::renew::RenewError;
use lockkeeper_coordinator::pki::{
    CertificateRequest, Issued, IssuingCa, PkiError, PrivateKey, RootCa, TokenError, Validity,
};
use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ActorName, ClusterId, Incarnation, MemberName};
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::transport::{Credentials, PeerIdentity, Revocations, Subject, Tls};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use std::path::Path;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

fn now() -> LogTime {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    LogTime(u64::try_from(since.as_millis()).unwrap() / 1000 * 1000)
}

fn cluster() -> ClusterId {
    ClusterId("0192f0c1-aaaa".into())
}

fn n1() -> MemberName {
    MemberName::new("n1").unwrap()
}

struct Rig {
    root: RootCa,
    issuing: IssuingCa,
    key: PrivateKey,
}

fn rig() -> Rig {
    let root = RootCa::create(&cluster(), now()).unwrap();
    let issuing = root.issuing(now()).unwrap();
    Rig { root, issuing, key: PrivateKey::generate().unwrap() }
}

impl Rig {
    fn credentials(&self, issued: Issued) -> Credentials {
        Credentials {
            cluster: cluster(),
            chain: issued.chain,
            key: self.key.to_der(),
            roots: vec![self.root.certificate().to_vec()],
        }
    }
}

#[test]
fn what_is_issued_is_accepted_by_the_transport() {
    let rig = rig();
    let request = rig.key.request().unwrap();
    let issued = rig.issuing.issue_node(&request, &n1(), Incarnation(3), Validity::leaf(now())).unwrap();
    let serial = issued.serial.clone();
    let subject = Tls::new(rig.credentials(issued), Revocations::none()).unwrap().subject();
    assert_eq!(
        subject.identity,
        PeerIdentity::Node { cluster: cluster(), name: n1(), incarnation: Incarnation(3) }
    );
    assert_eq!(subject.serial, serial);

    let anna = ActorName::new("anna").unwrap();
    for role in Role::ALL {
        let issued = rig.issuing.issue_operator(&request, &anna, role, Validity::leaf(now())).unwrap();
        let subject = Tls::new(rig.credentials(issued), Revocations::none()).unwrap().subject();
        assert_eq!(subject.identity, PeerIdentity::Operator { cluster: cluster(), name: anna.clone(), role });
    }
}

#[test]
fn the_authority_sets_every_name_and_the_request_none() {
    let rig = rig();
    // A request that asks for everything: another name, to be an authority, to be admin.
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::default();
    greedy.subject_alt_names = vec![
        SanType::URI("spiffe://0192f0c1-aaaa/node/n9/9".try_into().unwrap()),
        SanType::DnsName("n9.example".try_into().unwrap()),
    ];
    greedy.distinguished_name.push(DnType::OrganizationalUnitName, "role=admin");
    greedy.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    greedy.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let request = CertificateRequest::from_der(greedy.serialize_request(&key).unwrap().der()).unwrap();
    let issued = rig.issuing.issue_node(&request, &n1(), Incarnation(1), Validity::leaf(now())).unwrap();
    let identity = Subject::of(&issued.chain[0]).unwrap().identity;
    assert_eq!(identity, PeerIdentity::Node { cluster: cluster(), name: n1(), incarnation: Incarnation(1) });
    let (_, certificate) = X509Certificate::from_der(&issued.chain[0]).unwrap();
    assert!(!certificate.is_ca());
    assert_eq!(certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    assert_eq!(certificate.subject().to_string(), "CN=n1");
}

#[test]
fn an_operator_s_certificate_is_good_for_dialling_only() {
    let rig = rig();
    let request = rig.key.request().unwrap();
    let anna = ActorName::new("anna").unwrap();
    let issued = rig.issuing.issue_operator(&request, &anna, Role::Viewer, Validity::leaf(now())).unwrap();
    let (_, certificate) = X509Certificate::from_der(&issued.chain[0]).unwrap();
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
}

#[test]
fn a_leaf_lives_thirty_days_is_back_dated_and_renewed_at_a_third() {
    let leaf = Validity::leaf(LogTime(1_000_000_000_000));
    assert_eq!(leaf.not_before, LogTime(1_000_000_000_000 - 5 * MINUTE));
    assert_eq!(leaf.not_after, LogTime(1_000_000_000_000 + 30 * DAY));
    assert_eq!(leaf.renew_at(), LogTime(leaf.not_before.0 + (30 * DAY + 5 * MINUTE) / 3));
    let rig = rig();
    let issued = rig
        .issuing
        .issue_node(&rig.key.request().unwrap(), &n1(), Incarnation(1), Validity::leaf(now()))
        .unwrap();
    let (_, certificate) = X509Certificate::from_der(&issued.chain[0]).unwrap();
    let seconds = |time: LogTime| i64::try_from(time.0 / 1000).unwrap();
    assert_eq!(certificate.validity().not_before.timestamp(), seconds(issued.validity.not_before));
    assert_eq!(certificate.validity().not_after.timestamp(), seconds(issued.validity.not_after));
}

#[test]
fn validity_is_cut_to_the_issuer_s_and_must_be_a_span() {
    let rig = rig();
    let request = rig.key.request().unwrap();
    let issue = |not_before: u64, not_after: u64| {
        let validity = Validity { not_before: LogTime(not_before), not_after: LogTime(not_after) };
        rig.issuing.issue_node(&request, &n1(), Incarnation(1), validity)
    };
    let start = now().0;
    let long = issue(start, start + 40 * 365 * DAY).unwrap();
    assert!(long.validity.not_after.0 <= start + 3650 * DAY);
    // An expired one can be made (tests and renewals need it), a backward one cannot.
    assert!(issue(start - 2 * DAY, start - DAY).is_ok());
    for (from, to) in [(start, start), (start, start - 1), (u64::MAX - 1, u64::MAX)] {
        assert_eq!(issue(from, to).unwrap_err().code(), "LK4103");
    }
}

#[test]
fn two_certificates_of_one_key_can_be_told_apart() {
    let rig = rig();
    let request = rig.key.request().unwrap();
    let issue =
        || rig.issuing.issue_node(&request, &n1(), Incarnation(1), Validity::leaf(now())).unwrap().serial;
    assert_ne!(issue(), issue());
}

#[test]
fn a_request_must_be_signed_by_its_own_key_and_be_of_our_kind() {
    let good = PrivateKey::generate().unwrap().request().unwrap();
    assert!(CertificateRequest::from_der(good.der()).is_ok());
    let mut refused = 0;
    for at in 0..good.der().len() {
        let mut damaged = good.der().to_vec();
        damaged[at] ^= 1;
        let result = CertificateRequest::from_der(&damaged);
        refused += usize::from(result.is_err());
        if let Ok(accepted) = result {
            // Only what the signature does not cover and nobody reads may differ.
            assert_ne!(accepted.digest(), good.digest());
        }
        assert!(CertificateRequest::from_der(&good.der()[..at]).is_err());
    }
    assert!(refused * 100 >= good.der().len() * 95, "{refused} of {}", good.der().len());
    let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let foreign = CertificateParams::default().serialize_request(&other).unwrap();
    assert_eq!(CertificateRequest::from_der(foreign.der()).unwrap_err().code(), "LK4102");
    assert_eq!(CertificateRequest::from_der(&[0x30; 5000]).unwrap_err().code(), "LK4102");
}

#[test]
fn an_issuing_key_without_its_certificate_is_refused() {
    let (ours, other) = (rig(), rig());
    let certificate = ours.issuing.certificate().to_vec();
    let rebuilt = IssuingCa::from_parts(&cluster(), certificate.clone(), &ours.issuing.key_der()).unwrap();
    let request = ours.key.request().unwrap();
    let issued = rebuilt.issue_node(&request, &n1(), Incarnation(1), Validity::leaf(now())).unwrap();
    assert!(Tls::new(ours.credentials(issued), Revocations::none()).is_ok());
    let mixed = IssuingCa::from_parts(&cluster(), certificate.clone(), &other.issuing.key_der());
    assert_eq!(mixed.unwrap_err().code(), "LK4102");
    assert!(IssuingCa::from_parts(&cluster(), vec![1, 2, 3], &ours.issuing.key_der()).is_err());
    assert!(IssuingCa::from_parts(&cluster(), certificate, &[]).is_err());
}

#[test]
fn no_debug_output_shows_a_key() {
    let rig = rig();
    let key = rig.key.to_der();
    for text in [format!("{:?}", rig.key), format!("{:?}", rig.root), format!("{:?}", rig.issuing)] {
        assert!(text.len() < 120, "{text}");
        assert!(!text.contains(&format!("{:?}", &key[40..44]).replace(['[', ']'], "")), "{text}");
    }
}

#[test]
fn every_code_has_a_page_and_begins_its_message() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/errors");
    for code in
        PkiError::CODES.iter().chain(&TokenError::CODES).chain(&EnrolError::CODES).chain(&RenewError::CODES)
    {
        let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap_or_default();
        assert!(page.starts_with(&format!("# {code}")), "no page for {code}");
    }
    let error = EnrolError::UsedToken;
    assert!(error.to_string().starts_with(error.code()));
}
