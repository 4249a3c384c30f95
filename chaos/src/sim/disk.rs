//! Disks of one machine: the file under the Raft store and the file under the journal, with one power switch.
//!
//! What was written and not synced is lost or torn when the power goes. The power can be made to go in the middle of a
//! sync, which is where torn writes come from.

use crate::plant::{self, Planted};
use lockkeeper_agent::journal::Disk;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// Of a lying disk's syncs, every so many are true.
const LIES_EVERY: u64 = 24;

/// What losing power did to the disks of one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes of the store that were written and are not there.
    pub store_lost: usize,
    /// Bytes of the journal that were written and are not there.
    pub journal_lost: usize,
    /// Whether part of an unsynced write survived.
    pub torn: bool,
}

#[derive(Debug)]
struct Switch {
    random: StdRng,
    /// The power goes at the end of this many further syncs.
    fuse: Option<u32>,
    off: bool,
    /// Handles of an ended process do nothing.
    life: u64,
    syncs: u64,
    damage: Damage,
    store: Bytes,
    journal: Bytes,
}

#[derive(Debug, Default)]
struct Bytes {
    there: bool,
    synced: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Debug, Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Length(usize),
}

fn carry_out(bytes: &mut Vec<u8>, change: &Pending) {
    match change {
        Pending::Write(offset, data) => {
            let end = offset + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            if let Some(place) = bytes.get_mut(*offset..end) {
                place.copy_from_slice(data);
            }
        }
        Pending::Length(length) => bytes.resize(*length, 0),
    }
}

impl Bytes {
    fn change(&mut self, change: Pending) {
        carry_out(&mut self.now, &change);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            carry_out(&mut self.synced, &change);
        }
    }

    /// Any sector of an unsynced write may have reached the disk, or none. Answers the bytes lost and whether
    /// some survived.
    fn lose(&mut self, random: &mut StdRng, appended: bool) -> (usize, bool) {
        let mut survived = self.synced.clone();
        let (mut lost, mut kept) = (0, 0);
        for change in std::mem::take(&mut self.pending) {
            match change {
                Pending::Length(length) if random.random_bool(0.5) => {
                    carry_out(&mut survived, &Pending::Length(length));
                }
                Pending::Length(_) => {}
                // The end of an appended file: a prefix survives.
                Pending::Write(offset, data) if appended => {
                    let keep = random.random_range(0..=data.len());
                    lost += data.len() - keep;
                    kept += keep;
                    let part = data.get(..keep).unwrap_or_default().to_vec();
                    carry_out(&mut survived, &Pending::Write(offset, part));
                    if keep < data.len() {
                        break;
                    }
                }
                Pending::Write(offset, data) => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        if random.random_bool(0.5) {
                            kept += sector.len();
                            let place = offset + number * SECTOR;
                            carry_out(&mut survived, &Pending::Write(place, sector.to_vec()));
                        } else {
                            lost += sector.len();
                        }
                    }
                }
            }
        }
        self.synced.clone_from(&survived);
        self.now = survived;
        (lost, kept > 0)
    }
}

/// The power of one machine, and through it its disks. Clones are the same machine's.
#[derive(Debug, Clone)]
pub struct Power(Arc<Mutex<Switch>>);

impl Power {
    /// A machine with empty disks.
    pub fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let (store, journal) = (Bytes::default(), Bytes::default());
        let damage = Damage::default();
        Self(Arc::new(Mutex::new(Switch {
            random,
            fuse: None,
            off: false,
            life: 0,
            syncs: 0,
            damage,
            store,
            journal,
        })))
    }

    /// The power goes in the middle of the `count`-th sync from now.
    pub fn light_fuse(&self, count: u32) {
        self.switch().fuse = Some(count);
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.switch().off
    }

    /// Off, now: what was not synced is lost or torn.
    pub fn cut(&self) {
        self.switch().cut();
    }

    /// The process ends, however: its handles do nothing any more, what it wrote stays in the page cache.
    pub fn end_life(&self) {
        self.switch().life += 1;
    }

    /// On again; answers what was lost when it went.
    pub fn restore(&self) -> Damage {
        let mut switch = self.switch();
        switch.off = false;
        switch.fuse = None;
        std::mem::take(&mut switch.damage)
    }

    /// The Raft store's file for the next process, and whether it is there already.
    pub fn store(&self) -> (SimStore, bool) {
        let switch = self.switch();
        (SimStore { power: self.clone(), life: switch.life }, !switch.store.now.is_empty())
    }

    /// The journal's file for the next process.
    pub fn journal(&self) -> SimFile {
        SimFile { power: self.clone(), life: self.switch().life }
    }

    fn switch(&self) -> MutexGuard<'_, Switch> {
        // Nobody panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self, life: u64) -> io::Result<MutexGuard<'_, Switch>> {
        let switch = self.switch();
        if switch.off || switch.life != life {
            return Err(io::Error::other("the power is off"));
        }
        Ok(switch)
    }
}

impl Switch {
    fn cut(&mut self) {
        if plant::is(Planted::SyncLies) {
            // The disk had a cache of its own, and that is gone as a whole.
            self.store.pending.clear();
        }
        if plant::is(Planted::JournalRots)
            && let middle = self.journal.synced.len() / 2
            && let Some(byte) = self.journal.synced.get_mut(middle)
        {
            *byte ^= 0x55;
        }
        let (store_lost, store_kept) = self.store.lose(&mut self.random, false);
        let (journal_lost, journal_kept) = self.journal.lose(&mut self.random, true);
        self.damage = Damage { store_lost, journal_lost, torn: store_kept || journal_kept };
        self.off = true;
        self.fuse = None;
    }

    fn before_sync(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(left) if *left <= 1 => {
                self.cut();
                Err(io::Error::other("the power went"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// The file under the Raft store.
#[derive(Debug, Clone)]
pub struct SimStore {
    power: Power,
    life: u64,
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

impl redb::StorageBackend for SimStore {
    fn len(&self) -> io::Result<u64> {
        u64::try_from(self.power.alive(self.life)?.store.now.len()).map_err(io::Error::other)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let switch = self.power.alive(self.life)?;
        let start = place(offset)?;
        let bytes = switch.store.now.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.power.alive(self.life)?.store.change(Pending::Length(place(len)?));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut switch = self.power.alive(self.life)?;
        switch.before_sync()?;
        switch.syncs += 1;
        if plant::is(Planted::SyncLies) && !switch.syncs.is_multiple_of(LIES_EVERY) {
            return Ok(());
        }
        switch.store.sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.power.alive(self.life)?.store.change(Pending::Write(place(offset)?, data.to_vec()));
        Ok(())
    }
}

/// The file under the journal.
#[derive(Debug)]
pub struct SimFile {
    power: Power,
    life: u64,
}

impl Disk for SimFile {
    fn read(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let switch = self.power.alive(self.life)?;
        if !switch.journal.there {
            return Ok(None);
        }
        if u64::try_from(switch.journal.now.len()).is_ok_and(|found| found > limit) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(switch.journal.now.clone()))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut switch = self.power.alive(self.life)?;
        if !switch.journal.there {
            return Err(io::ErrorKind::NotFound.into());
        }
        let end = switch.journal.now.len();
        switch.journal.change(Pending::Write(end, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut switch = self.power.alive(self.life)?;
        switch.before_sync()?;
        switch.journal.sync();
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut switch = self.power.alive(self.life)?;
        // By rename: whole or not at all.
        switch.before_sync()?;
        let journal = &mut switch.journal;
        journal.there = true;
        journal.pending.clear();
        journal.now = bytes.to_vec();
        journal.synced = bytes.to_vec();
        Ok(())
    }
}
