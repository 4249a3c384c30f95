//! Where in a rollout an agent is killed.

use anyhow::{Context, Result, bail};
use std::{fmt, str::FromStr};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// Who leads the group.
    Leader,
    /// A member that does not lead.
    Worker,
}

/// One place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// As soon as the victim itself shows the rollout's so many-th entry of the log as applied, or its end before that.
    Entry {
        /// Counted from the entry that starts the rollout, which is 1.
        entry: u64,
        /// Who is killed.
        victim: Victim,
    },
    /// By the so many-th act of a service or the migration: whoever runs it is killed by it.
    Effect {
        /// Counted from 1.
        effect: u64,
        /// Just after it, else just before it.
        done: bool,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Entry { entry, victim: Victim::Leader } => write!(f, "leader@entry-{entry}"),
            Place::Entry { entry, victim: Victim::Worker } => write!(f, "worker@entry-{entry}"),
            Place::Effect { effect, done: false } => write!(f, "before@effect-{effect}"),
            Place::Effect { effect, done: true } => write!(f, "after@effect-{effect}"),
        }
    }
}

impl FromStr for Place {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str, kind: &str| -> Result<u64> {
            text.strip_prefix(kind).context("not that kind")?.parse().context("a number")
        };
        match text.split_once('@').with_context(|| format!("{text:?} is no place"))? {
            ("leader", at) => Ok(Place::Entry { entry: number(at, "entry-")?, victim: Victim::Leader }),
            ("worker", at) => Ok(Place::Entry { entry: number(at, "entry-")?, victim: Victim::Worker }),
            ("before", at) => Ok(Place::Effect { effect: number(at, "effect-")?, done: false }),
            ("after", at) => Ok(Place::Effect { effect: number(at, "effect-")?, done: true }),
            _ => bail!("{text:?} is no place"),
        }
    }
}

/// So many places drawn by a seed, each once; all when there are fewer.
pub fn sample(mut places: Vec<Place>, count: usize, seed: u64) -> Vec<Place> {
    let draw = |place: &Place| blake3::hash(format!("{seed} {place}").as_bytes()).to_hex();
    places.sort_by_cached_key(|place| draw(place).to_string());
    places.truncate(count);
    places.sort_unstable();
    places
}
