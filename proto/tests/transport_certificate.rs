//! Reading identities out of certificates, and the list that voids them.

mod transport_support;

use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ActorName, Incarnation};
use lockkeeper_proto::transport::*;
use std::path::Path;
use transport_support::*;

fn read(uri: &str, units: &[&str]) -> Result<Subject, IdentityFault> {
    let units = units.iter().map(|unit| (*unit).to_owned()).collect();
    let leaf = TestCa::new().leaf(Leaf { uris: vec![uri.into()], units, ..Leaf::default() });
    Subject::of(&leaf.chain[0])
}

#[test]
fn what_we_write_is_what_we_read() {
    let subject = read(&node_uri(&cluster(), &member("n-2_b"), Incarnation(u32::MAX)), &[]).unwrap();
    let expected =
        PeerIdentity::Node { cluster: cluster(), name: member("n-2_b"), incarnation: Incarnation(u32::MAX) };
    assert_eq!(subject.identity, expected);
    let anna = ActorName::new("anna").unwrap();
    for role in Role::ALL {
        let subject = read(&operator_uri(&cluster(), &anna), &[&role_unit(role)]).unwrap();
        let expected = PeerIdentity::Operator { cluster: cluster(), name: anna.clone(), role };
        assert_eq!(subject.identity, expected);
    }
}

#[test]
fn every_other_form_is_refused() {
    for uri in [
        "spiffe://",
        "spiffe:///node/n1/1",
        "https://c/node/n1/1",
        "SPIFFE://c/node/n1/1",
        "spiffe://c",
        "spiffe://c/",
        "spiffe://c/node",
        "spiffe://c/node/n1",
        "spiffe://c/node/n1/",
        "spiffe://c/node/n1/x",
        "spiffe://c/node/n1/-1",
        "spiffe://c/node/n1/+1",
        "spiffe://c/node/n1/01",
        "spiffe://c/node/n1/4294967296",
        "spiffe://c/node/n1/1/",
        "spiffe://c/node/n1/1/2",
        "spiffe://c/node//1",
        "spiffe://c/node/N1/1",
        "spiffe://c/node/%6e1/1",
        "spiffe://c/Node/n1/1",
        "spiffe://c/operator",
        "spiffe://c/operator/",
        "spiffe://c/operator/anna/1",
        "spiffe://c/admin/anna",
        "spiffe://c d/node/n1/1",
        "spiffe://u@c/node/n1/1",
        "spiffe://c:1/node/n1/1",
        "spiffe://c/node/n1/1?x",
        "spiffe://c/node/n1/1#x",
    ] {
        // A role, so that an operator is not refused for want of one.
        let units: &[&str] = if uri.contains("operator") { &["role=admin"] } else { &[] };
        assert!(read(uri, units).is_err(), "{uri}");
    }
}

#[test]
fn a_role_is_exact() {
    let uri = format!("spiffe://{CLUSTER}/operator/anna");
    for unit in ["admin", "role=", "role=Admin", "role=admin ", "role=admin,viewer", "Role=admin"] {
        assert!(read(&uri, &[unit]).is_err(), "{unit}");
    }
    assert!(read(&uri, &[]).is_err());
    // Two roles: the library cannot write such a subject, so the second unit is made out of an organisation.
    let (key, mut params) = (rcgen::KeyPair::generate().unwrap(), rcgen::CertificateParams::default());
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationalUnitName, "role=viewer");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "role=admin");
    let mut der = params.self_signed(&key).unwrap().der().to_vec();
    assert!(matches!(Subject::of(&der).unwrap().identity, PeerIdentity::Operator { role: Role::Viewer, .. }));
    let organisation = [0x06, 0x03, 0x55, 0x04, 0x0a];
    let places: Vec<usize> =
        der.windows(5).enumerate().filter(|(_, window)| *window == organisation).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 2, "issuer and subject");
    places.iter().for_each(|at| der[at + 4] = 0x0b);
    assert!(matches!(Subject::of(&der), Err(IdentityFault::Role(_))));
}

#[test]
fn no_byte_of_a_certificate_makes_the_reader_panic() {
    let der = TestCa::new().operator("anna", Role::Admin).chain[0].clone();
    for at in 0..der.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = der.clone();
            damaged[at] ^= flip;
            let _ = Subject::of(&damaged);
        }
        let _ = Subject::of(&der[..at]);
    }
    let mut longer = der.clone();
    longer.push(0);
    assert_eq!(Subject::of(&longer), Err(IdentityFault::NotX509));
    assert!(Subject::of(&der).is_ok());
}

#[test]
fn serial_numbers_have_one_spelling() {
    assert_eq!(Serial::new(&[0, 0, 0x0a, 0xff]), Serial::new(&[0x0a, 0xff]));
    assert_eq!(Serial::new(&[0x0a, 0xff]).to_string(), "0aff");
    assert_eq!(Serial::from_hex("000AFF"), Some(Serial::new(&[0x0a, 0xff])));
    for bad in ["", "a", "zz", "0aé"] {
        assert_eq!(Serial::from_hex(bad), None, "{bad}");
    }
}

#[test]
fn revocation_counts_upwards_and_touches_nobody_else() {
    let ca = TestCa::new();
    let subject = |name, number| Subject::of(&ca.node(name, number).chain[0]).unwrap();
    let list: Revocations = [
        (member("n1"), Incarnation(4)),
        (member("n1"), Incarnation(2)),
        (member("n9"), Incarnation(u32::MAX)),
    ]
    .into_iter()
    .collect();
    for (name, number, expected) in [
        ("n1", 1, true),
        ("n1", 4, true),
        ("n1", 5, false),
        ("n2", 1, false),
        ("n9", 0, true),
        ("n9", u32::MAX, true),
    ] {
        assert_eq!(list.revoked(&subject(name, number)), expected, "{name} {number}");
    }
}

#[test]
fn every_code_has_a_page() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/errors");
    for code in TransportError::CODES {
        let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap_or_default();
        assert!(page.starts_with(&format!("# {code}")), "no page for {code}");
    }
}
