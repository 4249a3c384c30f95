//! Kill everywhere: one uneventful rollout tells how many entries and effects there are; then it is played again and
//! again, each time with one process killed, or one machine without power, at one of those places. Whatever was turned
//! must end as it was, and the rollout must be completed.

use crate::{
    fault::Victim,
    plot::{Plot, Side},
    pool::play_each,
    report::Report,
    run::{Ask, run},
    tier::Tier,
};
use std::fmt;

/// What came of it.
#[derive(Debug, Default)]
pub struct Figures {
    /// Entries of the log from the rollout's first to its last.
    pub entries: u64,
    /// Effects.
    pub effects: u64,
    /// Runs.
    pub runs: usize,
    /// What differs from how it was, or did not hold.
    pub differences: Vec<String>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, effects, runs, differences } = self;
        writeln!(
            f,
            "log entries {entries}, effects {effects}: killed and without power at each entry (leader, worker)"
        )?;
        writeln!(f, "and on both sides of each effect: runs {runs}, differences {}", differences.len())?;
        differences.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

fn play(seed: u64, plot: Plot) -> Result<Report, String> {
    let ask = Ask { seed, plot, tier: Tier::Light, ..Ask::default() };
    std::thread::spawn(move || run(ask).0).join().map_err(|_| "the simulation itself panicked".to_owned())
}

fn wrong(plot: Plot, report: Result<Report, String>) -> Option<String> {
    match report {
        Err(error) => Some(format!("{plot:?}: {error}")),
        Ok(report) if report.is_good() && report.differences.is_empty() && report.is_completed() => None,
        Ok(report) => Some(format!(
            "{plot:?}: {:?}, differs {:?}, broken {:?}, stuck {:?}",
            report.outcome, report.differences, report.broken, report.stuck
        )),
    }
}

/// Plays the rollout of `seed` at every `stride`-th place.
pub fn kill_everywhere(seed: u64, stride: u64) -> Figures {
    let quiet = play(seed, Plot::Quiet);
    let mut figures = Figures { runs: 1, ..Figures::default() };
    let (first, last) = match &quiet {
        Ok(report) => {
            (figures.entries, figures.effects) = (report.last_entry - report.first_entry, report.effects);
            (report.first_entry, report.last_entry)
        }
        Err(_) => (0, 0),
    };
    if let Some(wrong) = wrong(Plot::Quiet, quiet) {
        figures.differences.push(wrong);
        return figures;
    }
    let step = usize::try_from(stride.max(1)).unwrap_or(1);
    let at_entry = (first..=last).step_by(step).flat_map(|index| {
        [
            Plot::KillAtIndex(index, Victim::Leader),
            Plot::KillAtIndex(index, Victim::Worker),
            Plot::PowerAtIndex(index, Victim::Leader),
            Plot::PowerAtIndex(index, Victim::Worker),
        ]
    });
    let at_effect = (1..=figures.effects).step_by(step).flat_map(|number| {
        [Side::Before, Side::After]
            .into_iter()
            .flat_map(move |side| [Plot::KillAtEffect(number, side), Plot::PowerAtEffect(number, side)])
    });
    let plots: Vec<Plot> = at_entry.chain(at_effect).collect();
    figures.runs += plots.len();
    let found = play_each(plots, |plot| wrong(plot, play(seed, plot)), |_| false);
    figures.differences.extend(found.into_iter().flatten());
    figures
}
