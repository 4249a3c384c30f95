//! Looks for the seed at which each planted bug is caught: first where it was caught before, then everywhere.

use super::{Ran, one};
use crate::{plant::Planted, pool::play_each, report::Report};
use std::{collections::BTreeMap, fmt::Write as _, path::Path};

/// Seeds within which each bug must be caught.
pub const SEEDS: u64 = 200;

/// Where each was caught when it was last looked for.
const KNOWN: &str = include_str!("../../plants.txt");

/// What became of one planted bug.
#[derive(Debug)]
pub struct Hunt {
    /// The bug.
    pub plant: Planted,
    /// Runs it took.
    pub runs: u64,
    /// The seed at which its invariant noticed it.
    pub seed: Option<u64>,
    /// The same seed without the bug.
    pub clean: Result<Report, String>,
}

impl Hunt {
    /// Whether its own invariant noticed, and nothing was noticed without it.
    pub fn is_good(&self) -> bool {
        self.seed.is_some() && self.clean.as_ref().is_ok_and(Report::is_good)
    }
}

/// The seeds on file, by bug.
pub fn known() -> BTreeMap<Planted, u64> {
    let lines = KNOWN.lines().filter_map(|line| line.split('#').next()?.trim().split_once(' '));
    lines.filter_map(|(plant, seed)| Some((Planted::parse(plant)?, seed.trim().parse().ok()?))).collect()
}

/// Hunts all bugs, two at a time; in the order of [`Planted::ALL`].
pub fn hunt_all(program: &Path) -> Vec<Hunt> {
    let mut done = play_each(Planted::ALL, |plant| hunt(program, plant), |_| false);
    done.sort_by_key(|hunt| hunt.plant);
    done
}

fn hunt(program: &Path, plant: Planted) -> Hunt {
    let first = known().get(&plant).copied().filter(|seed| (1..=SEEDS).contains(seed));
    let others = (1..=SEEDS).filter(|seed| Some(*seed) != first);
    let mut clean = Err("it was caught at no seed".to_owned());
    let mut runs = 0;
    for seed in first.into_iter().chain(others) {
        runs += 1;
        let ran = Ran { seed, report: one(program, seed, Some(plant), plant.tier()) };
        if ran.report.is_ok_and(|report| is_caught(&report, plant)) {
            clean = one(program, seed, None, plant.tier());
            // A seed that fails without the bug shows nothing about the bug.
            if clean.as_ref().is_ok_and(Report::is_good) {
                return Hunt { plant, runs, seed: Some(seed), clean };
            }
        }
    }
    Hunt { plant, runs, seed: None, clean }
}

/// Whether the bug's own invariant noticed, not just any.
fn is_caught(report: &Report, plant: Planted) -> bool {
    report.broken.iter().any(|(name, _)| name == plant.caught_by().as_str())
}

/// The table: planted, caught by, at which seed; and what the file should say, where it says something else.
pub fn table(hunts: &[Hunt]) -> String {
    let mut text =
        format!("{:<26}{:<24}{:<8}{:>8}{:>8}\n", "planted", "caught by", "tier", "at seed", "runs");
    let mut moved = String::new();
    for Hunt { plant, runs, seed, .. } in hunts {
        let (by, at) = match seed {
            Some(seed) => (plant.caught_by().as_str(), seed.to_string()),
            None => ("NOBODY", "-".into()),
        };
        let _infallible =
            writeln!(text, "{:<26}{by:<24}{:<8}{at:>8}{runs:>8}", plant.as_str(), plant.tier().as_str());
        if let Some(seed) = seed
            && known().get(plant) != Some(seed)
        {
            let _infallible = writeln!(moved, "{} {seed}", plant.as_str());
        }
    }
    let caught = hunts.iter().filter(|hunt| hunt.is_good()).count();
    let _infallible =
        writeln!(text, "{} planted, {caught} caught, each seed good without its bug", hunts.len());
    if !moved.is_empty() {
        let _infallible = writeln!(text, "\nfaster with these lines in chaos/plants.txt:\n{moved}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_on_file_names_a_bug_and_a_seed() {
        let lines =
            KNOWN.lines().filter(|line| !line.split('#').next().unwrap_or_default().trim().is_empty());
        assert_eq!(lines.count(), known().len(), "a line that does not read, or a bug twice");
        assert!(known().values().all(|seed| (1..=SEEDS).contains(seed)));
    }
}
