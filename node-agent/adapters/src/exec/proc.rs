//! What `/proc` says about processes. Knows nothing about units or services; a zombie counts as gone.

use lockkeeper_agent::host::Unit;
use std::{fs, io, path::PathBuf};

/// One process as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// State letter; `Z` and `X` are gone.
    pub state: char,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// When it began, in clock ticks since boot.
    pub started: u64,
}

/// Which process was meant, for good: a reused pid has another start time, another boot another boot id.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub started: u64,
    /// Boot id of the kernel.
    pub boot: String,
}

impl From<&Unit> for Identity {
    fn from(unit: &Unit) -> Self {
        Self { pid: unit.pid, started: unit.started, boot: unit.boot.clone() }
    }
}

/// The kernel's boot id.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Reads one process; `None` if it is not there or only its zombie is.
pub fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat).filter(|p| !matches!(p.state, 'Z' | 'X' | 'x'))
}

/// The command's name may hold blanks and parentheses, so the fields are counted from the last `)`.
fn parse_stat(stat: &str) -> Option<Process> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        state: fields.first()?.chars().next()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Every living process of the host.
pub fn all() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) {
            found.extend(process(pid));
        }
    }
    Ok(found)
}

/// The identity of a process that is there now.
pub fn identity(pid: u32) -> io::Result<Identity> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let process = parse_stat(&stat).ok_or_else(|| io::Error::other("/proc/PID/stat has an unknown form"))?;
    Ok(Identity { pid, started: process.started, boot: boot_id()? })
}

/// The argument vector of a process; empty for a kernel thread or one that is gone.
pub fn argv(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

/// The working directory of a process, if it may be read.
pub fn directory(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

fn has_mark(pid: u32, mark: &(String, String)) -> bool {
    let wanted = format!("{}={}", mark.0, mark.1);
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|env| env.split(|b| *b == 0).any(|variable| variable == wanted.as_bytes()))
}

impl Identity {
    /// Whether this very process lives.
    pub fn lives(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot)
            && process(self.pid).is_some_and(|p| p.started == self.started)
    }

    /// Every living process that belongs to the session or group this one led, or carries `mark`. An id that meanwhile
    /// belongs to another process says nothing, so then only the mark counts. Nothing survives another boot.
    pub fn family(&self, mark: &(String, String)) -> io::Result<Vec<Process>> {
        if boot_id()? != self.boot {
            return Ok(Vec::new());
        }
        let reused = process(self.pid).is_some_and(|p| p.started != self.started);
        Ok(all()?
            .into_iter()
            .filter(|p| {
                let kin = !reused
                    && (p.session == self.pid || p.group == self.pid || p.pid == self.pid)
                    && p.started >= self.started;
                kin || has_mark(p.pid, mark)
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let line = "71 (a) b (c) S 1 70 69 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 1 2 3";
        let process = parse_stat(line).unwrap();
        assert_eq!(process, Process { pid: 71, state: 'S', group: 70, session: 69, started: 12345 });
    }

    #[test]
    fn this_process_lives_and_another_start_time_does_not() {
        let me = identity(std::process::id()).unwrap();
        assert!(me.lives());
        assert!(!Identity { started: me.started + 1, ..me.clone() }.lives());
        assert!(!Identity { boot: "another".into(), ..me }.lives());
    }
}
