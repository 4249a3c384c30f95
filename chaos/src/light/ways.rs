//! One direction between two machines.

/// What happens to messages on it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Way {
    /// The share that is lost.
    pub loss: f64,
    /// They take at least so long, ms.
    pub delay: u64,
    /// They are kept until this ends.
    pub held: bool,
    /// Nothing comes through.
    pub cut: bool,
}

/// A way so slow that a follower takes its leader for lost, ms.
const TOO_SLOW: u64 = 1_200;

impl Way {
    /// Whether heartbeats come through in time.
    pub const fn is_open(&self) -> bool {
        !self.cut && !self.held && self.delay < TOO_SLOW
    }
}
