//! `lockkeeper-chaos`: runs one seed of the simulation, or many. See `docs/simulation.md`.

#![expect(clippy::print_stdout, reason = "a test tool: its data goes to stdout")]

use clap::{Parser, Subcommand};
use lockkeeper_chaos::{
    plant::{Planted, can_plant},
    run::{Ask, run},
    sweep::{Ran, Sweep, table::table},
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
        /// Prints the whole trace.
        #[arg(long)]
        trace: bool,
        /// Plants a bug (only in builds with the feature `plant`).
        #[arg(long)]
        plant: Option<String>,
    },
    /// Plays many seeds, two at a time, and prints a table.
    Sweep {
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
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
        What::Seed { seed, json, trace, plant } => one(Ask { seed, plant: planted(plant)?, keep: trace }, json),
        What::Sweep { from, seeds, plant } => sweep((from..from.saturating_add(seeds)).collect(), planted(plant)?),
    }
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

fn sweep(seeds: Vec<u64>, plant: Option<Planted>) -> anyhow::Result<ExitCode> {
    let sweep = Sweep { program: std::env::current_exe()?, seeds, plant, until: |_, _| false };
    let runs: Vec<Ran> = sweep.run();
    let table = table(&runs, plant);
    println!("{table}");
    Ok(if table.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
