//! `init`, `agent run`, `token create`, `join`, `operator create`: a cluster is born, by the commands alone, with real
//! agents; and everything that is refused on the way, without losing anything.

use crate::bed::{Bed, NOBODY, Ran};
use std::{collections::BTreeMap, path::Path, time::Duration};
use tokio::process::Child;

/// Elections and joins take a second; a busy machine takes several.
const SOON: Duration = Duration::from_secs(60);

impl Bed {
    /// Settings of a node on a free loopback port.
    pub fn settings(&self, name: &str) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let home = self.home.path().display();
        self.write(
            &format!("{name}.toml"),
            &format!(
                "name = \"{name}\"\nlisten = \"127.0.0.1:{port}\"\ndata = \"{home}/{name}\"\n\
                 [socket]\npath = \"{home}/{name}.sock\"\n[metrics]\nlisten = \"\"\n"
            ),
        );
    }

    pub async fn init(&self, name: &str) -> Ran {
        let config = format!("{name}.toml");
        self.run_plain(&[
            "init",
            "--cluster",
            "library",
            "--name",
            name,
            "--config",
            &config,
            "--ca-out",
            "root.pem",
        ])
        .await
    }

    pub fn start(&self, name: &str) -> Child {
        self.command(&["agent", "run", "--config", &format!("{name}.toml")])
            .stdout(std::process::Stdio::null())
            .stderr(std::fs::File::create(self.path(&format!("{name}.log"))).unwrap())
            .spawn()
            .unwrap()
    }

    /// Runs a command until it ends with 0.
    pub async fn until_done(&self, words: &[&str]) -> Ran {
        let mut last = None;
        let trying = async {
            loop {
                let ran = self.run_plain(words).await;
                if ran.code == 0 {
                    return ran;
                }
                last = Some(ran);
            }
        };
        match tokio::time::timeout(SOON, trying).await {
            Ok(ran) => ran,
            Err(_) => panic!("{words:?} does not succeed: {last:?}\n{}", self.read("n1.log")),
        }
    }
}

/// Every file below a directory with its bytes.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn init_makes_everything_once_and_a_second_one_loses_nothing() {
    let bed = Bed::new();
    bed.settings("n1");
    let made = bed.init("n1").await.ends(0);
    assert!(made.out.starts_with("cluster library ("), "{}", made.out);
    assert!(!made.out.contains("PRIVATE") && !made.err.contains("PRIVATE"));
    for file in
        ["root.pem", "n1/identity", "n1/raft.redb", "n1/pki/node.pem", ".config/lockkeeper/library.toml"]
    {
        assert!(bed.path(file).exists(), "{file} was not made");
    }
    let before = files(bed.home.path());
    let again = bed.init("n1").await.ends(1);
    assert!(again.err.contains("error[LK7009]"), "the root key is there: {}", again.err);
    let elsewhere =
        ["init", "--cluster", "museum", "--name", "n1", "--config", "n1.toml", "--ca-out", "other.pem"];
    let other = bed.run_plain(&elsewhere).await.ends(1);
    assert!(other.err.contains("error[LK6205]"), "the node has an identity: {}", other.err);
    assert_eq!(files(bed.home.path()), before);
}

#[tokio::test]
async fn init_refuses_a_context_that_is_there_and_a_name_that_is_not_the_nodes() {
    let bed = Bed::new();
    bed.settings("n1");
    std::fs::create_dir_all(bed.path(".config/lockkeeper")).unwrap();
    bed.write(".config/lockkeeper/library.toml", "somebody's");
    let before = files(bed.home.path());
    let there = bed.init("n1").await.ends(1);
    assert!(there.err.contains("error[LK7009]") && there.err.contains("library.toml"), "{}", there.err);
    let named = ["init", "--cluster", "zoo", "--name", "n2", "--config", "n1.toml", "--ca-out", "root.pem"];
    let other = bed.run_plain(&named).await.ends(1);
    assert!(other.err.contains("error[LK7021]"), "{}", other.err);
    bed.write("n1.toml", "name = \"n1\"\nlisten = 7\n");
    let faulty =
        bed.run_plain(&["init", "--cluster", "zoo", "--name", "n1", "--config", "n1.toml"]).await.ends(1);
    assert!(faulty.err.contains("error[LK10"), "{}", faulty.err);
    bed.settings("n1");
    assert!(!bed.path("root.pem").exists() && !bed.path("n1").exists());
    assert_eq!(files(bed.home.path()).len(), before.len());
}

#[tokio::test]
async fn a_bad_token_is_told_apart_and_nothing_is_made() {
    let bed = Bed::new();
    bed.settings("n2");
    let join = async |token: &str| bed.run_plain(&["join", "--token", token, "--config", "n2.toml"]).await;
    for (token, code) in [
        ("", "LK4201"),
        ("hello", "LK4201"),
        ("lkj9_abc", "LK4202"),
        ("lkj1_a!c", "LK4203"),
        ("lkj1_AAAA", "LK4204"),
    ] {
        let ran = join(token).await.ends(1);
        assert!(ran.err.contains(&format!("error[{code}]")), "{token:?}: {}", ran.err);
        assert!(token.len() < 6 || !ran.err.contains(token), "the secret is repeated: {}", ran.err);
    }
    assert!(!bed.path("n2").exists());
}

#[tokio::test]
async fn a_cluster_is_born_grows_and_knows_its_people() {
    let bed = Bed::new();
    for name in ["n1", "n2"] {
        bed.settings(name);
    }
    bed.init("n1").await.ends(0);
    let _n1 = bed.start("n1");
    let context = ["--context", "library"];
    let with = |words: &[&'static str]| [&context[..], words].concat();
    bed.until_done(&with(&["token", "create", "n2", "-o", "n2.token"])).await;

    let joined = bed.run_plain(&["join", "--token-file", "n2.token", "--config", "n2.toml"]).await.ends(0);
    assert!(joined.out.starts_with("n2 is node 2 of cluster "), "{}", joined.out);
    let again = bed.run_plain(&["join", "--token-file", "n2.token", "--config", "n2.toml"]).await.ends(1);
    assert!(again.err.contains("error[LK6205]"), "{}", again.err);
    let mut n2 = bed.start("n2");
    bed.until_done(&["--socket", "n2.sock", "status"]).await;
    let members = bed.run_plain(&with(&["members", "--json"])).await.ends(0).json();
    let names: Vec<&str> =
        members["members"].as_array().unwrap().iter().filter_map(|m| m["name"].as_str()).collect();
    assert_eq!(names, ["n1", "n2"]);

    // The same token lets nobody else in, and a node nobody can reach says so.
    n2.kill().await.unwrap();
    std::fs::remove_dir_all(bed.path("n2")).unwrap();
    bed.settings("n2");
    let used = bed.run_plain(&["join", "--token-file", "n2.token", "--config", "n2.toml"]).await.ends(4);
    assert!(used.err.contains("error[LK4303]"), "{}", used.err);

    bed.run_plain(&with(&["operator", "create", "vera", "--role", "viewer"])).await.ends(0);
    bed.run_plain(&["--context", "vera/library.toml", "status"]).await.ends(0);
    let refused = bed.run_plain(&["--context", "vera/library.toml", "resume"]).await.ends(4);
    assert!(refused.err.contains("error[LK3027]") && refused.err.contains("viewer"), "{}", refused.err);
    let rejected = bed.run_plain(&with(&["resume"])).await.ends(4);
    assert!(rejected.err.contains("rejected[LK3002]"), "{}", rejected.err);
    let no_file = bed.run_plain(&with(&["plan", "--to", "2.0"])).await.ends(1);
    assert!(no_file.err.contains("error[LK3108]"), "{}", no_file.err);
}

#[tokio::test]
async fn a_token_whose_addresses_answer_nobody_says_where_it_looked() {
    let bed = Bed::new();
    bed.settings("n2");
    let token = lockkeeper_coordinator::pki::JoinToken {
        cluster: lockkeeper_core::ids::ClusterId("c-1".into()),
        addresses: vec![NOBODY.to_owned()],
        authority: lockkeeper_proto::transport::CaDigest::of(b"root"),
        member: lockkeeper_core::ids::MemberName::new("n2").unwrap(),
        secret: lockkeeper_coordinator::pki::TokenSecret::generate(),
        expires: lockkeeper_core::time::LogTime(1),
    };
    bed.write("n2.token", &token.to_text().unwrap());
    let ran = bed.run_plain(&["join", "--token-file", "n2.token", "--config", "n2.toml"]).await.ends(1);
    assert!(ran.err.contains("warning: LK4207") && ran.err.contains("error[LK4309]"), "{}", ran.err);
    assert!(ran.err.contains(NOBODY) && !bed.path("n2/identity").exists(), "{}", ran.err);
    let other = ["join", "--token-file", "n2.token", "--config", "n1.toml"];
    bed.settings("n1");
    let other = bed.run_plain(&other).await.ends(1);
    assert!(other.err.contains("error[LK7021]"), "{}", other.err);
}
