//! Where a `path-per-epoch` database lives: one directory, a link `current` to the live file, and our ledger.
//!
//! Members open `DIRECTORY/current` and nothing else. The live file is `STEM.db` at first, and `STEM-G-I.db` after the
//! grant with token (G, I). Files that were live are kept as `….fenced`.

use crate::{
    backup::durable,
    database::{Answer, DatabaseCode, Refusal},
};
use lockkeeper_core::ids::Token;
use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What SQLite puts beside a database file.
pub const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The name members open.
const LINK: &str = "current";

/// The directory of one database.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where everything is.
    pub directory: PathBuf,
    /// First part of every file's name.
    pub stem: String,
}

impl Place {
    /// The link members open.
    pub fn link(&self) -> PathBuf {
        self.directory.join(LINK)
    }

    /// The ledger's own database.
    pub fn ledger(&self) -> PathBuf {
        self.directory.join("ledger.db")
    }

    /// A file of this directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Name of the file a grant is given.
    pub fn granted(&self, token: Token) -> String {
        format!("{}-{}-{}.db", self.stem, token.generation.0, token.index.0)
    }

    /// Name of the file that replaces a granted one whose holder could not be proven out.
    pub fn after(&self, token: Token) -> String {
        format!("{}-{}-{}.after.db", self.stem, token.generation.0, token.index.0)
    }

    /// Name of the file a restore puts in the place of the failed one.
    pub fn restored(&self, token: Token) -> String {
        format!("{}-{}-{}.restored.db", self.stem, token.generation.0, token.index.0)
    }

    /// Tells this directory from a copy of it: the inode stays with the original.
    pub fn inode(&self) -> Answer<u64> {
        fs::metadata(&self.directory)
            .map(|meta| meta.ino())
            .map_err(|e| unfit("look at", &self.directory, &e))
    }

    /// Name of the file the link points to; `None` when there is no link.
    pub fn linked(&self) -> Answer<Option<String>> {
        let link = self.link();
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(DatabaseCode::DoorFiles.refuse(format!(
                    "{} is not a link; members must open the database by a link",
                    link.display()
                )));
            }
            Err(error) => return Err(unfit("read the link", &link, &error)),
        };
        let name = target.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let here =
            target.parent().is_none_or(|parent| parent.as_os_str().is_empty() || parent == self.directory);
        match name {
            Some(name) if here => Ok(Some(name)),
            Some(_) | None => Err(DatabaseCode::DoorFiles.refuse(format!(
                "{} points to {}, which is not a file of this directory",
                link.display(),
                target.display()
            ))),
        }
    }

    /// Takes the link away, so that nobody finds the database.
    pub fn unlink(&self) -> Answer<()> {
        let link = self.link();
        durable::remove_file_if_there(&link)
            .and_then(|()| durable::sync_parent(&link))
            .map_err(|e| unfit("remove the link", &link, &e))
    }

    /// Points the link at a file, in one step.
    pub fn relink(&self, name: &str) -> Answer<()> {
        let (link, beside) = (self.link(), self.file(".current.new"));
        durable::remove_file_if_there(&beside)
            .and_then(|()| std::os::unix::fs::symlink(name, &beside))
            .and_then(|()| durable::rename(&beside, &link))
            .map_err(|e| unfit("set the link", &link, &e))
    }

    /// Renames a file that was live, with what SQLite put beside it, so that whoever still has it open writes where
    /// nobody reads. Repeating it does nothing.
    pub fn fence(&self, name: &str) -> Answer<String> {
        let fenced = format!("{name}.fenced");
        for suffix in [""].into_iter().chain(BESIDE) {
            let (from, to) = (self.file(&format!("{name}{suffix}")), self.file(&format!("{fenced}{suffix}")));
            match durable::rename(&from, &to) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unfit("fence", &from, &error)),
            }
        }
        Ok(fenced)
    }
}

/// A path with something appended to its name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The refusal for a file of the door that cannot be worked.
pub fn unfit(act: &str, path: &Path, error: &io::Error) -> Refusal {
    DatabaseCode::DoorFiles.refuse(format!("cannot {act} {}: {error}", path.display()))
}
