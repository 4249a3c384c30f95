//! The world as hosts, driver and oracles hold it.

use super::World;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones are the same world. Held for one look or one change, never while waiting.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// Shares a world.
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// The world, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        // A panic ends the whole simulation, so nobody looks at what it left.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
