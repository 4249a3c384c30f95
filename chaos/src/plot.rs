//! What shall go wrong in a run: whatever its seed says, nothing, or one process killed at one exact place.

use crate::fault::Victim;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Plot {
    /// What the seed decides.
    #[default]
    Seed,
    /// Nothing.
    Quiet,
    /// A process is killed as soon as an entry with this index was applied anywhere.
    KillAtIndex(u64, Victim),
    /// A machine loses its power then.
    PowerAtIndex(u64, Victim),
    /// A process is killed at its n-th effect, counted over all hosts from 1.
    KillAtEffect(u64, Side),
    /// A machine loses its power there.
    PowerAtEffect(u64, Side),
}

/// On which side of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The journal says that it begins, and nothing was done.
    Before,
    /// Everything was done, and nothing says so.
    After,
}

impl Plot {
    /// The place, if it is at an effect.
    pub const fn effect(self) -> Option<(u64, Side)> {
        match self {
            Plot::KillAtEffect(number, side) | Plot::PowerAtEffect(number, side) => Some((number, side)),
            Plot::Seed | Plot::Quiet | Plot::KillAtIndex(..) | Plot::PowerAtIndex(..) => None,
        }
    }

    /// Whether the machine loses its power, and not just its process.
    pub const fn is_power(self) -> bool {
        matches!(self, Plot::PowerAtIndex(..) | Plot::PowerAtEffect(..))
    }
}
