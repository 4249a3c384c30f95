//! What the disk costs: everything that is persisted waits for it, so all other figures are read beside this one.

use super::Samples;
use anyhow::{Context, Result};
use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// What is written before each sync: one page of the store.
const BYTES: usize = 4096;

/// What the processors do meanwhile. On a virtual machine an idle one may sleep through the end of a write until its
/// next tick, so that the same sync takes milliseconds on an idle machine and a fraction of one on a busy one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processors {
    /// Nothing but wait.
    Idle,
    /// One spins.
    Busy,
}

/// `times` writes of 4 KiB over the beginning of a file below `directory`, each with its fdatasync.
pub fn syncs(directory: &Path, times: usize, processors: Processors) -> Result<Samples> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if processors == Processors::Busy {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let samples = measure(directory, times);
        done.store(true, Ordering::Relaxed);
        samples
    })
}

fn measure(directory: &Path, times: usize) -> Result<Samples> {
    let path = directory.join("fsync");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut samples = Samples::default();
    for _ in 0..times {
        file.write_all_at(&[7; BYTES], 0)?;
        let begun = Instant::now();
        file.sync_data()?;
        samples.push(begun.elapsed());
    }
    Ok(samples)
}
