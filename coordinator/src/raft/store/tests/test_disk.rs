//! A disk in memory that can lose, tear and refuse what was not yet synced.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
struct State {
    synced: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Pending>,
    syncs: u64,
    /// Syncs fail from this one on.
    fail_from: Option<u64>,
}

fn apply(bytes: &mut Vec<u8>, change: &Pending) {
    match change {
        Pending::Write(offset, data) => {
            if bytes.len() < offset + data.len() {
                bytes.resize(offset + data.len(), 0);
            }
            bytes[*offset..offset + data.len()].copy_from_slice(data);
        }
        Pending::Length(length) => bytes.resize(*length, 0),
    }
}

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct TestDisk(Arc<Mutex<State>>);

impl TestDisk {
    /// Power loss: of what was not synced, any part may have reached the disk, cut at sector borders.
    pub fn crash(&self, seed: u64) {
        const SECTOR: usize = 512;
        let mut random = StdRng::seed_from_u64(seed);
        let mut state = self.0.lock().unwrap();
        let mut survived = state.synced.clone();
        for change in std::mem::take(&mut state.pending) {
            match change {
                Pending::Length(length) => {
                    if random.random_bool(0.5) {
                        let length = length.max(survived.len());
                        apply(&mut survived, &Pending::Length(length));
                    }
                }
                Pending::Write(offset, data) => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        if random.random_bool(0.5) {
                            apply(&mut survived, &Pending::Write(offset + number * SECTOR, sector.to_vec()));
                        }
                    }
                }
            }
        }
        state.synced = survived.clone();
        state.now = survived;
        state.fail_from = None;
    }

    pub fn syncs(&self) -> u64 {
        self.0.lock().unwrap().syncs
    }

    pub fn fail_syncs(&self) {
        let mut state = self.0.lock().unwrap();
        state.fail_from = Some(state.syncs);
    }

    pub fn mend(&self) {
        self.0.lock().unwrap().fail_from = None;
    }
}

impl redb::StorageBackend for TestDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let bytes = state.now.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let change = Pending::Length(usize::try_from(len).unwrap());
        apply(&mut state.now, &change);
        state.pending.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.fail_from.is_some_and(|from| state.syncs >= from) {
            return Err(io::Error::other("input/output error"));
        }
        state.syncs += 1;
        state.synced = state.now.clone();
        state.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let change = Pending::Write(usize::try_from(offset).unwrap(), data.to_vec());
        apply(&mut state.now, &change);
        state.pending.push(change);
        Ok(())
    }
}
