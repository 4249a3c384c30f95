//! The shape of the repository, checked: edges between crates, purity of the core, rooms of libraries, sizes of
//! files, pages of error codes, and that every package is among those tested.

#![allow(clippy::disallowed_methods, reason = "a test of the repository reads it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn metadata() -> serde_json::Value {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Package -> its dependencies, without those of tests.
fn dependencies(metadata: &serde_json::Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().unwrap();
    let edges = |p: &serde_json::Value| {
        let all = p["dependencies"].as_array().unwrap().iter();
        all.filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().unwrap().to_owned()).collect()
    };
    packages.iter().map(|p| (p["name"].as_str().unwrap().to_owned(), edges(p))).collect()
}

/// All Rust files below a folder, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no Rust file: the rule would hold for nothing");
    found
}

/// The code of a file: without comments and without what is below `#[cfg(test)]`.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    shipped.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test_file(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "tests") || path.file_name().is_some_and(|n| n == "tests.rs")
}

#[test]
fn only_the_designed_edges_exist() {
    let ours = [
        ("lockkeeper-core", vec![]),
        ("lockkeeper-proto", vec!["lockkeeper-core"]),
        ("lockkeeper-coordinator", vec!["lockkeeper-core", "lockkeeper-proto"]),
        ("lockkeeper-agent", vec!["lockkeeper-core", "lockkeeper-proto"]),
        ("lockkeeper-adapters", vec!["lockkeeper-core", "lockkeeper-agent"]),
        (
            "lockkeeper",
            vec![
                "lockkeeper-core",
                "lockkeeper-proto",
                "lockkeeper-coordinator",
                "lockkeeper-agent",
                "lockkeeper-adapters",
            ],
        ),
        (
            "lockkeeper-tests",
            vec![
                "lockkeeper",
                "lockkeeper-core",
                "lockkeeper-proto",
                "lockkeeper-coordinator",
                "lockkeeper-agent",
                "lockkeeper-adapters",
            ],
        ),
        ("lockkeeper-chaos", vec!["lockkeeper-core", "lockkeeper-proto", "lockkeeper-coordinator", "lockkeeper-agent"]),
    ];
    let found = dependencies(&metadata());
    let names: BTreeSet<&str> = ours.iter().map(|(n, _)| *n).collect();
    let present: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, present, "every package needs its allowed edges here");
    for (name, allowed) in ours {
        let ours: BTreeSet<&str> = found[name].iter().map(String::as_str).filter(|d| present.contains(d)).collect();
        let forbidden: Vec<_> = ours.iter().filter(|d| !allowed.contains(d)).collect();
        assert!(forbidden.is_empty(), "{name} may not depend on {forbidden:?}");
    }
}

#[test]
fn pure_crates_compile_without_a_runtime() {
    let found = dependencies(&metadata());
    for bad in ["tokio", "tonic", "prost", "rustls", "openraft", "tracing", "rand", "rustix", "uuid", "jiff"] {
        assert!(!found["lockkeeper-core"].contains(bad), "lockkeeper-core depends on {bad}");
    }
}

#[test]
fn the_core_is_pure() {
    let banned = [
        "async fn", "tokio", "SystemTime", "Instant", "HashMap", "HashSet", "std::fs", "std::net", "std::env",
        "std::process", "std::thread", "std::io", "println!", "tracing::", "rand::", "unsafe ",
    ];
    for (path, text) in sources("coordinator/core/src") {
        if is_test_file(&path) {
            continue;
        }
        for word in banned {
            assert!(!code(&text).contains(word), "{} has {word:?}", path.display());
        }
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    // library -> folders and files that may name it
    let rooms: [(&str, &[&str]); 6] = [
        ("openraft", &["coordinator/src/raft/", "coordinator/src/raft.rs", "coordinator/tests/", "chaos/"]),
        ("prost", &["proto/", "tests/"]),
        ("rustls", &["proto/src/transport/", "proto/tests/", "node-agent/adapters/src/", "tests/"]),
        ("tokio_postgres", &["node-agent/adapters/"]),
        ("rusqlite", &["node-agent/adapters/", "coordinator/cli/src/demo/", "coordinator/cli/tests/"]),
        ("redb", &["coordinator/src/raft/", "coordinator/tests/", "chaos/", "coordinator/src/raft.rs"]),
    ];
    for folder in ["proto", "coordinator", "node-agent", "chaos", "tests"] {
        for (path, text) in sources(folder) {
            let place = path.display().to_string();
            if place == "tests/tests/architecture.rs" {
                continue;
            }
            for (library, allowed) in rooms {
                let uses = [format!("{library}::"), format!("use {library}")];
                if uses.iter().any(|u| contains_word(&code(&text), u)) {
                    assert!(allowed.iter().any(|a| place.starts_with(a)), "{place} names {library}");
                }
            }
        }
    }
}

/// Whether `needle` stands in `text` as a word: neither `tokio_rustls::` nor `use rustls_pki_types` names rustls.
fn contains_word(text: &str, needle: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(needle).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + needle.len()..]);
        !before.ends_with(part) && (needle.ends_with(':') || !after.starts_with(part))
    })
}

#[test]
fn generated_types_stop_at_the_wire() {
    let allowed = ["proto/", "coordinator/src/raft/", "coordinator/src/api/", "coordinator/src/pki/enrol/", "coordinator/src/pki/renew/"];
    for folder in ["coordinator", "node-agent", "chaos"] {
        for (path, text) in sources(folder) {
            let place = path.display().to_string();
            if is_test_file(&path) || allowed.iter().any(|a| place.starts_with(a)) {
                continue;
            }
            assert!(!code(&text).contains("lockkeeper_proto::pb"), "{place} names generated types");
        }
    }
}

#[test]
fn only_exec_starts_processes() {
    for folder in ["coordinator/src", "node-agent/src", "node-agent/adapters/src", "proto/src"] {
        for (path, text) in sources(folder) {
            let place = path.display().to_string();
            if is_test_file(&path) || place.starts_with("node-agent/adapters/src/exec") {
                continue;
            }
            for word in ["process::Command", "Command::new(", "process_wrap"] {
                assert!(!code(&text).contains(word), "{place} starts a process ({word})");
            }
        }
    }
}

#[test]
fn no_file_is_too_long() {
    let mut lengths = Vec::new();
    for folder in ["proto", "coordinator", "node-agent", "chaos", "tests"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= 500, "{} has {lines} lines; one concept a file, 500 at most", path.display());
            lengths.push(lines);
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= 200, "the median file has {median} lines, about 150 are wanted");
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let mut used = BTreeSet::new();
    for folder in ["proto", "coordinator", "node-agent"] {
        for (path, text) in sources(folder) {
            if is_test_file(&path) {
                continue;
            }
            let text = code(&text);
            for (at, _) in text.match_indices("LK") {
                let code: String = text[at..].chars().take(6).collect();
                if code != "LK0000" && code.len() == 6 && code[2..].bytes().all(|b| b.is_ascii_digit()) {
                    used.insert(code);
                }
            }
        }
    }
    let pages: BTreeSet<String> = fs::read_dir(root().join("deploy/errors"))
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|n| n.starts_with("LK"))
        .collect();
    let missing: Vec<_> = used.difference(&pages).collect();
    let stale: Vec<_> = pages.difference(&used).collect();
    assert!(missing.is_empty() && stale.is_empty(), "codes without a page: {missing:?}; pages without a code: {stale:?}");
}

#[test]
fn every_package_is_tested() {
    let script = fs::read_to_string(root().join("tests/run")).unwrap();
    assert!(script.contains("--workspace"), "tests/run must name --workspace, or new packages are not tested");
    for word in ["--exclude", "--skip"] {
        assert!(!script.contains(word), "tests/run leaves something out ({word})");
    }
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        for target in package["targets"].as_array().unwrap() {
            if target["kind"].as_array().unwrap().iter().any(|k| k == "lib" || k == "bin") {
                assert!(target["test"].as_bool().unwrap(), "{name}: {} is not tested", target["name"]);
            }
        }
    }
    let members = metadata["workspace_members"].as_array().unwrap().len();
    assert_eq!(members, dependencies(&metadata).len());
}

#[test]
fn no_registry_and_no_path_of_this_machine_is_named() {
    let hosts = ["crates".to_owned() + ".io/", "pypi".to_owned() + ".org", "npmjs".to_owned() + ".org", "deb.debian".to_owned() + ".org"];
    let out = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    for file in String::from_utf8(out.stdout).unwrap().split('\0').filter(|f| !f.is_empty() && *f != "Cargo.lock") {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        for word in hosts.iter().map(String::as_str).chain([concat!("/wo", "rk/"), concat!("/ro", "ot/")]) {
            assert!(!text.contains(word), "{file} names {word}");
        }
    }
}
