//! The two clocks an adapter may read. Knows nothing about simulated time: adapters never run in simulation.

use lockkeeper_core::time::{BootTime, Millis};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

fn millis(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Wall clock in unix milliseconds, for reports only; no decision rests on it.
pub fn wall_ms() -> u64 {
    millis(clock_gettime(ClockId::Realtime))
}

/// The boot clock, which goes on while the machine sleeps, so that a pause shows.
pub fn boot() -> BootTime {
    BootTime(millis(clock_gettime(ClockId::Boottime)))
}

/// A duration in milliseconds, saturating.
pub fn in_millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
