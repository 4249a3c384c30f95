//! Time: one world clock in virtual milliseconds, and the clocks that machines derive from it.
//!
//! A machine's boot clock goes on while the machine is frozen, which is the point of a boot clock. Its wall clock is
//! skewed and may jump.

use async_trait::async_trait;
use lockkeeper_core::time::{BootTime, Millis};
use lockkeeper_proto::port::Clock;
use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

/// The wall clock at the beginning of every simulation, unix ms.
pub const EPOCH_MS: u64 = 1_795_212_000_000;

/// What a boot clock shows when its machine is switched on: firmware and kernel took some seconds.
const FIRMWARE_MS: u64 = 7_000;

/// The world's time: virtual milliseconds since the simulation began. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct Now(Arc<AtomicU64>);

impl Now {
    /// The present moment.
    pub fn ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Moves on; the driver's business alone.
    pub fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

/// How one machine's clocks differ from the world's.
#[derive(Debug, Default)]
pub struct MachineTime {
    switched_on: AtomicU64,
    /// Wall clock minus the world's, ms.
    skew: AtomicI64,
    /// The boot clock gains this many microseconds a second, since then.
    drift: AtomicI64,
    drifts_since: AtomicU64,
}

impl MachineTime {
    /// The machine is switched on at `now`: its boot clock begins anew.
    pub fn switch_on(&self, now: u64) {
        self.switched_on.store(now, Ordering::Relaxed);
    }

    /// Sets the wall clock's difference.
    pub fn set_skew(&self, ms: i64) {
        self.skew.store(ms, Ordering::Relaxed);
    }

    /// The boot clock gains so many microseconds a second from `now` on. Once in the life of a machine: a second
    /// change would make it jump.
    pub fn set_drift(&self, micros_per_second: i64, now: u64) {
        if self.drift.load(Ordering::Relaxed) == 0 {
            self.drift.store(micros_per_second, Ordering::Relaxed);
            self.drifts_since.store(now, Ordering::Relaxed);
        }
    }
}

/// The `Clock` port of one machine.
#[derive(Debug, Clone)]
pub struct SimClock {
    now: Now,
    machine: Arc<MachineTime>,
}

impl SimClock {
    /// The clock of a machine in the world whose time is `now`.
    pub fn new(now: Now, machine: Arc<MachineTime>) -> Self {
        Self { now, machine }
    }
}

#[async_trait]
impl Clock for SimClock {
    fn boot(&self) -> BootTime {
        let since = self.now.ms().saturating_sub(self.machine.switched_on.load(Ordering::Relaxed));
        let drift = self.machine.drift.load(Ordering::Relaxed);
        let drifts = self.now.ms().saturating_sub(self.machine.drifts_since.load(Ordering::Relaxed));
        let gained = i64::try_from(drifts).unwrap_or(0).saturating_mul(drift) / 1_000_000;
        BootTime(FIRMWARE_MS.saturating_add(since).saturating_add_signed(gained))
    }

    fn wall_ms(&self) -> u64 {
        let skew = self.machine.skew.load(Ordering::Relaxed);
        EPOCH_MS.saturating_add(self.now.ms()).saturating_add_signed(skew)
    }

    async fn sleep(&self, duration: Millis) {
        tokio::time::sleep(duration.into()).await;
    }
}
