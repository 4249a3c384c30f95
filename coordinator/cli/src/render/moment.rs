//! Times and ages for people. The moment "now" comes from outside, so that the same view gives the same text.

use jiff::{Timestamp, tz::TimeZone};

/// When something is shown, and in which time zone.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now: u64,
    /// Of the person who reads.
    pub zone: TimeZone,
}

impl Moment {
    /// By this machine.
    pub fn system() -> Self {
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        Self { now, zone: TimeZone::system() }
    }

    /// The same zone at another moment.
    pub fn at(&self, now: u64) -> Self {
        Self { now, zone: self.zone.clone() }
    }

    /// Date, time and offset, to the second.
    pub fn stamp(&self, ms: u64) -> String {
        self.format(ms, "%Y-%m-%dT%H:%M:%S%:z")
    }

    /// Time of day; with the date unless it is today.
    pub fn clock(&self, ms: u64) -> String {
        let today = self.format(self.now, "%Y-%m-%d") == self.format(ms, "%Y-%m-%d");
        self.format(ms, if today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" })
    }

    /// How long ago, such as `3 min ago`; a moment ahead counts as now.
    pub fn ago(&self, ms: u64) -> String {
        format!("{} ago", span(self.now.saturating_sub(ms)))
    }

    /// `22:14:09, 3 min ago`.
    pub fn since(&self, ms: u64) -> String {
        format!("{}, {}", self.clock(ms), self.ago(ms))
    }

    fn format(&self, ms: u64, format: &str) -> String {
        let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        // Only a view with a nonsensical time gets here; showing the number beats hiding the view.
        time.map_or_else(
            || format!("{ms} ms"),
            |t| t.to_zoned(self.zone.clone()).strftime(format).to_string(),
        )
    }
}

/// A duration in the two units that matter.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, ms % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..600 => format!("{} min {} s", seconds / 60, seconds % 60),
        600..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A running clock: `0:41`, `12:05`, `1:02:03`.
pub fn running(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds / 3_600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds % 3_600 / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_clocks_read_well() {
        let spans = [240, 9_990, 59_999, 61_000, 3_599_000, 3_661_000, 90_000_000].map(span);
        assert_eq!(spans, ["0.2 s", "9.9 s", "59 s", "1 min 1 s", "59 min", "1 h 1 min", "1 d 1 h"]);
        assert_eq!([41_000, 725_000, 3_723_000].map(running), ["0:41", "12:05", "1:02:03"]);
        let moment = Moment { now: 1_795_270_449_000, zone: TimeZone::UTC };
        assert_eq!(moment.stamp(moment.now), "2026-11-21T14:14:09+00:00");
        assert_eq!(moment.clock(moment.now - 180_000), "14:11:09");
        assert_eq!(moment.clock(moment.now - 86_400_000), "2026-11-20 14:14:09");
        assert_eq!(moment.ago(moment.now + 5_000), "0.0 s ago");
    }
}
