//! How much of the stack a run has.

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Everything down to TCP and the store's disk.
    #[default]
    Whole,
    /// Core, leader loop and agent over a log that is there for everybody; see [`crate::light`].
    Light,
}

impl Tier {
    /// How far everything moves on at a time, ms. Messages take at least as long.
    pub const fn tick_ms(self) -> u64 {
        match self {
            Tier::Whole => 1,
            Tier::Light => 10,
        }
    }

    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Whole => "whole",
            Tier::Light => "light",
        }
    }
}
