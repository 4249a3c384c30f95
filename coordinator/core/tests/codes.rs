//! Every code of this crate's ranges has a page for operators, every page a code, and no code is there for nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use lockkeeper_core::{fault::FaultCode, rollout::Word};
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

/// The words of `status --why` have a page each, and a page that is no number is one of theirs.
#[test]
fn words_and_pages_are_paired() {
    let words: BTreeSet<String> = Word::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), Word::ALL.len(), "two variants have one word");
    let pages: BTreeSet<String> = names().into_iter().filter(|name| !name.starts_with("LK")).collect();
    assert_eq!(words, pages);
    for word in words {
        let page = fs::read_to_string(errors().join(format!("{word}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {word}: ")), "{word}");
        for part in ["**Meaning.** ", "**Cause.** ", "**Remedy.** "] {
            assert!(page.contains(part), "{word} lacks {part}");
        }
    }
}

/// `docs/errors.md` lists every page there is. `INSTA_UPDATE=always` writes it anew.
#[test]
fn the_table_of_codes_is_current() {
    let mut table = String::from(
        "# Every code and word\n\nMade from the titles of `deploy/errors/`; `lockkeeper explain CODE` shows a page.\n\n| code | what it says |\n| --- | --- |\n",
    );
    for name in names() {
        let page = fs::read_to_string(errors().join(format!("{name}.md"))).unwrap();
        let title = page.lines().next().unwrap().trim_start_matches("# ");
        let title = title.strip_prefix(&format!("{name}: ")).unwrap_or(title).replace('|', "\\|");
        table.push_str(&format!("| [{name}](../deploy/errors/{name}.md) | {title} |\n"));
    }
    let path = errors().join("../../docs/errors.md");
    if std::env::var("INSTA_UPDATE").is_ok_and(|word| word == "always") {
        fs::write(&path, &table).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|text| text == table),
        "docs/errors.md is not current: INSTA_UPDATE=always cargo test -p lockkeeper-core --test codes"
    );
}

/// The names of all pages, sorted.
fn names() -> BTreeSet<String> {
    let paths = fs::read_dir(errors()).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}
