//! Real agents killed at places of a rollout that a printed seed draws. All places: `cargo run --release -p
//! lockkeeper-tests --bin kills -- FILE`.

use anyhow::{Result, ensure};
use lockkeeper_tests::kills::{at_each, place::sample, places};
use std::time::{SystemTime, UNIX_EPOCH};

/// Places drawn each time.
const SAMPLED: usize = 40;

#[test]
fn whoever_is_killed_wherever_everything_is_given_back() -> Result<()> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let all = places()?;
    let drawn = sample(all.clone(), SAMPLED, seed);
    println!("{} of {} places, seed {seed}", drawn.len(), all.len());
    ensure!(drawn.len() == SAMPLED, "too few places: {all:?}");
    let (mut runs, mut differ, mut helped) = (0, 0, 0);
    at_each(drawn, |(place, ended)| {
        runs += 1;
        match ended {
            Ok(ended) => helped += usize::from(!ended.helped.is_empty()),
            Err(error) => {
                differ += 1;
                println!("{place}: {error:#}");
            }
        }
        Ok(())
    })?;
    println!("runs {runs}, differences {differ}, runs in which people had to help {helped}");
    ensure!(runs == SAMPLED && differ == 0, "{differ} of {runs} differ, seed {seed}");
    Ok(())
}
