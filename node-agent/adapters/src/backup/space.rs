//! Room on the disk of the backup directory.

use crate::database::{Answer, DatabaseCode};
use std::path::Path;

/// Refuses when the file system of `directory`, or of its nearest ancestor that exists, has less than `bytes` free.
pub fn enough(directory: &Path, bytes: u64) -> Answer<()> {
    let there = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(there).map_err(|error| {
        DatabaseCode::BackupPlace.refuse(format!("cannot look at {}: {error}", there.display()))
    })?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < bytes {
        return Err(DatabaseCode::BackupPlace
            .refuse(format!("{} has {free} bytes free, the database has {bytes}", there.display())));
    }
    Ok(())
}
