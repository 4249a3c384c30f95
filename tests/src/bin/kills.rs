//! Kills a real agent at every place of a rollout, or goes on where it was stopped: a line a place in a file, which is read
//! first. `cargo run --release -p lockkeeper-tests --bin kills -- FILE`; see `docs/simulation.md`.

use anyhow::{Context, Result};
use lockkeeper_tests::kills::{at_each, place::Place, places};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    process::ExitCode,
};

fn main() -> Result<ExitCode> {
    let path = std::env::args().nth(1).context("usage: kills FILE")?;
    let mut done: BTreeMap<Place, String> = BTreeMap::new();
    for line in fs::read_to_string(&path).unwrap_or_default().lines() {
        let (place, what) = line.split_once(' ').with_context(|| format!("{path}: {line:?}"))?;
        done.insert(place.parse()?, what.to_owned());
    }
    let all = places()?;
    let left: Vec<Place> = all.iter().copied().filter(|place| !done.contains_key(place)).collect();
    println!("{} places, {} done before", all.len(), all.len() - left.len());
    let mut file = File::options().create(true).append(true).open(&path)?;
    at_each(left, |(place, ended)| {
        let what = match ended {
            Ok(ended) if ended.helped.is_empty() => "ok".to_owned(),
            Ok(ended) => format!("ok, people: {}", ended.helped.join("; ")),
            Err(error) => format!("DIFFERS: {}", format!("{error:#}").replace('\n', " ")),
        };
        println!("{place} {what}");
        writeln!(file, "{place} {what}")?;
        done.insert(place, what);
        Ok(())
    })?;
    let differ = done.values().filter(|what| !what.starts_with("ok")).count();
    let helped = done.values().filter(|what| what.contains("people")).count();
    println!("runs {}, differences {differ}, runs in which people had to help {helped}", done.len());
    Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
