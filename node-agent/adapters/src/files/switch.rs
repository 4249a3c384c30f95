//! The link that names the release in use, replaced in one rename; whatever it named before is kept.

use super::{failed, stage::sync};
use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Where the link points, as it is written; `None` if there is none. Something else in its place is a failure.
pub fn target(link: &Path) -> Result<Option<String>, Failure> {
    match fs::symlink_metadata(link) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("looking at", link)(e)),
        Ok(meta) if !meta.file_type().is_symlink() => Err(HostCode::ReleaseOccupied.failure(format!(
            "{} is not a link, so it cannot be switched; make it one first",
            link.display()
        ))),
        Ok(_) => {
            let target = fs::read_link(link).map_err(failed("reading the link", link))?;
            target.into_os_string().into_string().map(Some).map_err(|odd| {
                HostCode::Files.failure(format!("{} points to {odd:?}, which is not UTF-8", link.display()))
            })
        }
    }
}

/// Whether the link leads to this directory, however either is written.
pub fn names(link: &Path, directory: &Path) -> Result<bool, Failure> {
    let Some(target) = target(link)? else { return Ok(false) };
    let absolute = link.parent().unwrap_or(Path::new("/")).join(&target);
    Ok(absolute == directory
        || matches!((fs::canonicalize(&absolute), fs::canonicalize(directory)), (Ok(a), Ok(b)) if a == b))
}

/// Points the link at `directory`, which must be there.
pub fn switch(link: &Path, directory: &str) -> Result<(), Failure> {
    let parent = link.parent().unwrap_or(Path::new("/"));
    let absolute = parent.join(directory);
    if !absolute.is_dir() {
        return Err(HostCode::ReleaseDiffers.failure(format!("{} is not a directory", absolute.display())));
    }
    let _not_a_link = target(link)?;
    let temporary = beside(link);
    let _rest_of_an_earlier_life = fs::remove_file(&temporary);
    symlink(directory, &temporary).map_err(failed("linking", &temporary))?;
    fs::rename(&temporary, link).map_err(failed("renaming to", link))?;
    sync(parent)
}

/// Removes the link, for giving back that there was none.
pub fn unlink(link: &Path) -> Result<(), Failure> {
    if target(link)?.is_some() {
        fs::remove_file(link).map_err(failed("removing", link))?;
    }
    sync(link.parent().unwrap_or(Path::new("/")))
}

fn beside(link: &Path) -> PathBuf {
    let name = link.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    link.with_file_name(format!(".{name}.lockkeeper-switch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_replaced_and_what_it_named_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("current");
        for release in ["1.0", "2.0"] {
            fs::create_dir(root.path().join(release)).unwrap();
        }
        assert_eq!(target(&link).unwrap(), None);
        switch(&link, "1.0").unwrap();
        assert_eq!(target(&link).unwrap().as_deref(), Some("1.0"));
        let new = root.path().join("2.0");
        assert!(!names(&link, &new).unwrap());
        switch(&link, new.to_str().unwrap()).unwrap();
        switch(&link, new.to_str().unwrap()).unwrap();
        assert!(names(&link, &new).unwrap() && root.path().join("1.0").is_dir());
        assert_eq!(switch(&link, "3.0").unwrap_err().code, "LK5303");
        unlink(&link).unwrap();
        assert_eq!(target(&link).unwrap(), None);
    }

    #[test]
    fn a_directory_in_the_links_place_is_not_touched() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("current");
        fs::create_dir(&link).unwrap();
        assert_eq!(switch(&link, ".").unwrap_err().code, "LK5302");
        assert_eq!(unlink(&link).unwrap_err().code, "LK5302");
        assert!(link.is_dir());
    }
}
