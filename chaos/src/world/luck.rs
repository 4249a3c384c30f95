//! How effects go wrong on their own: decided by the seed, active while faults are.

use super::unit::Tool;
use rand::Rng;

/// What a host meets when it acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfortune {
    /// It fails before anything was done.
    FailsUndone,
    /// It says it failed and has done everything.
    FailsDone,
    /// It says it did everything and has done nothing.
    SaysDone,
}

impl Misfortune {
    /// The word in books and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Misfortune::FailsUndone => "fails-undone",
            Misfortune::FailsDone => "fails-done",
            Misfortune::SaysDone => "says-done",
        }
    }
}

/// The odds.
#[derive(Debug, Clone, Copy)]
pub struct Luck {
    /// How the vendor's tool changes the schema.
    pub tool: Tool,
    /// Misfortunes per thousand effects.
    pub per_mille: u32,
    /// Effects take up to this many times as long.
    pub slowness: u32,
    /// Any schema version is good for any release: a stand-in for a product that does not check.
    pub requests_every: u64,
}

impl Default for Luck {
    fn default() -> Self {
        Self { tool: Tool::Transactional, per_mille: 0, slowness: 1, requests_every: 40 }
    }
}

impl Luck {
    /// What happens to the next effect.
    pub fn draw(&self, random: &mut impl Rng) -> Option<Misfortune> {
        if !random.random_ratio(self.per_mille.min(1000), 1000) {
            return None;
        }
        Some(match random.random_range(0..3) {
            0 => Misfortune::FailsUndone,
            1 => Misfortune::FailsDone,
            _ => Misfortune::SaysDone,
        })
    }
}
