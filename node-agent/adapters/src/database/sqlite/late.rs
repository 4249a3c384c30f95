//! Counting what a thawed holder wrote into a fenced file: diverted, never refused, and never silent.

use super::place::{unfit, with_suffix};
use crate::database::{Answer, DatabaseCode};
use std::{fmt, fs::File, io::Read, path::Path, str::FromStr};

/// Bytes of a write-ahead log's header, and of each frame's.
const LOG_HEADER: usize = 32;
/// Bytes before each page in the log.
const FRAME_HEADER: usize = 24;

/// How far a file was written: commits in its write-ahead log, and changes of the file itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Which life of the log.
    salt: u64,
    /// Commits in the log.
    commits: u64,
    /// The file's change counter, which counts commits where there is no log.
    changes: u64,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.salt, self.commits, self.changes)
    }
}

impl FromStr for Written {
    type Err = crate::database::Refusal;

    fn from_str(text: &str) -> Answer<Self> {
        let mut parts = text.split('/').map(str::parse::<u64>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(salt)), Some(Ok(commits)), Some(Ok(changes)), None) => {
                Ok(Self { salt, commits, changes })
            }
            _unreadable => Err(DatabaseCode::Ledger.refuse(format!("the ledger holds the mark {text:?}"))),
        }
    }
}

impl Written {
    /// Reads how far a file is written.
    pub fn read(file: &Path) -> Answer<Self> {
        let mut header = [0_u8; 100];
        let got = read_up_to(file, &mut header)?;
        let changes = if got >= 28 { number(&header[24..28]) } else { 0 };
        let (salt, commits) = log(&with_suffix(file, "-wal"))?;
        Ok(Self { salt, commits, changes })
    }

    /// Commits since `earlier`. A log that began anew hides how many its former life had; those it has now count.
    pub fn since(&self, earlier: &Self) -> u64 {
        let in_log = if self.salt == earlier.salt {
            self.commits.saturating_sub(earlier.commits)
        } else {
            self.commits
        };
        // With a log the counter moves only when the log is emptied into the file, for commits counted already.
        if in_log > 0 { in_log } else { self.changes.saturating_sub(earlier.changes) }
    }
}

/// The life of a write-ahead log and the commits in it; nothing when there is no log.
fn log(path: &Path) -> Answer<(u64, u64)> {
    let Ok(mut file) = File::open(path) else { return Ok((0, 0)) };
    let mut header = [0_u8; LOG_HEADER];
    if fill(&mut file, &mut header).map_err(|e| unfit("read", path, &e))? < LOG_HEADER {
        return Ok((0, 0));
    }
    let page = usize::try_from(number(&header[8..12])).unwrap_or(0);
    let salt = &header[16..24];
    let mut frame = vec![0_u8; FRAME_HEADER + page];
    let mut commits = 0;
    while fill(&mut file, &mut frame).map_err(|e| unfit("read", path, &e))? == frame.len() {
        // Frames of an earlier life stay behind the last one of this life.
        if frame[8..16] != *salt {
            break;
        }
        if number(&frame[4..8]) != 0 {
            commits += 1;
        }
    }
    Ok((number(salt), commits))
}

fn read_up_to(path: &Path, buffer: &mut [u8]) -> Answer<usize> {
    let mut file = File::open(path).map_err(|e| unfit("open", path, &e))?;
    fill(&mut file, buffer).map_err(|e| unfit("read", path, &e))
}

fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..])? {
            0 => break,
            more => got += more,
        }
    }
    Ok(got)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn commits_are_counted_in_both_journal_modes() {
        for mode in ["wal", "delete"] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("x.db");
            let connection = Connection::open(&file).unwrap();
            connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(())).unwrap();
            connection.execute_batch("create table t (n int)").unwrap();
            let before = Written::read(&file).unwrap();
            assert_eq!(before.since(&before), 0);
            for n in 0..3 {
                connection.execute("insert into t values (?1)", [n]).unwrap();
            }
            let after = Written::read(&file).unwrap();
            assert_eq!(after.since(&before), 3, "{mode}");
            assert_eq!(after.to_string().parse::<Written>().unwrap(), after);
        }
    }
}
