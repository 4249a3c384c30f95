//! Times and durations as numbers. Nobody here reads a clock.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Wall-clock time of the log: milliseconds since 1970, never falling. For display, windows and audit only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogTime(pub u64);

/// A point on one machine's boot clock, in milliseconds. Never compared between machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BootTime(pub u64);

/// A duration in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Millis(pub u64);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a duration; allowed: a whole number and ms, s, min or h, such as \"10s\"")]
pub struct DurationError {
    /// What was found.
    pub found: String,
}

impl Millis {
    /// Whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Reads `250ms`, `10s`, `5min` or `1h`.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let fail = || DurationError { found: text.to_owned() };
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
        let (number, unit) = text.split_at(at);
        let number: u64 = number.parse().map_err(|_| fail())?;
        let factor = match unit.trim_start() {
            "ms" => 1,
            "s" => 1000,
            "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(fail()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(fail)
    }
}

impl From<Millis> for std::time::Duration {
    fn from(value: Millis) -> Self {
        std::time::Duration::from_millis(value.0)
    }
}

impl BootTime {
    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: BootTime) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        let text = if ms < 1000 {
            format!("{ms} ms")
        } else if ms < 60_000 && ms % 1000 == 0 {
            format!("{} s", ms / 1000)
        } else if ms < 60_000 {
            format!("{}.{} s", ms / 1000, ms % 1000 / 100)
        } else if ms < 3_600_000 {
            format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000)
        } else {
            format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000)
        };
        f.pad(&text)
    }
}
