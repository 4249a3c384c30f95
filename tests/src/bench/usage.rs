//! What a process uses, by the kernel's word.

use anyhow::{Context, Result};
use rustix::process::Pid;
use std::{fs, time::Instant};

/// Processor time of a process so far, at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    pid: Pid,
    at: Instant,
    ticks: u64,
}

/// Kernel ticks a second, as seen in `/proc` (`USER_HZ`, the same on every Linux).
const TICKS_A_SECOND: f64 = 100.0;

impl Meter {
    /// Starts measuring.
    pub fn start(pid: Pid) -> Result<Self> {
        Ok(Self { pid, at: Instant::now(), ticks: ticks(pid)? })
    }

    /// Share of one core since the start, in percent.
    pub fn percent(&self) -> Result<f64> {
        let used = ticks(self.pid)?.saturating_sub(self.ticks);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand ticks")]
        let seconds = used as f64 / TICKS_A_SECOND;
        Ok(100.0 * seconds / self.at.elapsed().as_secs_f64())
    }
}

/// User and system time, in ticks.
fn ticks(pid: Pid) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    // The name, in parentheses, may hold anything; what follows it is numbers, the state first.
    let (_, rest) = stat.rsplit_once(')').context("a name in parentheses")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a field")?.parse()?) };
    Ok(field(11)? + field(12)?)
}

/// Resident memory, in MB (10^6 bytes): all of it, and the part that no file backs.
pub fn resident_mb(pid: Pid) -> Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
    let line = |key: &str| -> Result<f64> {
        let line = status.lines().find_map(|l| l.strip_prefix(key)).with_context(|| format!("no {key}"))?;
        let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024.0 / 1e6)
    };
    Ok((line("VmRSS:")?, line("RssAnon:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let me = rustix::process::getpid();
        let meter = Meter::start(me).unwrap();
        let begun = Instant::now();
        // Work, so that there is something to see.
        while begun.elapsed().as_millis() < 200 {
            std::hint::black_box(fs::read_to_string("/proc/self/status").unwrap());
        }
        assert!(meter.percent().unwrap() > 5.0);
        let (all, anonymous) = resident_mb(me).unwrap();
        assert!(all > anonymous && anonymous > 0.0);
    }
}
