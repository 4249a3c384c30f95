//! The agent's `Group`: this member's own view; what must be committed goes to whoever leads, over the ether.

use super::{ether::Ether, messages::Ask};
use async_trait::async_trait;
use lockkeeper_coordinator::{consensus::ConsensusError, limits, local_group::LocalGroup};
use lockkeeper_core::{
    ids::{LogIndex, MemberName},
    rollout::Reply,
};
use lockkeeper_proto::port::{Clock, Group, GroupError, Proposal, View};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// See the module.
pub struct LightGroup {
    pub me: MemberName,
    pub local: Arc<LocalGroup>,
    pub ether: Ether,
    pub clock: Arc<dyn Clock>,
}

impl LightGroup {
    /// Asks whoever leads until somebody answers or time is up, as the shipped group does over its channels.
    async fn at_leader<T, F, Fut>(&self, ask: F) -> Result<T, GroupError>
    where
        F: Fn(MemberName) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ConsensusError>> + Send,
    {
        let begun = self.clock.boot();
        let mut leadership = self.local.consensus().leadership();
        while self.clock.boot().since(begun) < limits::REQUEST_DEADLINE {
            let leader = leadership.borrow_and_update().leader.clone();
            if let Some((leader, _)) = leader {
                match tokio::time::timeout(limits::FORWARD_DEADLINE.into(), ask(leader)).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(ConsensusError::Stopped(_))) => return Err(GroupError::Stopping),
                    Ok(Err(ConsensusError::NotLeader | ConsensusError::Timeout)) | Err(_) => {}
                }
            }
            tokio::select! {
                biased;
                changed = leadership.changed() => if changed.is_err() { return Err(GroupError::Stopping) },
                () = self.clock.sleep(limits::NO_LEADER_PAUSE) => {}
            }
        }
        Err(GroupError::NoLeader("nobody answers".into()))
    }

    async fn propose_at(&self, leader: MemberName, proposal: Proposal) -> Result<Reply, ConsensusError> {
        if leader == self.me {
            return self.local.propose_here(proposal).await;
        }
        let (answer, answered) = oneshot::channel();
        self.ether.call(&self.me, &leader, Ask::Propose(proposal, Some(answer)));
        answered.await.unwrap_or(Err(ConsensusError::Timeout))
    }

    async fn index_at(&self, leader: MemberName) -> Result<LogIndex, ConsensusError> {
        if leader == self.me {
            return self.local.read_here().await;
        }
        let (answer, answered) = oneshot::channel();
        self.ether.call(&self.me, &leader, Ask::ReadIndex(answer));
        answered.await.unwrap_or(Err(ConsensusError::Timeout))
    }
}

#[async_trait]
impl Group for LightGroup {
    fn follow(&self) -> watch::Receiver<Arc<View>> {
        self.local.follow()
    }

    async fn propose(&self, proposal: Proposal) -> Result<Reply, GroupError> {
        self.at_leader(|leader| self.propose_at(leader, proposal.clone())).await
    }

    async fn read(&self) -> Result<Arc<View>, GroupError> {
        let index = self.at_leader(|leader| self.index_at(leader)).await?;
        let mut views = self.local.follow();
        let caught_up = views.wait_for(|view| view.applied >= index);
        match tokio::time::timeout(limits::REQUEST_DEADLINE.into(), caught_up).await {
            Ok(Ok(view)) => Ok(view.clone()),
            Ok(Err(_)) => Err(GroupError::Stopping),
            Err(_) => Err(GroupError::Timeout(limits::REQUEST_DEADLINE.0)),
        }
    }
}
