//! The shipped implementation of the `Clock` port. Nothing else in the agent may ask the system for the time.

use async_trait::async_trait;
use lockkeeper_core::time::{BootTime, Millis};
pub use lockkeeper_proto::port::Clock;
use rustix::time::{ClockId, clock_gettime};

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
