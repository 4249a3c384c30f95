//! Sessions of a SQLite file: the processes of this host that have it open.
//!
//! Knows nothing of other hosts; a directory shared by a network file system needs another door.

use super::place::{BESIDE, unfit, with_suffix};
use crate::database::Answer;
use std::{
    collections::BTreeSet,
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// One process that has a file open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opener {
    /// Its number.
    pub pid: u32,
    /// Its command line, cut short.
    pub program: String,
    /// When it began, seconds since 1970.
    pub since: u64,
}

impl fmt::Display for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "address this host, program {:?} (pid {}), login -, since {} (unix)",
            self.program, self.pid, self.since
        )
    }
}

/// A look at all processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Other processes that have the file, or what belongs to it, open.
    pub openers: Vec<Opener>,
    /// Processes whose open files this agent may not see.
    pub hidden: usize,
}

/// Longest command line that is shown.
const PROGRAM_MAX: usize = 80;

/// Looks which other processes have `file`, or what SQLite put beside it, open. Files are compared by device and
/// inode, so that neither another path nor a renaming hides one.
pub fn look(file: &Path) -> Answer<Look> {
    let wanted: BTreeSet<(u64, u64)> = [""]
        .into_iter()
        .chain(BESIDE)
        .filter_map(|suffix| fs::metadata(with_suffix(file, suffix)).ok())
        .map(|meta| (meta.dev(), meta.ino()))
        .collect();
    let mut look = Look::default();
    let processes = Path::new("/proc");
    for entry in fs::read_dir(processes).map_err(|e| unfit("list", processes, &e))? {
        let Some(pid) = entry.ok().and_then(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) else {
            continue;
        };
        if pid == std::process::id() {
            continue;
        }
        match has_open(&processes.join(pid.to_string()).join("fd"), &wanted) {
            Ok(true) => look.openers.push(opener(pid)),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => look.hidden += 1,
            // It ended while it was looked at.
            Err(_gone) => {}
        }
    }
    Ok(look)
}

fn has_open(descriptors: &Path, wanted: &BTreeSet<(u64, u64)>) -> io::Result<bool> {
    for entry in fs::read_dir(descriptors)? {
        let path: PathBuf = entry?.path();
        // A socket or a closed descriptor cannot be followed; it is no file of ours.
        if let Ok(meta) = fs::metadata(&path)
            && wanted.contains(&(meta.dev(), meta.ino()))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn opener(pid: u32) -> Opener {
    let home = Path::new("/proc").join(pid.to_string());
    let line = fs::read(home.join("cmdline")).unwrap_or_default();
    let mut program = String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned();
    if let Some((end, _)) = program.char_indices().nth(PROGRAM_MAX) {
        program.truncate(end);
    }
    let since = fs::metadata(&home)
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |time| time.as_secs());
    Opener { pid, program, since }
}
