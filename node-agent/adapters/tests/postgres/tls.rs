//! Encrypted connections: `tls = { ca = "file:…" }` accepts servers of that authority alone, also for the engine's programs.

use super::bed::*;
use lockkeeper_adapters::database::{DatabaseAdapter, postgres::Postgres};
use lockkeeper_core::cluster::DatabaseTls;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::Path;

/// An authority's certificate, and certificate and key of a server at 127.0.0.1.
fn certificates() -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "test authority");
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "test server");
    let server = params.signed_by(&server_key, &issuer).unwrap();
    (authority, server.pem(), server_key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_declared_authority_is_trusted() {
    let bed = Bed::new();
    let (authority, certificate, key) = certificates();
    bed.server.encrypt(&certificate, &key);
    let (good, other) = (bed.home().join("ca.pem"), bed.home().join("other.pem"));
    std::fs::write(&good, authority).unwrap();
    std::fs::write(&other, certificates().0).unwrap();
    let at = |host: &str, ca: Option<&Path>| {
        let mut spec = bed.spec.clone();
        spec.instances = vec![format!("{host}:{}", bed.server.port)];
        spec.tls = ca.map(|path| DatabaseTls { ca: path.display().to_string() });
        bed.adapter_for("n1", spec)
    };
    let encrypted = at("127.0.0.1", Some(&good));
    assert_eq!(encrypted.facts(SCHEMA).await.unwrap().schema, "23");
    let mut rollout = Rollout::new("c-1");
    rollout.step(&encrypted, "n1", Do::Backup, token(12)).await;
    rollout.step(&encrypted, "n1", Do::Prove, token(13)).await;
    let code = async |adapter: Postgres| adapter.facts(SCHEMA).await.unwrap_err().code;
    assert_eq!(code(at("127.0.0.1", Some(&other))).await, "LK5215");
    assert_eq!(code(at("127.0.0.1", Some(Path::new("/nowhere.pem")))).await, "LK5215");
    // Of the right authority, but not made for this name.
    assert_eq!(code(at("localhost", Some(&good))).await, "LK5215");
    // The server takes nothing that is not encrypted.
    assert_eq!(code(at("127.0.0.1", None)).await, "LK5217");
}
