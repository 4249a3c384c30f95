//! Every code of this crate's ranges has a page for operators, every page a code, and no code is there for nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use lockkeeper_core::fault::FaultCode;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn errors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/errors")
}

#[test]
fn codes_and_pages_are_paired() {
    let codes: BTreeSet<String> = FaultCode::ALL.iter().map(|c| c.as_str().to_owned()).collect();
    assert_eq!(codes.len(), FaultCode::ALL.len(), "two variants have one code");
    let pages: BTreeSet<String> = fs::read_dir(errors())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| name.starts_with("LK1") || name.starts_with("LK2"))
        .collect();
    assert_eq!(codes, pages);
}

#[test]
fn pages_say_what_it_means_and_what_to_do() {
    for code in FaultCode::ALL {
        let page = fs::read_to_string(errors().join(format!("{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}");
        for part in ["**Meaning.** ", "**Example.**", "**Remedy.** "] {
            assert!(page.contains(part), "{code} lacks {part}");
        }
    }
}

/// A code that nothing in the crate makes would be a promise nobody keeps.
#[test]
fn every_code_is_made_somewhere() {
    let mut sources = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("fault/code.rs") {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let unused: Vec<_> =
        FaultCode::ALL.iter().filter(|c| !sources.contains(&format!("FaultCode::{c:?}"))).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
