//! The `Clock` port: the only way the agent learns the time or waits.
//!
//! Knows the boot clock (for deadlines, counts suspended time too) and the wall clock (for display only). Does not
//! know what is waited for. Simulation supplies its own clock, so nothing else here may ask the system.

use async_trait::async_trait;
use lockkeeper_core::time::{BootTime, Millis};
use rustix::time::{ClockId, clock_gettime};

/// Time as one machine sees it.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since this machine was booted, also while it was suspended. Never falls, never compared
    /// between machines.
    fn boot(&self) -> BootTime;

    /// Milliseconds since 1970. May jump; for display and reports only.
    fn wall_ms(&self) -> u64;

    /// Returns after `duration` of running time. A suspended machine sleeps longer, so whoever decides by time
    /// reads [`Clock::boot`] afterwards.
    async fn sleep(&self, duration: Millis);
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn boot(&self) -> BootTime {
        BootTime(read(ClockId::Boottime))
    }

    fn wall_ms(&self) -> u64 {
        read(ClockId::Realtime)
    }

    async fn sleep(&self, duration: Millis) {
        tokio::time::sleep(duration.into()).await;
    }
}

fn read(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    // A wall clock before 1970 reads as 1970; the boot clock is never negative.
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_boot_clock_moves_on_over_a_sleep() {
        let clock = SystemClock;
        let before = clock.boot();
        clock.sleep(Millis(20)).await;
        assert!(clock.boot().since(before) >= Millis(19));
        assert!(clock.wall_ms() > 1_600_000_000_000, "the wall clock counts from 1970 in milliseconds");
    }
}
