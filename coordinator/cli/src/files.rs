//! Reading and writing the files a person names: bounded reads, whole writes. Knows nothing of their content.

use crate::error::CliError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// The largest text file that is read: a plan for 1,000 members has some 6 MiB, and the agents take 16 MiB.
pub const TEXT_BYTES_MAX: u64 = 16 << 20;

/// What to do when the target is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse, unless it holds the very same bytes.
    Keep,
    /// Replace it.
    Replace,
}

/// A whole text file, or stdin for `-`, of at most [`TEXT_BYTES_MAX`].
pub fn read_text(path: &Path) -> Result<String, CliError> {
    read_text_upto(path, TEXT_BYTES_MAX)
}

/// A whole text file, or stdin for `-`, of at most `limit` bytes.
pub fn read_text_upto(path: &Path, limit: u64) -> Result<String, CliError> {
    let fail = |source| CliError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().lock().take(limit + 1).read_to_string(&mut text).map_err(fail)?;
    } else {
        File::open(path).map_err(fail)?.take(limit + 1).read_to_string(&mut text).map_err(fail)?;
    }
    if text.len() as u64 > limit {
        return Err(CliError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(text)
}

/// Writes a file in one step: beside it, synced, renamed. `mode` as for `chmod`.
pub fn write_text(path: &Path, text: &str, mode: u32, existing: Existing) -> Result<(), CliError> {
    let fail = |source| CliError::Write { path: path.to_owned(), source };
    if existing == Existing::Keep {
        match fs::read(path) {
            Ok(found) if found == text.as_bytes() => return Ok(()),
            Ok(_) => return Err(CliError::Exists { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
    }
    let name = path.file_name().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
    let mut aside = name.to_owned();
    aside.push(format!(".{}.new", std::process::id()));
    let aside = path.with_file_name(aside);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    })();
    if written.is_err() {
        // The half-made file is ours and of no use; the error below says what went wrong.
        let _ = fs::remove_file(&aside);
    }
    written.map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_kept_unless_it_is_the_same_or_may_be_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.plan");
        write_text(&path, "one", 0o644, Existing::Keep).unwrap();
        write_text(&path, "one", 0o644, Existing::Keep).unwrap();
        let refused = write_text(&path, "two", 0o644, Existing::Keep).unwrap_err();
        assert_eq!(refused.code(), "LK7009");
        assert_eq!(read_text(&path).unwrap(), "one");
        write_text(&path, "two", 0o644, Existing::Replace).unwrap();
        assert_eq!(read_text(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside the file");
    }

    #[test]
    fn a_missing_directory_is_an_error_with_its_path() {
        let error = write_text(Path::new("/nonexistent/a"), "x", 0o600, Existing::Replace).unwrap_err();
        assert_eq!(error.code(), "LK7008");
        assert_eq!(error.to_string(), "cannot write /nonexistent/a");
    }
}
