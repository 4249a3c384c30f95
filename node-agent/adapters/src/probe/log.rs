//! Scanning what a log gained since a mark: whole, also when it was rotated or truncated meanwhile.
//!
//! The mark is the file (device and inode) and its length. If the name leads to another file now, the marked one is looked
//! for beside it and read to its end first. Lines that cannot be found any more cannot be proven harmless, so then the
//! probe does not pass.

use super::Sight;
use crate::code::HostCode;
use lockkeeper_core::ids::Digest;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The most that is read of one log since its mark, in bytes. More than that in one start is itself a finding.
const SCAN_MAX: u64 = 64 * 1024 * 1024;

/// Where a log stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The file was not there.
    Absent,
    /// This file, this long.
    At {
        /// Its device.
        device: u64,
        /// Its inode.
        inode: u64,
        /// Its length in bytes.
        length: u64,
        /// Digest of its last bytes before that, so that a file that was truncated and has grown again is not taken
        /// for one that only grew.
        before: Digest,
    },
}

/// How many bytes before the mark are remembered: some lines of a log with times in them.
const BEFORE: u64 = 512;

impl Mark {
    /// Marks the log as it is now.
    pub fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(meta) => {
                let length = meta.len();
                Ok(Mark::At { device: meta.dev(), inode: meta.ino(), length, before: before(path, length)? })
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Mark::Absent),
            Err(e) => Err(e),
        }
    }
}

fn before(path: &Path, length: u64) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(length.saturating_sub(BEFORE)))?;
    let mut bytes = Vec::new();
    file.take(length.min(BEFORE)).read_to_end(&mut bytes)?;
    Ok(Digest::of(&bytes))
}

/// Scans once. No mark, no proof: then it is not known what is new.
pub fn look(file: &str, mark: Option<&Mark>, must: &[String], must_not: &[String]) -> Sight {
    let compile = |texts: &[String]| -> Result<Vec<Regex>, regex::Error> {
        texts.iter().map(|t| Regex::new(t)).collect()
    };
    let (must, must_not) = match (compile(must), compile(must_not)) {
        (Ok(must), Ok(must_not)) => (must, must_not),
        (Err(error), _) | (_, Err(error)) => {
            return Sight::Invalid(HostCode::ProbeInvalid.failure(format!("log {file}: {error}")));
        }
    };
    let Some(mark) = mark else {
        return Sight::Missed(format!("{file}: it was not marked when the attempt began"));
    };
    match gained(Path::new(file), mark) {
        Err(error) => Sight::Missed(format!("{file}: {error}")),
        Ok(text) => judge(file, &text, &must, &must_not),
    }
}

fn judge(file: &str, text: &str, must: &[Regex], must_not: &[Regex]) -> Sight {
    for pattern in must_not {
        if let Some(line) = text.lines().find(|l| pattern.is_match(l)) {
            let line: String = line.chars().take(300).collect();
            return Sight::Missed(format!("{file}: nothing may match {pattern}, found {line:?}"));
        }
    }
    if let Some(pattern) = must.iter().find(|p| !text.lines().any(|l| p.is_match(l))) {
        return Sight::Missed(format!(
            "{file}: no line matches {pattern} in {} new lines",
            text.lines().count()
        ));
    }
    Sight::Passed(format!(
        "{file}: {} new lines, {} of {} wanted patterns found, none of {} forbidden",
        text.lines().count(),
        must.len(),
        must.len(),
        must_not.len()
    ))
}

/// Everything written since the mark.
fn gained(path: &Path, mark: &Mark) -> io::Result<String> {
    let mut bytes = Vec::new();
    match mark {
        Mark::Absent => read_from(path, 0, &mut bytes)?,
        Mark::At { device, inode, length, before: was } => {
            let now = fs::metadata(path)?;
            let same = now.dev() == *device && now.ino() == *inode;
            match (same, now.len() >= *length && before(path, *length)? == *was) {
                (true, true) => read_from(path, *length, &mut bytes)?,
                // Truncated: all that is there is new. What was written between mark and truncation is lost, but a log
                // is truncated when it was copied away, and the copy is not known here.
                (true, false) => read_from(path, 0, &mut bytes)?,
                (false, _) => {
                    let rotated = beside(path, *device, *inode).ok_or_else(|| {
                        io::Error::other("it was rotated, and the file it was is not beside it any more")
                    })?;
                    read_from(&rotated, *length, &mut bytes)?;
                    bytes.push(b'\n');
                    read_from(path, 0, &mut bytes)?;
                }
            }
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_from(path: &Path, from: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let read = file.take(SCAN_MAX + 1).read_to_end(into)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > SCAN_MAX {
        return Err(io::Error::other(format!("more than {SCAN_MAX} bytes are new, too many to scan")));
    }
    Ok(())
}

fn beside(path: &Path, device: u64, inode: u64) -> Option<PathBuf> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::read_dir(parent)
        .ok()?
        .flatten()
        .find(|e| e.metadata().is_ok_and(|m| m.is_file() && m.dev() == device && m.ino() == inode))
        .map(|e| e.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn scan(path: &Path, mark: &Mark) -> Sight {
        look(path.to_str().unwrap(), Some(mark), &["started in \\d+ s".into()], &["ERROR".into()])
    }

    fn passed(sight: &Sight) -> bool {
        matches!(sight, Sight::Passed(_))
    }

    #[test]
    fn only_what_is_new_counts() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("app.log");
        append(&log, "started in 1 s\nERROR of last week\n");
        let mark = Mark::of(&log).unwrap();
        assert!(!passed(&scan(&log, &mark)), "the old start proves nothing");
        append(&log, "started in 2 s\n");
        assert!(passed(&scan(&log, &mark)));
        append(&log, "ERROR now");
        assert!(!passed(&scan(&log, &mark)), "an unfinished line counts too");
    }

    #[test]
    fn a_rotated_log_is_followed_and_a_vanished_one_proves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("app.log");
        append(&log, "old\n");
        let mark = Mark::of(&log).unwrap();
        append(&log, "ERROR before the rotation\n");
        fs::rename(&log, root.path().join("app.log.1")).unwrap();
        append(&log, "started in 3 s\n");
        let Sight::Missed(why) = scan(&log, &mark) else { panic!("the error went by unseen") };
        assert!(why.contains("before the rotation"), "{why}");
        fs::remove_file(root.path().join("app.log.1")).unwrap();
        assert!(!passed(&scan(&log, &mark)));
    }

    #[test]
    fn a_truncated_log_a_new_log_and_no_log() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("app.log");
        let absent = Mark::of(&log).unwrap();
        assert!(!passed(&scan(&log, &absent)), "no log is no proof");
        append(&log, "a rather long first line\nstarted in 4 s\n");
        assert!(passed(&scan(&log, &absent)));
        let mark = Mark::of(&log).unwrap();
        fs::write(&log, "started in 5 s\n").unwrap();
        assert!(passed(&scan(&log, &mark)));
        // Truncated, and longer again than it was: nothing of the new content goes by unseen.
        fs::write(
            &log,
            "ERROR at the very beginning\nand then many lines that make it long again\nstarted in 6 s\n",
        )
        .unwrap();
        let Sight::Missed(why) = scan(&log, &mark) else { panic!("the error went by unseen") };
        assert!(why.contains("very beginning"), "{why}");
        assert!(matches!(look("x", Some(&mark), &["(".into()], &[]), Sight::Invalid(_)));
        assert!(matches!(look(log.to_str().unwrap(), None, &[], &[]), Sight::Missed(_)));
    }
}
