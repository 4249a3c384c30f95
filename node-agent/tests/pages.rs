//! Every code of the agent has a page, and every page has a code.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeSet, fs, path::Path};

fn codes_in(text: &str) -> impl Iterator<Item = String> + '_ {
    text.match_indices("LK6").filter_map(|(at, _)| {
        let code = text.get(at..at + 6)?;
        code.bytes().skip(3).all(|b| b.is_ascii_digit()).then(|| code.to_owned())
    })
}

fn sources(directory: &Path, into: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn codes_and_pages_are_paired() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&here.join("src"), &mut text);
    let used: BTreeSet<String> = codes_in(&text).collect();
    assert!(used.len() > 25, "the scan found only {used:?}");
    let pages = here.join("../deploy/errors");
    let mut written = BTreeSet::new();
    for entry in fs::read_dir(&pages).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(code) = name.strip_suffix(".md").filter(|code| code.starts_with("LK6")) {
            let page = fs::read_to_string(pages.join(&name)).unwrap();
            assert!(page.starts_with(&format!("# {code}: ")), "{name} must begin with its code");
            for part in ["**Meaning.**", "**Cause.**", "**Remedy.**"] {
                assert!(page.contains(part), "{name} lacks {part}");
            }
            written.insert(code.to_owned());
        }
    }
    assert_eq!(used, written);
}
