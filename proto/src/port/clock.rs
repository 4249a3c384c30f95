//! The `Clock` port: the only way agent and coordinator learn the time or wait.
//!
//! Knows the boot clock (for deadlines, counts suspended time too) and the wall clock (for display only). Does not
//! know what is waited for. Simulation supplies its own clock, so nothing else may ask the system.

use async_trait::async_trait;
use lockkeeper_core::time::{BootTime, Millis};

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
