//! The clocks the demo's parts stamp their logs with. Nothing here decides anything by them.

use rustix::time::{ClockId, clock_gettime};

/// Wall clock, milliseconds since 1970. All parts run on one machine, so their stamps can be compared.
pub fn unix_ms() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    seconds(now.tv_sec).saturating_mul(1_000).saturating_add(seconds(now.tv_nsec) / 1_000_000)
}

/// Monotonic clock, microseconds since boot; the same clock in every process, unmoved by a change of wall time.
pub fn mono_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    seconds(now.tv_sec).saturating_mul(1_000_000).saturating_add(seconds(now.tv_nsec) / 1_000)
}

fn seconds(part: i64) -> u64 {
    u64::try_from(part).unwrap_or(0)
}
