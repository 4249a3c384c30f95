//! The `Disk` port: one durable file, as the journal and the identity need it.
//!
//! Knows appending, syncing and replacing. Does not know what the bytes mean. Calls block: an append of a few
//! hundred bytes with its sync takes milliseconds, and nothing may go on before it is done anyway.

use rustix::fs::{Mode, OFlags};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

/// One durable file. Not shared: whoever holds it is its only writer.
pub trait Disk: Send + 'static {
    /// The whole content; `None` when the file does not exist. At most `limit` bytes: a longer file is
    /// [`io::ErrorKind::FileTooLarge`].
    fn read(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>>;

    /// Writes behind the end. Not durable before [`Disk::sync`]. An error leaves the end of the file unknown.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything appended durable. After an error nothing is known about what was appended since the last
    /// success, also when a second call succeeds.
    fn sync(&mut self) -> io::Result<()>;

    /// Puts `bytes` in place of the whole content, durably: afterwards, also after a crash in between, the file
    /// has either the old content or the new one. Creates the file.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A file of the file system. New content arrives by rename from a neighbour named `NAME.new`.
#[derive(Debug)]
pub struct FsDisk {
    path: PathBuf,
    /// Held open between appends; none before the first one and after a replace.
    file: Option<File>,
}

impl FsDisk {
    /// A disk for the file at `path`. The directory is made (mode 0700) when it is missing.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let directory = parent(&path);
        if !directory.is_dir() {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            // The new directory's own name must survive a crash too.
            sync_directory(parent(directory))?;
        }
        Ok(Self { path, file: None })
    }

    fn handle(&mut self) -> io::Result<&mut File> {
        match self.file {
            Some(ref mut file) => Ok(file),
            None => Ok(self.file.insert(OpenOptions::new().append(true).open(&self.path)?)),
        }
    }
}

impl Disk for FsDisk {
    fn read(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too long from one that just fits.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|found| found > limit) {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(Some(bytes))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.handle()?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.handle()?.sync_data()
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        // A leftover of an earlier crash was never the content: it goes.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.file = None;
        std::fs::rename(&fresh, &self.path)?;
        sync_directory(parent(&self.path))
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory: OwnedFd =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fsync(&directory)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_replaced_and_appended_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal").join("attempts");
        let mut disk = FsDisk::new(&path).unwrap();
        assert_eq!(disk.read(100).unwrap(), None);
        assert!(
            disk.append(b"x").is_err(),
            "an append never creates the file: creation is a durable replace"
        );
        disk.replace(b"one").unwrap();
        disk.append(b" two").unwrap();
        disk.sync().unwrap();
        assert_eq!(FsDisk::new(&path).unwrap().read(100).unwrap().unwrap(), b"one two");
        disk.replace(b"three").unwrap();
        disk.append(b" four").unwrap();
        disk.sync().unwrap();
        assert_eq!(disk.read(10).unwrap().unwrap(), b"three four");
        assert_eq!(disk.read(9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn directory_and_file_are_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal").join("attempts");
        FsDisk::new(&path).unwrap().replace(b"x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
