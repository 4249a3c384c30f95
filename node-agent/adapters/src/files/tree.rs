//! One hash over a directory: relative paths in order, kinds, the executable bit, link targets, contents.
//!
//! Owners, times and other mode bits are left out: they differ between honest copies. Knows nothing about releases.

use super::failed;
use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use std::{
    fs::{self, File},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
};

/// The most entries a release may have. A large Java product has some ten thousand; a hundred times that is a mistake
/// in the path, such as `/`.
pub const ENTRIES_MAX: usize = 1_000_000;

/// Names the format; a change of what is hashed changes the name, so that old and new hashes never look equal.
const FORMAT: &[u8] = b"lockkeeper tree 1\n";

/// The hash of everything under `root`, lower-case hex. Sockets, devices and pipes are refused by name.
pub fn tree_hash(root: &Path) -> Result<String, Failure> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(FORMAT);
    for (number, entry) in
        walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name().into_iter().enumerate()
    {
        if number >= ENTRIES_MAX {
            return Err(
                HostCode::Files.failure(format!("{} has more than {ENTRIES_MAX} entries", root.display()))
            );
        }
        let entry = entry.map_err(|e| failed("reading", root)(e.into()))?;
        let path = entry.path();
        let relative = path.strip_prefix(root).unwrap_or(path);
        let kind = entry.file_type();
        if kind.is_dir() {
            add(&mut hasher, b'd', relative, &[]);
        } else if kind.is_symlink() {
            let target = fs::read_link(path).map_err(failed("reading the link", path))?;
            add(&mut hasher, b'l', relative, target.as_os_str().as_bytes());
        } else if kind.is_file() {
            let file = File::open(path).map_err(failed("opening", path))?;
            let mode = file.metadata().map_err(failed("looking at", path))?.permissions().mode();
            let mut content = blake3::Hasher::new();
            content.update_reader(file).map_err(failed("reading", path))?;
            let kind = if mode & 0o111 == 0 { b'f' } else { b'x' };
            add(&mut hasher, kind, relative, content.finalize().as_bytes());
        } else {
            return Err(
                HostCode::Files.failure(format!("{} is neither file, directory nor link", path.display()))
            );
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Lengths first, so that no two lists of entries make the same bytes.
fn add(hasher: &mut blake3::Hasher, kind: u8, path: &Path, value: &[u8]) {
    let path = path.as_os_str().as_bytes();
    hasher.update(&[kind]);
    for part in [path, value] {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
}
