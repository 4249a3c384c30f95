//! One life of the agent in virtual time, from opening its journal to its crash or the end of the rollout.

use super::{
    crash::{Crash, CrashDisk},
    group::{FakeGroup, Log, me},
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
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// Virtual time after which a life that neither ends nor crashes is stuck. A rollout takes seconds.
const STUCK: std::time::Duration = std::time::Duration::from_secs(3600);

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
    /// It did not get on.
    Stuck(String),
}

/// Lives once over what is outside, dying at point `at` (0: never). `lying`: the disk does not sync.
pub fn live(outside: &Outside, at: u64, lying: bool) -> (Outside, End, u64) {
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
        let group = Arc::new(FakeGroup::new(log.clone(), world.clone(), crash.clone()));
        group.drive();
        let host = FakeHost { world: world.clone(), clock: clock.clone(), crash: crash.clone() };
        let all = ActionKind::ALL.into_iter().collect();
        let task = async {
            let disk = CrashDisk { disk: disk.clone(), crash: crash.clone() };
            let journal = match Journal::open(Box::new(disk), clock.wall_ms()) {
                Ok(journal) => journal,
                Err(error) => return End::Stuck(format!("journal: {error:?}")),
            };
            let mut node = Node::start(Parts {
                me: me(),
                agent_version: "test".into(),
                allowed: all,
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
                ended = node.ended() => return End::Stuck(format!("stopped: {ended:?}")),
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
            () = tokio::time::sleep(STUCK) => End::Stuck("nothing moves".into()),
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
