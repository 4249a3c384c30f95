//! What the driver turns while processes run.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Clones are the same knobs.
#[derive(Debug, Clone, Default)]
pub struct Knobs {
    echo: Arc<AtomicU32>,
    echoed: Arc<AtomicU32>,
}

impl Knobs {
    /// How many proposals of a thousand are said again later.
    pub fn set_echo(&self, per_mille: u32) {
        self.echo.store(per_mille, Ordering::Relaxed);
    }

    /// See [`Knobs::set_echo`].
    pub fn echo(&self) -> u32 {
        self.echo.load(Ordering::Relaxed)
    }

    /// One proposal was said again.
    pub fn count_echo(&self) {
        self.echoed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were said again so far.
    pub fn echoed(&self) -> u32 {
        self.echoed.load(Ordering::Relaxed)
    }
}
