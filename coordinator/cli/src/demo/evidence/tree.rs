//! A hash over a directory: names, kinds and contents. Not the adapters' own, so that the two can disagree.

use anyhow::Context as _;
use std::{fs, path::Path};

/// BLAKE3 over everything below `root`, in the order of names.
pub fn tree_hash(root: &Path) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    add(&mut hasher, root, Path::new("")).with_context(|| format!("cannot hash {}", root.display()))?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn add(hasher: &mut blake3::Hasher, root: &Path, below: &Path) -> std::io::Result<()> {
    let mut names: Vec<_> =
        fs::read_dir(root.join(below))?.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    for name in names {
        let path = below.join(&name);
        let full = root.join(&path);
        let kind = fs::symlink_metadata(&full)?.file_type();
        let (word, content) = if kind.is_dir() {
            ("directory", Vec::new())
        } else if kind.is_symlink() {
            ("link", fs::read_link(&full)?.as_os_str().as_encoded_bytes().to_vec())
        } else {
            ("file", fs::read(&full)?)
        };
        let head = format!("{word} {} {}\n", path.as_os_str().len(), content.len());
        hasher.update(head.as_bytes()).update(path.as_os_str().as_encoded_bytes()).update(&content);
        if kind.is_dir() {
            add(hasher, root, &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_name_or_link_changes_the_hash_and_nothing_else_does() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/f"), "1").unwrap();
        std::os::unix::fs::symlink("d", root.join("l")).unwrap();
        let first = tree_hash(root).unwrap();
        assert_eq!(tree_hash(root).unwrap(), first);
        let mut seen = vec![first];
        fs::write(root.join("d/f"), "2").unwrap();
        seen.push(tree_hash(root).unwrap());
        fs::rename(root.join("d/f"), root.join("d/g")).unwrap();
        seen.push(tree_hash(root).unwrap());
        fs::remove_file(root.join("l")).unwrap();
        std::os::unix::fs::symlink("e", root.join("l")).unwrap();
        seen.push(tree_hash(root).unwrap());
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
