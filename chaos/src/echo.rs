//! A group that says some proposals again, later and after newer ones: duplicated and reordered commands.

use crate::knobs::Knobs;
use async_trait::async_trait;
use lockkeeper_core::rollout::Reply;
use lockkeeper_proto::port::{Group, GroupError, Proposal, View};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// The longest time an echo comes after its proposal: longer than any time-out of the group.
const LATEST_MS: u64 = 12_000;

/// See the module.
pub struct EchoGroup {
    inner: Arc<dyn Group>,
    knobs: Knobs,
    random: Mutex<StdRng>,
}

impl EchoGroup {
    /// Over a group.
    pub fn new(inner: Arc<dyn Group>, knobs: Knobs, seed: u64) -> Self {
        Self { inner, knobs, random: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    fn draw(&self) -> Option<Duration> {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let echoes = random.random_ratio(self.knobs.echo().min(1000), 1000);
        echoes.then(|| Duration::from_millis(random.random_range(1..LATEST_MS)))
    }
}

#[async_trait]
impl Group for EchoGroup {
    fn follow(&self) -> watch::Receiver<Arc<View>> {
        self.inner.follow()
    }

    async fn propose(&self, proposal: Proposal) -> Result<Reply, GroupError> {
        if let Some(later) = self.draw() {
            let (inner, again, knobs) = (self.inner.clone(), proposal.clone(), self.knobs.clone());
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                knobs.count_echo();
                // Nobody waits for the answer to a message that was duplicated on its way.
                let _answer = inner.propose(again).await;
            });
        }
        self.inner.propose(proposal).await
    }

    async fn read(&self) -> Result<Arc<View>, GroupError> {
        self.inner.read().await
    }
}
