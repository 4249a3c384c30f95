//! Releases on a real file system: one hash for equal trees, another for any difference, and nothing overwritten.

use super::support::{carry_out, host, work};
use lockkeeper_adapters::files::tree::tree_hash;
use lockkeeper_agent::host::{Host, Precheck, Work};
use lockkeeper_core::{
    plan::{
        Action,
        action::{StageRelease, SwitchRelease},
    },
    version::Version,
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Directory,
    File(Vec<u8>, bool),
    Link(String),
}

/// A tree by path; parents are made as needed.
type Tree = BTreeMap<String, Entry>;

fn build(root: &Path, tree: &Tree) {
    for (path, entry) in tree {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry {
            Entry::Directory => fs::create_dir_all(&path).unwrap(),
            Entry::File(content, executable) => {
                fs::write(&path, content).unwrap();
                fs::set_permissions(
                    &path,
                    PermissionsExt::from_mode(if *executable { 0o755 } else { 0o640 }),
                )
                .unwrap();
            }
            Entry::Link(target) => symlink(target, &path).unwrap(),
        }
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        Just(Entry::Directory),
        (prop::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(c, x)| Entry::File(c, x)),
        "[a-z]{1,3}".prop_map(Entry::Link),
    ]
}

/// Directories have upper-case names and leaves lower-case ones, so that no leaf is in the way.
fn tree() -> impl Strategy<Value = Tree> {
    prop::collection::btree_map("([A-C]/){0,2}[a-d]{1,2}", entry(), 1..8)
}

fn hash_of(tree: &Tree) -> String {
    let root = tempfile::tempdir().unwrap();
    build(root.path(), tree);
    tree_hash(root.path()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equal_trees_and_only_those_have_one_hash(a in tree(), b in tree()) {
        prop_assert_eq!(hash_of(&a), hash_of(&a));
        prop_assert_eq!(hash_of(&a) == hash_of(&b), a == b);
    }

    #[test]
    fn any_single_change_shows(tree in tree(), which in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
        let name = tree.keys().nth(which.index(tree.len())).unwrap().clone();
        let mut changed = tree.clone();
        match changed.get_mut(&name).unwrap() {
            Entry::File(content, executable) if content.is_empty() => *executable = !*executable,
            Entry::File(content, _) => {
                let at = flip.index(content.len());
                content[at] ^= 1;
            }
            Entry::Link(target) => target.push('x'),
            directory @ Entry::Directory => *directory = Entry::File(Vec::new(), false),
        }
        prop_assert_ne!(hash_of(&tree), hash_of(&changed));
        let mut renamed = tree.clone();
        let entry = renamed.remove(&name).unwrap();
        renamed.insert(format!("{name}z"), entry);
        prop_assert_ne!(hash_of(&tree), hash_of(&renamed));
    }

    #[test]
    fn a_staged_copy_is_the_same_tree(tree in tree()) {
        let root = tempfile::tempdir().unwrap();
        let (source, target) = (root.path().join("source"), root.path().join("releases/2.0"));
        build(&source, &tree);
        lockkeeper_adapters::files::stage::stage(&step(&source, &target, "")).unwrap();
        prop_assert_eq!(tree_hash(&source).unwrap(), tree_hash(&target).unwrap());
    }
}

fn step(source: &Path, target: &Path, tree: &str) -> StageRelease {
    StageRelease {
        source: source.display().to_string(),
        directory: target.display().to_string(),
        version: Version::new("2.0").unwrap(),
        tree: tree.to_owned(),
    }
}

fn release(root: &Path) -> Tree {
    let tree = Tree::from([
        ("bin/app".to_owned(), Entry::File(b"#!/bin/sh\n".to_vec(), true)),
        ("lib/empty".to_owned(), Entry::Directory),
        ("lib/current".to_owned(), Entry::Link("empty".to_owned())),
    ]);
    build(root, &tree);
    tree
}

#[tokio::test]
async fn a_release_is_staged_once_and_compared_afterwards() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = (root.path().join("source"), root.path().join("opt/2.0"));
    release(&source);
    let hash = tree_hash(&source).unwrap();
    let host = host(root.path());
    let work = work(Action::StageRelease(step(&source, &target, &hash)));
    assert_eq!(host.precheck(&work).await, Precheck::Ready { captured: String::new() });
    let done = carry_out(&host, &work).await.unwrap();
    assert!(done.evidence.contains(&hash), "{done:?}");
    assert_eq!(fs::metadata(target.join("bin/app")).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(matches!(host.precheck(&work).await, Precheck::AlreadyDone(_)));
    // Staged by the operator, only compared.
    let compare = Work {
        action: Action::StageRelease(StageRelease { source: String::new(), ..step(&source, &target, &hash) }),
        ..work.clone()
    };
    assert!(matches!(host.precheck(&compare).await, Precheck::AlreadyDone(_)));
    // One byte somewhere, and nothing is touched.
    fs::write(target.join("lib/empty/stale.jar"), "x").unwrap();
    assert!(matches!(host.precheck(&work).await, Precheck::Mismatch { .. }));
    assert_eq!(host.perform(&work, &|_| {}).await.unwrap_err().code, "LK5302");
    assert!(target.join("lib/empty/stale.jar").exists());
}

#[tokio::test]
async fn a_copy_that_is_not_what_the_plan_says_is_not_staged() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = (root.path().join("source"), root.path().join("opt/2.0"));
    release(&source);
    let host = host(root.path());
    let work = work(Action::StageRelease(step(&source, &target, &"0".repeat(64))));
    assert_eq!(host.perform(&work, &|_| {}).await.unwrap_err().code, "LK5303");
    assert!(!target.exists());
    let left: Vec<_> = fs::read_dir(root.path().join("opt")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_an_earlier_life_left_half_copied_is_swept() {
    let root = tempfile::tempdir().unwrap();
    let (source, target) = (root.path().join("source"), root.path().join("opt/2.0"));
    release(&source);
    // A process id that is not in use: the kernel's highest is below.
    let rest = root.path().join("opt/.lockkeeper-staging.2.0.4194304999");
    fs::create_dir_all(rest.join("half")).unwrap();
    fs::create_dir_all(&target).unwrap();
    let work = work(Action::StageRelease(step(&source, &target, "")));
    carry_out(&host(root.path()), &work).await.unwrap();
    assert!(!rest.exists());
}

#[tokio::test]
async fn switching_captures_the_old_target_and_gives_it_back() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    for version in ["1.0", "2.0"] {
        fs::create_dir(root.path().join(version)).unwrap();
    }
    let link = root.path().join("current");
    symlink("1.0", &link).unwrap();
    let new = root.path().join("2.0").display().to_string();
    let switch = SwitchRelease {
        link: link.display().to_string(),
        directory: new.clone(),
        version: Version::new("2.0").unwrap(),
    };
    let forward = work(Action::SwitchRelease(switch.clone()));
    assert_eq!(host.precheck(&forward).await, Precheck::Ready { captured: "1.0".into() });
    let done = carry_out(&host, &forward).await.unwrap();
    assert!(done.evidence.contains("-> 1.0") && done.evidence.contains(&new), "{done:?}");
    assert_eq!(done.read_back, None);
    assert!(matches!(host.precheck(&forward).await, Precheck::AlreadyDone(_)));
    let back =
        Work { captured: Some("1.0".into()), attempt: lockkeeper_core::ids::Attempt(2), ..forward.clone() };
    let done = carry_out(&host, &back).await.unwrap();
    assert_eq!(done.read_back.as_deref(), Some("1.0"), "word for word as it was");
    assert_eq!(fs::read_link(&link).unwrap().to_str(), Some("1.0"));
    // There was none before.
    let back =
        Work { captured: Some(String::new()), attempt: lockkeeper_core::ids::Attempt(3), ..forward.clone() };
    assert_eq!(carry_out(&host, &back).await.unwrap().read_back.as_deref(), Some(""));
    assert!(!link.exists());
    fs::remove_dir(root.path().join("2.0")).unwrap();
    assert!(matches!(host.precheck(&forward).await, Precheck::Mismatch { .. }));
}
