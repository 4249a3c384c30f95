//! Room on the disk of the backup directory.

use crate::database::{Answer, DatabaseCode};
use std::path::Path;

/// Refuses when the file system of `directory`, or of its nearest ancestor that exists, has less than `bytes` free.
pub fn enough(directory: &Path, bytes: u64) -> Answer<()> {
    let (free, _) = room(directory)?;
    if free < bytes {
        return Err(DatabaseCode::BackupPlace.refuse(format!(
            "{} has {free} bytes free, the database has {bytes}",
            nearest(directory).display()
        )));
    }
    Ok(())
}

/// Free bytes and size of the file system of `directory`, or of its nearest ancestor that exists.
pub fn room(directory: &Path) -> Answer<(u64, u64)> {
    let there = nearest(directory);
    let stat = rustix::fs::statvfs(there).map_err(|error| {
        DatabaseCode::BackupPlace.refuse(format!("cannot look at {}: {error}", there.display()))
    })?;
    Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
}

fn nearest(directory: &Path) -> &Path {
    directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}
