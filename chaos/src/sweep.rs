//! Many seeds: each in a process of its own, two at a time, and a table of what they came to.
//!
//! Starting processes is this module's whole business; a simulation must be alone in its process.

pub mod plants;
pub mod table;

use crate::{
    plant::Planted,
    pool::play_each,
    report::Report,
    run::{Ask, run},
    tier::Tier,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Seconds of real time after which a run is ended: a hundred times what one takes.
const LIMIT_SECS: u64 = 120;

/// What is asked of a sweep.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The program that runs one seed: `lockkeeper-chaos`.
    pub program: PathBuf,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// A bug that is planted in all of them.
    pub plant: Option<Planted>,
    /// Stops at the first run this says yes to.
    pub until: fn(&Report, Option<Planted>) -> bool,
}

/// One seed's run.
#[derive(Debug)]
pub struct Ran {
    /// The seed.
    pub seed: u64,
    /// What it reported, or why it did not.
    pub report: Result<Report, String>,
}

impl Sweep {
    /// Runs all seeds; answers in the order of the seeds.
    pub fn run(&self) -> Vec<Ran> {
        let play = |seed| Ran { seed, report: one(&self.program, seed, self.plant, Tier::Whole) };
        let enough = |ran: &Ran| ran.report.as_ref().is_ok_and(|report| (self.until)(report, self.plant));
        let mut done = play_each(self.seeds.iter().copied(), play, enough);
        let place = |seed: u64| self.seeds.iter().position(|s| *s == seed);
        done.sort_by_key(|ran| place(ran.seed));
        done
    }
}

/// Runs all seeds in the light tier: each in a thread of its own, two at a time, in this process.
pub fn light(seeds: Vec<u64>, plant: Option<Planted>) -> Vec<Ran> {
    let order: BTreeMap<u64, usize> = seeds.iter().copied().zip(0..).collect();
    let play = |seed| {
        let ask = Ask { seed, plant, tier: Tier::Light, ..Ask::default() };
        let ran = std::thread::spawn(move || run(ask).0).join();
        Ran { seed, report: ran.map_err(|_| "the simulation itself panicked".to_owned()) }
    };
    let mut done = play_each(seeds, play, |_| false);
    done.sort_by_key(|ran| order.get(&ran.seed).copied());
    done
}

/// Runs one seed in a process of its own.
pub fn one(program: &Path, seed: u64, plant: Option<Planted>, tier: Tier) -> Result<Report, String> {
    let failed = |error: io::Error| format!("{}: {error}", program.display());
    // `timeout` ends what hangs, because a process of ours cannot be trusted to end itself.
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(LIMIT_SECS.to_string()).arg(program).args(["seed", "--json"]);
    command.arg(seed.to_string());
    if tier == Tier::Light {
        command.arg("--light");
    }
    if let Some(plant) = plant {
        command.args(["--plant", plant.as_str()]);
    }
    let out = command.stdin(Stdio::null()).output().map_err(failed)?;
    let text = String::from_utf8_lossy(&out.stdout);
    let report = text.lines().rev().find_map(Report::from_json);
    report.ok_or_else(|| {
        let tail: Vec<_> =
            String::from_utf8_lossy(&out.stderr).lines().rev().take(5).map(str::to_owned).collect();
        format!("no report, {}: {}", out.status, tail.join(" | "))
    })
}

/// The command that repeats a seed.
pub fn repeat(seed: u64, plant: Option<Planted>, tier: Tier) -> String {
    let light = if tier == Tier::Light { " --light" } else { "" };
    match plant {
        None => format!("cargo run --release -p lockkeeper-chaos -- seed {seed}{light} --trace"),
        Some(plant) => format!(
            "cargo run --release -p lockkeeper-chaos --features plant -- seed {seed}{light} --plant {} --trace",
            plant.as_str()
        ),
    }
}
