//! The coordinator's `Consensus` over the ether's log.

use super::{ether::Ether, replica::Replies};
use async_trait::async_trait;
use lockkeeper_coordinator::consensus::{Consensus, ConsensusError, Leadership, Seat};
use lockkeeper_core::ids::{LogIndex, MemberName, NodeId};
use std::{sync::Arc, time::Duration};
use tokio::sync::{oneshot, watch};

/// A proposal without an answer is given up then, as by the Raft shell.
const GIVE_UP: Duration = Duration::from_secs(4);

/// See the module.
pub struct LightConsensus {
    pub me: MemberName,
    pub ether: Ether,
    pub replies: Arc<Replies>,
    pub leadership: watch::Receiver<Leadership>,
}

async fn within<T>(answer: oneshot::Receiver<Result<T, ConsensusError>>) -> Result<T, ConsensusError> {
    match tokio::time::timeout(GIVE_UP, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(ConsensusError::Timeout),
    }
}

#[async_trait]
impl Consensus for LightConsensus {
    async fn propose(&self, command: Vec<u8>) -> Result<Vec<u8>, ConsensusError> {
        let index = within(self.ether.propose(&self.me, command.into())).await?;
        match tokio::time::timeout(GIVE_UP, self.replies.at(index)).await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) | Err(_) => Err(ConsensusError::Timeout),
        }
    }

    async fn read_index(&self) -> Result<LogIndex, ConsensusError> {
        within(self.ether.read_index(&self.me)).await
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    async fn add_learner(&self, _id: NodeId, _seat: Seat) -> Result<(), ConsensusError> {
        Ok(())
    }

    async fn set_voters(&self, _voters: Vec<NodeId>) -> Result<(), ConsensusError> {
        Ok(())
    }

    async fn remove_learner(&self, _id: NodeId) -> Result<(), ConsensusError> {
        Ok(())
    }

    async fn shutdown(&self) {}
}
