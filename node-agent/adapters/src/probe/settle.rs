//! A proof that holds: all probes pass, tried each interval, without a break, for as long as was asked.
//!
//! A break starts the time anew, and so does a gap in which nobody looked. Knows nothing about deadlines: the caller
//! looks again until its own has passed.

use super::{Sight, Surroundings, look};
use crate::clock;
use lockkeeper_agent::host::Failure;
use lockkeeper_core::{
    plan::action::Probe,
    time::{BootTime, Millis},
};
use std::time::Duration;

/// How long one call looks before it tells how far it is, so that people see what is missing.
const SLICE: Millis = Millis::from_secs(1);

/// Rounds are never closer than this, whatever the plan says: probes cost the application something.
const INTERVAL_MIN: Millis = Millis(10);

/// A gap between two rounds beyond the interval that still counts as looking without a break: scheduling, and the
/// caller's pause between two calls.
const GAP_MAX: Millis = Millis(1000);

/// How long all probes must hold, and how often they are tried.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Without a break.
    pub settle: Millis,
    /// Between two rounds.
    pub interval: Millis,
}

/// How far a proof is; kept between calls for one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// All probes passed from here on.
    good_since: Option<BootTime>,
    /// End of the last round.
    last: Option<BootTime>,
    /// Rounds in a row that passed.
    rounds: u64,
    /// Breaks of a run that had begun.
    breaks: u64,
}

/// What a call found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Held for the whole time; what the last round saw, one line a probe.
    Settled(String),
    /// Not yet, and why.
    NotYet(String),
    /// A probe can never pass.
    Invalid(Failure),
}

/// Looks for up to a second, or until it is settled. No probes prove nothing: the plan is wrong then, and it never passes.
pub async fn pursue(
    probes: &[Probe],
    pace: Pace,
    around: &Surroundings<'_>,
    progress: &mut Progress,
) -> Finding {
    let begin = clock::boot();
    let interval = pace.interval.max(INTERVAL_MIN);
    loop {
        if let Some(last) = progress.last {
            let idle = clock::boot().since(last);
            tokio::time::sleep(Duration::from_millis(interval.0.saturating_sub(idle.0))).await;
        }
        let round = clock::boot();
        if progress.last.is_some_and(|last| round.since(last).0 > interval.0 + GAP_MAX.0) {
            progress.broke();
        }
        let seen = match round_of(probes, around).await {
            Ok(seen) => seen,
            Err(Stop::Invalid(failure)) => return Finding::Invalid(failure),
            Err(Stop::Missed(why)) => {
                progress.broke();
                progress.last = Some(clock::boot());
                if clock::boot().since(begin) >= SLICE {
                    return Finding::NotYet(progress.with_breaks(why));
                }
                continue;
            }
        };
        let now = clock::boot();
        progress.last = Some(now);
        progress.rounds += 1;
        // Counted from the round's begin, when the first probe was already asked.
        let since = *progress.good_since.get_or_insert(round);
        // The clock counts whole milliseconds, so "more than" is what makes it at least that long.
        if pace.settle == Millis(0) || now.since(since) > pace.settle {
            let head = format!("held for {} in {} rounds", now.since(since), progress.rounds);
            return Finding::Settled(progress.with_breaks(format!("{head}\n{seen}")));
        }
        if now.since(begin) >= SLICE {
            return Finding::NotYet(progress.with_breaks(format!(
                "good for {} of {}",
                now.since(since),
                pace.settle
            )));
        }
    }
}

enum Stop {
    Missed(String),
    Invalid(Failure),
}

async fn round_of(probes: &[Probe], around: &Surroundings<'_>) -> Result<String, Stop> {
    if probes.is_empty() {
        return Err(Stop::Missed("the plan names no probe, so nothing can be proven".into()));
    }
    let mut seen = Vec::new();
    for probe in probes {
        match look(probe, around).await {
            Sight::Passed(what) => seen.push(what),
            Sight::Missed(why) => return Err(Stop::Missed(why)),
            Sight::Invalid(failure) => return Err(Stop::Invalid(failure)),
        }
    }
    Ok(seen.join("\n"))
}

impl Progress {
    fn broke(&mut self) {
        if self.good_since.take().is_some() {
            self.breaks += 1;
        }
        self.rounds = 0;
    }

    fn with_breaks(&self, text: String) -> String {
        if self.breaks == 0 { text } else { format!("{text} (broken {} times before)", self.breaks) }
    }
}
