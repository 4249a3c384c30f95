//! Encrypted connections: `host:port?tls=FILE` accepts servers of that authority alone, also for the engine's programs.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

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
    let at = |suffix: String| {
        let mut spec = bed.spec.clone();
        spec.instances = vec![format!("127.0.0.1:{}{suffix}", bed.server.port)];
        bed.adapter_for("n1", spec)
    };
    let encrypted = at(format!("?tls={}", good.display()));
    assert_eq!(encrypted.facts(SCHEMA).await.unwrap().schema, "23");
    let mut rollout = Rollout::new("c-1");
    rollout.step(&encrypted, "n1", Do::Backup, token(12)).await;
    rollout.step(&encrypted, "n1", Do::Prove, token(13)).await;
    assert_eq!(at(format!("?tls={}", other.display())).facts(SCHEMA).await.unwrap_err().code, "LK5215");
    assert_eq!(at("?tls=/nowhere.pem".into()).facts(SCHEMA).await.unwrap_err().code, "LK5215");
    // The server takes nothing that is not encrypted.
    assert_eq!(at(String::new()).facts(SCHEMA).await.unwrap_err().code, "LK5217");
}
