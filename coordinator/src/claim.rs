//! Before an agent opens its store it asks the peers it knew: does another agent live under my name?
//!
//! Knows whom to ask and how to take three answers. Does not know what a peer looks at, nor what follows.

use crate::limits;
use lockkeeper_core::{ids::MemberName, time::Millis};
use lockkeeper_proto::{
    client::group::{Claimed, GroupClient},
    port::{Clock, Instance},
    transport::{Dialer, ExpectedPeer},
};
use std::sync::Arc;

/// One peer's answer; it may have to dial the incumbent first.
const ANSWER: Millis = Millis(2_500);

/// Between two rounds while a peer has heard the incumbent just now.
const PAUSE: Millis = Millis(300);

/// An incumbent that is gone is remembered for three seconds; after this it lives.
const PATIENCE: Millis = Millis(6_000);

/// What the peers said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nobody said that another agent lives.
    Free {
        /// Whether a peer that hears a quorum said that it does not.
        confirmed: bool,
    },
    /// Another agent lives; who said what.
    Rival(String),
}

/// Who asks whom.
pub struct Claim {
    /// This node.
    pub me: MemberName,
    /// This running.
    pub instance: Instance,
    /// The others, with their addresses.
    pub peers: Vec<(MemberName, String)>,
    /// Ways to them.
    pub dialer: Arc<dyn Dialer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Claim {
    /// Asks until the answers are clear.
    pub async fn ask(&self) -> Answer {
        let begun = self.clock.boot();
        loop {
            let answers = futures::future::join_all(self.peers.iter().map(|peer| self.one(peer))).await;
            let (mut recent, mut confirmed) = (None, false);
            for (peer, answer) in self.peers.iter().zip(answers) {
                match answer {
                    Some(Claimed::Alive(why)) => return Answer::Rival(format!("{} says: {why}", peer.0)),
                    Some(Claimed::Recent(why)) => recent = Some(format!("{} says: {why}", peer.0)),
                    Some(Claimed::Free { quorum }) => confirmed |= quorum,
                    None => {}
                }
            }
            match recent {
                None => return Answer::Free { confirmed },
                Some(why) if self.clock.boot().since(begun) >= PATIENCE => return Answer::Rival(why),
                Some(_) => self.clock.sleep(PAUSE).await,
            }
        }
    }

    async fn one(&self, (name, address): &(MemberName, String)) -> Option<Claimed> {
        let channel = self.dialer.channel(address, ExpectedPeer::Member(name.clone()));
        let client = GroupClient::new(channel, limits::MESSAGE_MAX).speaking_as(&self.instance);
        match tokio::time::timeout(ANSWER.into(), client.claim()).await {
            Ok(Ok(claimed)) => Some(claimed),
            Ok(Err(status)) => {
                tracing::debug!(peer = %name, %status, "a peer could not be asked");
                None
            }
            Err(_) => None,
        }
    }
}
