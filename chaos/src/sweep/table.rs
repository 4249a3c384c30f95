//! The table a sweep prints: seeds, failures, faults by kind, rare paths, and how to repeat what failed.

use super::{Ran, repeat};
use crate::{paths::Path, plant::Planted, tier::Tier};
use std::{collections::BTreeMap, fmt::Write as _};

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Table {
    /// Seeds run.
    pub seeds: usize,
    /// Seeds in which something did not hold.
    pub failed: Vec<u64>,
    /// Seeds with a fault inside an open grant.
    pub in_grant: usize,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<String, usize>,
    /// Seeds that took a path.
    pub paths: BTreeMap<String, usize>,
    text: String,
}

/// Counts what the runs reported.
pub fn table(runs: &[Ran], plant: Option<Planted>) -> Table {
    let mut table = Table { seeds: runs.len(), ..Table::default() };
    let (mut virtual_ms, mut failures) = (0, String::new());
    let tier = runs.iter().find_map(|ran| ran.report.as_ref().ok()).map_or(Tier::Whole, |report| report.tier);
    for ran in runs {
        match &ran.report {
            Ok(report) => {
                virtual_ms += report.virtual_ms;
                table.in_grant += usize::from(report.in_grant);
                for fault in &report.faults {
                    *table.faults.entry(fault.clone()).or_default() += 1;
                }
                for path in &report.paths {
                    *table.paths.entry(path.clone()).or_default() += 1;
                }
                if !report.is_good() {
                    table.failed.push(ran.seed);
                    let broken = report.broken.iter().map(|(_, text)| text.as_str());
                    let all: Vec<_> =
                        broken.chain(report.stuck.iter().map(|(_, text)| text.as_str())).collect();
                    add(&mut failures, format_args!("seed {}: {}", ran.seed, all.join("; ")));
                    add(&mut failures, format_args!("    {}", repeat(ran.seed, plant, tier)));
                }
            }
            Err(error) => {
                table.failed.push(ran.seed);
                add(&mut failures, format_args!("seed {}: {error}", ran.seed));
                add(&mut failures, format_args!("    {}", repeat(ran.seed, plant, tier)));
            }
        }
    }
    let mut text = String::new();
    add(&mut text, format_args!("seeds run                                       {:>6}", table.seeds));
    add(&mut text, format_args!("seeds that failed                               {:>6}", table.failed.len()));
    add(&mut text, format_args!("seeds with a fault inside an open grant         {:>6}", table.in_grant));
    add(&mut text, format_args!("virtual seconds                                 {:>6}", virtual_ms / 1000));
    add(&mut text, format_args!("\nfaults that struck"));
    for (kind, count) in &table.faults {
        add(&mut text, format_args!("  {kind:<46}{count:>6}"));
    }
    add(&mut text, format_args!("\nseeds that took a rare path"));
    for path in Path::ALL {
        let count = table.paths.get(path.as_str()).copied().unwrap_or(0);
        add(&mut text, format_args!("  {:<46}{count:>6}", path.as_str()));
    }
    if !failures.is_empty() {
        add(&mut text, format_args!("\nfailures"));
        text.push_str(&failures);
    }
    Table { text, ..table }
}

fn add(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _written = writeln!(text, "{line}");
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
