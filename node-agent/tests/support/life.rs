//! One life of the agent in virtual time, from opening its journal to its crash or the end of the rollout.

use super::{
    crash::{Crash, CrashDisk},
    group::{Behaviour, FakeGroup, Log, me},
    host::{FakeHost, World},
};
use async_trait::async_trait;
use lockkeeper_agent::{
    Node, Parts,
    clock::Clock,
    journal::{Journal, MemoryDisk},
};
use lockkeeper_core::{
    plan::ActionKind,
    time::{BootTime, Millis},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use tokio::time::Instant;

/// How one life goes.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Dies at this point; 0 never.
    pub at: u64,
    /// The disk does not sync.
    pub lying: bool,
    /// The disk fails its syncs after this many.
    pub syncs: Option<u64>,
    /// How the group misbehaves.
    pub group: Behaviour,
    /// What the local policy allows.
    pub allowed: BTreeSet<ActionKind>,
    /// Virtual time after which a life that neither ends nor crashes is over. A rollout takes seconds.
    pub hours: u64,
}

impl Default for Plot {
    fn default() -> Self {
        Self {
            at: 0,
            lying: false,
            syncs: None,
            group: Behaviour::default(),
            allowed: ActionKind::ALL.into_iter().collect(),
            hours: 1,
        }
    }
}

/// Virtual time that goes on over crashes.
struct TestClock {
    base: u64,
    start: Instant,
}

#[async_trait]
impl Clock for TestClock {
    fn boot(&self) -> BootTime {
        BootTime(self.base + u64::try_from(self.start.elapsed().as_millis()).unwrap())
    }

    fn wall_ms(&self) -> u64 {
        1_795_000_000_000 + self.boot().0
    }

    async fn sleep(&self, duration: Millis) {
        tokio::time::sleep(duration.into()).await;
    }
}

/// Everything that outlives the agent.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    pub world: World,
    pub log: Log,
    pub disk: Vec<u8>,
    /// Bytes written and not synced.
    pub unsynced: Vec<u8>,
    pub now: u64,
    /// Whether there is a file at all.
    pub file: bool,
}

/// How a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The rollout is over.
    Finished,
    /// It died at this point.
    Died(&'static str),
    /// The executor ended by itself.
    Stopped(Result<(), String>),
    /// It did not get on.
    Stuck(String),
}

/// Lives once over what is outside.
pub fn live(outside: &Outside, plot: &Plot) -> (Outside, End, u64) {
    live_behind(outside, &outside.log, plot)
}

/// Lives once, hearing at first of a log that is older than the true one.
pub fn live_behind(outside: &Outside, heard: &Log, plot: &Plot) -> (Outside, End, u64) {
    let Plot { at, lying, .. } = *plot;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let crash = Crash::at(at);
        let clock: Arc<dyn Clock> = Arc::new(TestClock { base: outside.now, start: Instant::now() });
        let world = Arc::new(Mutex::new(outside.world.clone()));
        let log = Arc::new(Mutex::new(outside.log.clone()));
        let disk = match (outside.file, lying) {
            (true, false) => MemoryDisk::holding(outside.disk.clone()),
            (true, true) => MemoryDisk::lying_over(outside.disk.clone()),
            (false, false) => MemoryDisk::default(),
            (false, true) => MemoryDisk::lying(),
        };
        if let Some(syncs) = plot.syncs {
            disk.fail_sync_after(syncs);
        }
        let behaviour = plot.group.clone();
        let group = Arc::new(FakeGroup::new(log.clone(), heard, world.clone(), crash.clone(), behaviour));
        group.drive();
        let host = FakeHost { world: world.clone(), clock: clock.clone(), crash: crash.clone() };
        let task = async {
            let disk = CrashDisk { disk: disk.clone(), crash: crash.clone() };
            let journal = match Journal::open(Box::new(disk), clock.wall_ms()) {
                Ok(journal) => journal,
                Err(error) => return End::Stuck(format!("journal: {error:?}")),
            };
            let mut node = Node::start(Parts {
                me: me(),
                agent_version: "test".into(),
                allowed: plot.allowed.clone(),
                group: group.clone(),
                host: Arc::new(host),
                clock: clock.clone(),
                journal,
            });
            let mut views = lockkeeper_proto::port::Group::follow(&*group);
            let finish = async {
                let _ = views.wait_for(|view| view.state.rollout.is_none()).await;
                // Let it write down what it was told, then stop it in good order.
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            };
            tokio::select! {
                ended = node.ended() => return End::Stopped(ended.map_err(|error| format!("{error:?}"))),
                () = finish => {}
            }
            match node.stop().await {
                Ok(()) => End::Finished,
                Err(error) => End::Stuck(format!("stopped: {error:?}")),
            }
        };
        let end = tokio::select! {
            biased;
            point = crash.died() => End::Died(point),
            end = task => end,
            () = tokio::time::sleep(std::time::Duration::from_secs(3600 * plot.hours)) => End::Stuck("nothing moves".into()),
        };
        let unsynced = disk.unsynced_bytes();
        let mut world = world.lock().unwrap().clone();
        world.advance(clock.boot().0);
        let outside = Outside {
            world,
            log: log.lock().unwrap().clone(),
            file: disk.durable().is_some(),
            disk: disk.durable().unwrap_or_default(),
            unsynced,
            now: clock.boot().0,
        };
        (outside, end, crash.count())
    })
}

impl Outside {
    /// Only the agent's process died: what it wrote is in the page cache.
    pub fn process_killed(&self) -> Self {
        let mut after = self.clone();
        after.disk.append(&mut after.unsynced);
        after
    }

    /// The machine lost power: `kept` bytes of what was not synced reached the disk.
    pub fn power_lost(&self, kept: usize) -> Self {
        let mut after = self.clone();
        let unsynced = std::mem::take(&mut after.unsynced);
        after.disk.extend(unsynced.into_iter().take(kept));
        after.world.power_loss();
        after
    }
}
