//! Real agents killed at places of a rollout that a printed seed draws. All places: `cargo run --release -p
//! lockkeeper-tests --bin kills -- FILE`.

use anyhow::{Result, ensure};
use lockkeeper_tests::kills::{at_each, place::sample, places};
use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Places drawn each time.
const SAMPLED: usize = 40;

#[test]
fn whoever_is_killed_wherever_everything_is_given_back() -> Result<()> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let all = places()?;
    let drawn = sample(all.clone(), SAMPLED, seed);
    let mut table = vec![format!("{} of {} places, seed {seed}", drawn.len(), all.len())];
    ensure!(drawn.len() == SAMPLED, "too few places: {all:?}");
    let (mut runs, mut differ, mut helped) = (0, 0, 0);
    at_each(drawn, |(place, ended)| {
        runs += 1;
        match ended {
            Ok(ended) if ended.helped.is_empty() => {}
            Ok(ended) => {
                helped += 1;
                table.push(format!("{place}: people: {}", ended.helped.join("; ")));
            }
            Err(error) => {
                differ += 1;
                table.push(format!("{place}: {error:#}"));
            }
        }
        Ok(())
    })?;
    table.push(format!("runs {runs}, differences {differ}, runs in which people had to help {helped}"));
    show(&table.join("\n"))?;
    ensure!(runs == SAMPLED && differ == 0, "{differ} of {runs} differ, seed {seed}");
    Ok(())
}

/// Prints a table and leaves it where `tests/run` shows it from.
#[expect(clippy::disallowed_methods, reason = "tests/run names the directory by the environment")]
fn show(table: &str) -> Result<()> {
    println!("{table}");
    match std::env::var_os("LOCKKEEPER_TABLES") {
        Some(directory) => Ok(std::fs::write(Path::new(&directory).join("real-kills.txt"), format!("{table}\n"))?),
        None => Ok(()),
    }
}
