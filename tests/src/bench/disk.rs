//! What the disk costs: everything that is persisted waits for it, so all other figures are read beside this one.

use super::Samples;
use anyhow::Result;
use std::{fs::File, io::Write as _, path::Path, time::Instant};

/// What is written before each sync: one page of the store.
const BYTES: usize = 4096;

/// `times` writes of 4 KiB to a file below `directory`, each with its fdatasync.
pub fn syncs(directory: &Path, times: usize) -> Result<Samples> {
    let mut file = File::create_new(directory.join("fsync"))?;
    let mut samples = Samples::default();
    for _ in 0..times {
        file.write_all(&[7; BYTES])?;
        let begun = Instant::now();
        file.sync_data()?;
        samples.push(begun.elapsed());
    }
    Ok(samples)
}
