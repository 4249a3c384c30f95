//! `lockkeeper-chaos`: runs one seed of the simulation, or many. See `docs/simulation.md`.

#![expect(clippy::print_stdout, reason = "a test tool: its data goes to stdout")]

use clap::{Parser, Subcommand};
use lockkeeper_chaos::{
    kills::kill_everywhere,
    model::{Search, search},
    plant::{Planted, can_plant},
    run::{Ask, run},
    sweep::{self, Ran, Sweep, plants, table::table},
    tier::Tier,
};
use std::process::ExitCode;

/// Deterministic simulation of Lockkeeper's shipped wiring.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Plays one seed in this process.
    Seed {
        /// The seed.
        seed: u64,
        /// Prints the report as one line of JSON.
        #[arg(long)]
        json: bool,
        /// Without Raft and network.
        #[arg(long)]
        light: bool,
        /// Prints the whole trace.
        #[arg(long)]
        trace: bool,
        /// Plants a bug (only in builds with the feature `plant`).
        #[arg(long)]
        plant: Option<String>,
    },
    /// Kills at every log entry and on both sides of every effect of one rollout.
    Kills {
        /// The rollout's seed: even ones have a tool that goes on with a half-done schema.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Every so many places.
        #[arg(long, default_value_t = 1)]
        stride: u64,
    },
    /// Searches the states of a rollout that the shipped decisions can come to.
    Search {
        /// States from each starting point.
        #[arg(long, default_value_t = 2_500)]
        each: usize,
        /// Plants a bug (only in builds with the feature `plant`).
        #[arg(long)]
        plant: Option<String>,
    },
    /// Hunts every planted bug and prints the table (only in builds with the feature `plant`).
    Plants,
    /// Plays many seeds, two at a time, and prints a table.
    Sweep {
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Without Raft and network.
        #[arg(long)]
        light: bool,
        /// How many.
        #[arg(long, default_value_t = 300)]
        seeds: u64,
        /// Plants a bug in all of them.
        #[arg(long)]
        plant: Option<String>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    match Arguments::parse().what {
        What::Seed { seed, json, light, trace, plant } => {
            one(Ask { seed, plant: planted(plant)?, keep: trace, tier: tier(light), ..Ask::default() }, json)
        }
        What::Kills { seed, stride } => {
            let figures = kill_everywhere(seed, stride);
            println!("{figures}");
            Ok(if figures.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        What::Search { each, plant } => {
            let found = search(Search { each, plant: planted(plant)? });
            println!("{found}");
            let good = found.counterexample.is_none() && found.fault.is_none();
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        What::Plants => hunt(),
        What::Sweep { from, light, seeds, plant } => {
            sweep((from..from.saturating_add(seeds)).collect(), planted(plant)?, tier(light))
        }
    }
}

const fn tier(light: bool) -> Tier {
    if light { Tier::Light } else { Tier::Whole }
}

fn planted(word: Option<String>) -> anyhow::Result<Option<Planted>> {
    let Some(word) = word else { return Ok(None) };
    let words: Vec<_> = Planted::ALL.iter().map(|planted| planted.as_str()).collect();
    let planted = Planted::parse(&word);
    anyhow::ensure!(planted.is_some(), "no bug is called {word}; there are {}", words.join(", "));
    anyhow::ensure!(can_plant(), "this build cannot plant; add --features plant");
    Ok(planted)
}

fn one(ask: Ask, json: bool) -> anyhow::Result<ExitCode> {
    let (report, lines) = run(ask);
    for line in lines {
        println!("{line}");
    }
    if json {
        println!("{}", report.to_json());
    } else {
        println!("{report:#?}");
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn sweep(seeds: Vec<u64>, plant: Option<Planted>, tier: Tier) -> anyhow::Result<ExitCode> {
    let runs: Vec<Ran> = match tier {
        Tier::Whole => Sweep { program: std::env::current_exe()?, seeds, plant, until: |_, _| false }.run(),
        Tier::Light => sweep::light(seeds, plant),
    };
    let table = table(&runs, plant);
    println!("{table}");
    Ok(if table.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn hunt() -> anyhow::Result<ExitCode> {
    anyhow::ensure!(can_plant(), "this build cannot plant; add --features plant");
    let hunts = plants::hunt_all(&std::env::current_exe()?);
    println!("{}", plants::table(&hunts));
    Ok(if hunts.iter().all(plants::Hunt::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
