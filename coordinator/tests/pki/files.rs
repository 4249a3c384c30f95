//! The files of an agent and of an operator: whole or absent, private, and refused when they are not what they should be.

use lockkeeper_coordinator::pki::{IssuingCa, OperatorContext, PkiStore, PrivateKey, RootCa, Validity};
use lockkeeper_core::identity::Role;
use lockkeeper_core::ids::{ClusterId, ClusterName, Incarnation, MemberName};
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::transport::{Credentials, PeerIdentity, Revocations, Tls};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn now() -> LogTime {
    LogTime(u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap())
}

fn cluster() -> ClusterId {
    ClusterId("0192f0c1-aaaa".into())
}

struct Rig {
    root: RootCa,
    issuing: IssuingCa,
}

fn rig() -> Rig {
    let root = RootCa::create(&cluster(), now()).unwrap();
    let issuing = root.issuing(now()).unwrap();
    Rig { root, issuing }
}

impl Rig {
    fn node(&self, incarnation: u32) -> Credentials {
        let key = PrivateKey::generate().unwrap();
        let (request, name) = (key.request().unwrap(), MemberName::new("n1").unwrap());
        let leaf = Validity::leaf(now());
        let chain = self.issuing.issue_node(&request, &name, Incarnation(incarnation), leaf).unwrap().chain;
        let roots = vec![self.root.certificate().to_vec()];
        Credentials { cluster: cluster(), chain, key: key.to_der(), roots }
    }

    fn operator(&self) -> Credentials {
        let key = PrivateKey::generate().unwrap();
        let (request, name) = (key.request().unwrap(), "anna".parse().unwrap());
        let leaf = Validity::leaf(now());
        let chain = self.issuing.issue_operator(&request, &name, Role::Admin, leaf).unwrap().chain;
        let roots = vec![self.root.certificate().to_vec()];
        Credentials { cluster: cluster(), chain, key: key.to_der(), roots }
    }
}

fn same(a: &Credentials, b: &Credentials) {
    assert_eq!((&a.cluster, &a.chain, &a.roots), (&b.cluster, &b.chain, &b.roots));
    assert!(a.key == b.key);
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_node_is_saved_and_loaded_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pki");
    let store = PkiStore::open(&path).unwrap();
    assert!(store.load_node().unwrap().is_none());
    assert!(store.load_issuing(&cluster()).unwrap().is_none());
    let rig = rig();
    let first = rig.node(1);
    store.save_node(&first).unwrap();
    same(&store.load_node().unwrap().unwrap(), &first);
    let second = rig.node(2);
    store.save_node(&second).unwrap();
    same(&store.load_node().unwrap().unwrap(), &second);
    store.save_issuing(&rig.issuing).unwrap();
    let issuing = store.load_issuing(&cluster()).unwrap().unwrap();
    assert_eq!(issuing.certificate(), rig.issuing.certificate());
    assert_eq!(files(&path), ["ca.pem", "issuing.pem", "node.pem"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    for name in files(&path) {
        assert_eq!(fs::metadata(path.join(&name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert!(Tls::new(store.load_node().unwrap().unwrap(), Revocations::none()).is_ok());
}

#[test]
fn a_crash_before_the_rename_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = PkiStore::open(directory.path()).unwrap();
    let rig = rig();
    let first = rig.node(1);
    store.save_node(&first).unwrap();
    // What a crash leaves: a half-written file aside, even one with a wrong mode.
    let aside = directory.path().join("node.pem.new");
    fs::write(&aside, "-----BEGIN PRIV").unwrap();
    fs::set_permissions(&aside, Permissions::from_mode(0o644)).unwrap();
    same(&store.load_node().unwrap().unwrap(), &first);
    let second = rig.node(2);
    store.save_node(&second).unwrap();
    same(&store.load_node().unwrap().unwrap(), &second);
    assert_eq!(files(directory.path()), ["ca.pem", "node.pem"]);
    let mode = fs::metadata(directory.path().join("node.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let store = PkiStore::open(directory.path()).unwrap();
    let rig = rig();
    store.save_node(&rig.node(1)).unwrap();
    store.save_issuing(&rig.issuing).unwrap();
    for name in ["node.pem", "issuing.pem"] {
        let path = directory.path().join(name);
        for mode in [0o640, 0o604, 0o660, 0o644, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let node = store.load_node().map(|_| ());
            let error = node.and_then(|()| store.load_issuing(&cluster()).map(|_| ())).unwrap_err();
            assert_eq!(error.code(), "LK4106");
            assert!(error.to_string().contains(name));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    assert!(store.load_node().is_ok() && store.load_issuing(&cluster()).is_ok());
}

#[test]
fn damaged_files_are_refused_by_name_and_never_panic() {
    let directory = tempfile::tempdir().unwrap();
    let store = PkiStore::open(directory.path()).unwrap();
    store.save_node(&rig().node(1)).unwrap();
    let path = directory.path().join("node.pem");
    let good = fs::read(&path).unwrap();
    let put = |bytes: &[u8]| fs::write(&path, bytes).unwrap();
    for cut in 0..good.len() - 1 {
        put(&good[..cut]);
        // Cut between two certificates it still reads, but the chain is short: TLS refuses that with its own code.
        let refused = match store.load_node() {
            Err(error) => error.code() == "LK4105",
            Ok(Some(credentials)) => Tls::new(credentials, Revocations::none()).is_err(),
            Ok(None) => false,
        };
        assert!(refused, "cut to {cut}");
    }
    let key = "-----BEGIN PRIVATE KEY-----";
    let twice = [good.as_slice(), &good].concat();
    let foreign = String::from_utf8(good.clone()).unwrap().replace(key, "-----BEGIN PUBLIC KEY-----");
    for bad in [&b""[..], b"hello", &twice, foreign.as_bytes(), &[b'x'; 70_000]] {
        put(bad);
        assert_eq!(store.load_node().unwrap_err().code(), "LK4105");
    }
    put(&good);
    // Roots: missing, empty, and with a key that everybody could read.
    let roots = directory.path().join("ca.pem");
    fs::write(&roots, &good).unwrap();
    assert_eq!(store.load_node().unwrap_err().code(), "LK4105");
    fs::write(&roots, "").unwrap();
    assert_eq!(store.load_node().unwrap_err().code(), "LK4105");
    fs::remove_file(&roots).unwrap();
    assert_eq!(store.load_node().unwrap_err().code(), "LK4104");
}

#[test]
fn the_operator_s_root_is_written_once_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.pem");
    let rig = rig();
    PkiStore::write_root(&path, &rig.root).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let root = PkiStore::read_root(&path, &cluster()).unwrap();
    assert_eq!(root.digest(), rig.root.digest());
    // A new issuing authority under the old root: what the operator keeps it for.
    let again = Rig { issuing: root.issuing(now()).unwrap(), root };
    assert!(Tls::new(again.node(7), Revocations::none()).is_ok());
    let before = fs::read(&path).unwrap();
    assert_eq!(PkiStore::write_root(&path, &self::rig().root).unwrap_err().code(), "LK4104");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(PkiStore::read_root(&directory.path().join("none"), &cluster()).unwrap_err().code(), "LK4104");
}

#[test]
fn a_context_is_written_and_read() {
    let directory = tempfile::tempdir().unwrap();
    let name = ClusterName::new("library").unwrap();
    let addresses = vec!["10.77.0.11:7440".to_owned(), "10.77.0.12:7440".to_owned()];
    let context = OperatorContext { name: name.clone(), addresses, credentials: rig().operator() };
    let path = context.write(directory.path()).unwrap();
    assert_eq!(path, OperatorContext::path(directory.path(), &name));
    assert_eq!(files(directory.path()), ["library.ca.pem", "library.pem", "library.toml"]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("PRIVATE"), "{text}");
    let read = OperatorContext::read(&path).unwrap();
    assert_eq!((&read.name, &read.addresses), (&name, &context.addresses));
    same(&read.credentials, &context.credentials);
    let subject = Tls::new(read.credentials, Revocations::none()).unwrap().subject();
    assert!(matches!(subject.identity, PeerIdentity::Operator { role: Role::Admin, .. }));
    // The key may stand in a file of its own.
    let both = fs::read_to_string(directory.path().join("library.pem")).unwrap();
    let at = both.find("-----BEGIN CERTIFICATE").unwrap();
    fs::write(directory.path().join("anna.crt"), &both[at..]).unwrap();
    fs::write(directory.path().join("anna.key"), &both[..at]).unwrap();
    fs::set_permissions(directory.path().join("anna.key"), Permissions::from_mode(0o600)).unwrap();
    let text = text.replace("certificate = \"library.pem\"", "certificate = \"anna.crt\"");
    fs::write(&path, text.replace("key = \"library.pem\"", "key = \"anna.key\"")).unwrap();
    same(&OperatorContext::read(&path).unwrap().credentials, &context.credentials);
    assert!(format!("{context:?}").len() < 300);
}

#[test]
fn a_context_that_is_not_in_order_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let name = ClusterName::new("library").unwrap();
    let context = OperatorContext { name, addresses: vec!["a:1".into()], credentials: rig().operator() };
    let path = context.write(directory.path()).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("format = 1", ""),
        ("addresses = [\"a:1\"]", "addresses = []"),
        ("addresses", "adresses"),
        ("name = \"library\"", "name = \"Library\""),
        ("format = 1", "format = 1\npassword = \"x\""),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replace(from, to)).unwrap();
        let error = OperatorContext::read(&path).unwrap_err();
        assert_eq!(error.code(), "LK4105", "{to}");
        assert!(error.to_string().contains("library.toml"));
    }
    fs::write(&path, &good).unwrap();
    fs::remove_file(directory.path().join("library.pem")).unwrap();
    let error = OperatorContext::read(&path).unwrap_err();
    assert_eq!(error.code(), "LK4104");
    assert!(error.to_string().contains("library.pem"));
    assert_eq!(OperatorContext::read(&directory.path().join("none.toml")).unwrap_err().code(), "LK4104");
}
