//! One machine: a process on a runtime of its own that can be killed, frozen and thawed, beside the network card that
//! turmoil runs.
//!
//! turmoil has no pause, so processes do not run on turmoil's runtimes: the driver runs each for one tick after the
//! network's, and a frozen one not at all.

use super::{card::Card, clock::MachineTime, disk::Power};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    runtime::{Builder, RngSeed, Runtime, UnhandledPanic},
    task::JoinHandle,
};

/// How a machine stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Stopped by a signal: its timers are due at once when it goes on.
    Stopped,
    /// Suspended with its machine: its timers, but not its boot clock, stood still.
    Suspended,
}

struct Process {
    runtime: Runtime,
    main: JoinHandle<()>,
}

/// A simulated machine.
pub struct Machine {
    /// Its name in the cluster file.
    pub name: String,
    /// Its network card.
    pub card: Card,
    /// Its power switch and disks.
    pub power: Power,
    /// Its clocks.
    pub time: Arc<MachineTime>,
    process: Option<Process>,
    paused: Option<(Pause, u64)>,
    starts: u64,
    seed: u64,
}

impl Machine {
    /// A machine with empty disks, switched on, without a process.
    pub fn new(name: &str, card: Card, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            card,
            power: Power::new(seed),
            time: Arc::default(),
            process: None,
            paused: None,
            starts: 0,
            seed,
        }
    }

    /// A number that differs between starts of its processes and between machines.
    pub fn next_seed(&mut self) -> u64 {
        self.starts += 1;
        self.seed ^ self.starts.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Starts a process.
    pub fn start(
        &mut self,
        seed: u64,
        main: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
            .unhandled_panic(UnhandledPanic::ShutdownRuntime)
            .build()?;
        let main = runtime.spawn(main);
        self.process = Some(Process { runtime, main });
        Ok(())
    }

    /// Lets the process run for `tick`. Answers whether it ended by itself.
    pub fn tick(&mut self, tick: Duration) -> bool {
        let Some(process) = &self.process else { return false };
        if self.paused.is_some() {
            return false;
        }
        process.runtime.block_on(async { tokio::time::sleep(tick).await });
        process.main.is_finished()
    }

    /// Ends the process like `kill -9`.
    pub fn kill(&mut self) {
        self.paused = None;
        self.card.silence();
        // First, so that nothing that is dropped below can still write.
        self.power.end_life();
        self.process = None;
    }

    /// Whether a process is there, paused or not.
    pub const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it stands still, and how.
    pub fn paused(&self) -> Option<Pause> {
        self.paused.map(|(pause, _)| pause)
    }

    /// The process stands still from `now` on.
    pub fn freeze(&mut self, pause: Pause, now: u64) {
        if self.process.is_some() && self.paused.is_none() {
            self.paused = Some((pause, now));
        }
    }

    /// The process goes on; answers how long it stood still, in ms.
    pub fn thaw(&mut self, now: u64) -> u64 {
        let Some((pause, since)) = self.paused.take() else { return 0 };
        let stood = now.saturating_sub(since);
        if let (Pause::Stopped, Some(process)) = (pause, &self.process) {
            process.runtime.block_on(async { tokio::time::advance(Duration::from_millis(stood)).await });
        }
        stood
    }
}
