//! Copying a release into a directory of its own, and comparing it with what it shall be.
//!
//! The directory appears whole, by a rename that refuses to replace anything; what occupies it already is compared, never
//! touched. The copy is made under a temporary name beside it and synced before.

use super::{failed, tree::tree_hash};
use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use lockkeeper_core::plan::action::StageRelease;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Begins the name of every temporary copy.
const TEMPORARY: &str = ".lockkeeper-staging.";

/// One copy at a time in this process: a dropped step's copy may still be running, and the next sweeps its rest.
static COPYING: Mutex<()> = Mutex::new(());

/// What is in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staged {
    /// Nothing, or an empty directory.
    Absent,
    /// The release as it shall be, with its tree hash.
    Same(String),
    /// Something else.
    Different {
        /// The hash it shall have.
        expected: String,
        /// The hash it has.
        found: String,
    },
}

/// The hash the release shall have: the plan's, else its source's, else nobody knows beforehand.
fn expected(step: &StageRelease) -> Result<Option<String>, Failure> {
    match (step.tree.as_str(), step.source.as_str()) {
        ("", "") => Ok(None),
        ("", source) => tree_hash(Path::new(source)).map(Some),
        (tree, _) => Ok(Some(tree.to_owned())),
    }
}

/// Looks and hashes; reads every byte of both trees. Blocking.
pub fn look(step: &StageRelease) -> Result<Staged, Failure> {
    let directory = Path::new(&step.directory);
    if is_absent(directory)? {
        return Ok(Staged::Absent);
    }
    let found = tree_hash(directory)?;
    Ok(match expected(step)? {
        Some(expected) if expected != found => Staged::Different { expected, found },
        Some(_) | None => Staged::Same(found),
    })
}

fn is_absent(directory: &Path) -> Result<bool, Failure> {
    match fs::symlink_metadata(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(failed("looking at", directory)(e)),
        Ok(meta) if !meta.is_dir() => Err(HostCode::ReleaseOccupied
            .failure(format!("{} is there and is not a directory", directory.display()))),
        Ok(_) => {
            let mut entries = fs::read_dir(directory).map_err(failed("reading", directory))?;
            Ok(entries.next().is_none())
        }
    }
}

/// Copies the release. Blocking. If it is there already it is only compared.
pub fn stage(step: &StageRelease) -> Result<(), Failure> {
    let _one_at_a_time = COPYING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let directory = Path::new(&step.directory);
    match look(step)? {
        Staged::Same(_) => return Ok(()),
        Staged::Different { expected, found } => {
            return Err(HostCode::ReleaseOccupied.failure(format!(
                "{} holds another tree (hash {found}, expected {expected}); it is not touched",
                directory.display()
            )));
        }
        Staged::Absent if step.source.is_empty() => {
            return Err(HostCode::ReleaseDiffers.failure(format!(
                "{} is not there, and the plan names nothing to copy from",
                directory.display()
            )));
        }
        Staged::Absent => {}
    }
    let parent = directory.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(failed("making", parent))?;
    let name = directory.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    sweep(parent, &name);
    let temporary = parent.join(format!("{TEMPORARY}{name}.{}", std::process::id()));
    copy_tree(Path::new(&step.source), &temporary)?;
    let found = tree_hash(&temporary)?;
    if let Some(expected) = expected(step)?.filter(|e| *e != found) {
        let _rest = fs::remove_dir_all(&temporary);
        return Err(HostCode::ReleaseDiffers.failure(format!(
            "the copy of {} has hash {found}, expected {expected}; nothing was staged",
            step.source
        )));
    }
    if directory.exists() {
        // Empty, as seen above; `rmdir` refuses if that changed.
        fs::remove_dir(directory).map_err(failed("removing the empty", directory))?;
    }
    renameat_with(CWD, &temporary, CWD, directory, RenameFlags::NOREPLACE)
        .map_err(|e| failed("renaming the copy to", directory)(e.into()))?;
    sync(parent)
}

/// Removes what an earlier life of this host left half copied: its own names only, of processes that are gone.
fn sweep(parent: &Path, name: &str) {
    let prefix = format!("{TEMPORARY}{name}.");
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = file_name.strip_prefix(&prefix).and_then(|p| p.parse::<u32>().ok()) else { continue };
        if pid == std::process::id() || crate::exec::proc::process(pid).is_none() {
            let _rest = fs::remove_dir_all(entry.path());
        }
    }
}

fn copy_tree(source: &Path, target: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new().mode(0o755).create(target).map_err(failed("making", target))?;
    let mut directories: Vec<(PathBuf, u32)> = Vec::new();
    for entry in walkdir::WalkDir::new(source).sort_by_file_name() {
        let entry = entry.map_err(|e| failed("reading", source)(e.into()))?;
        let relative = entry.path().strip_prefix(source).unwrap_or(entry.path());
        let to = if relative.as_os_str().is_empty() { target.to_owned() } else { target.join(relative) };
        let kind = entry.file_type();
        let mode = entry.metadata().map_err(|e| failed("looking at", source)(e.into()))?.permissions().mode();
        if kind.is_dir() {
            if entry.depth() > 0 {
                // Writable while it is filled; its own mode comes last.
                fs::DirBuilder::new().mode(0o700).create(&to).map_err(failed("making", &to))?;
            }
            directories.push((to, mode));
        } else if kind.is_symlink() {
            let points_to = fs::read_link(entry.path()).map_err(failed("reading the link", entry.path()))?;
            symlink(&points_to, &to).map_err(failed("linking", &to))?;
        } else if kind.is_file() {
            copy_file(entry.path(), &to, mode)?;
        } else {
            return Err(HostCode::Files
                .failure(format!("{} is neither file, directory nor link", entry.path().display())));
        }
    }
    for (directory, mode) in directories.iter().rev() {
        sync(directory)?;
        fs::set_permissions(directory, PermissionsExt::from_mode(mode & 0o777))
            .map_err(failed("setting the mode of", directory))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, mode: u32) -> Result<(), Failure> {
    let mut source = File::open(from).map_err(failed("opening", from))?;
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(failed("creating", to))?;
    io::copy(&mut source, &mut target).map_err(failed("writing", to))?;
    target
        .set_permissions(PermissionsExt::from_mode(mode & 0o777))
        .map_err(failed("setting the mode of", to))?;
    target.sync_all().map_err(failed("syncing", to))
}

pub(super) fn sync(directory: &Path) -> Result<(), Failure> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(failed("syncing", directory))
}
