//! A word to every other agent, once a second, so that each knows which running has this node's name. The leader hears
//! of it by signs of life; this is for all others, so that a copy is the newcomer wherever it calls first.

use crate::{alarm::Alarm, limits, local_group::LocalGroup};
use lockkeeper_core::ids::MemberName;
use lockkeeper_proto::{
    client::group::GroupClient,
    port::{Clock, Group as _, Instance},
    transport::{Dialer, ExpectedPeer, code_of},
};
use std::{collections::BTreeMap, sync::Arc};

/// What the loop needs.
pub struct Greeting {
    /// This node.
    pub me: MemberName,
    /// This running.
    pub instance: Instance,
    /// Its group.
    pub group: Arc<LocalGroup>,
    /// Ways to the others.
    pub dialer: Arc<dyn Dialer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Collects their word that another agent has this name.
    pub alarm: Arc<Alarm>,
}

impl Greeting {
    /// Runs until the group stops.
    pub async fn run(self) {
        let mut views = self.group.follow();
        let mut ways: BTreeMap<MemberName, (String, GroupClient)> = BTreeMap::new();
        while views.has_changed().is_ok() {
            let state = views.borrow_and_update().state.clone();
            ways.retain(|name, (address, _)| {
                state.nodes.get(name).is_some_and(|node| node.address == *address)
            });
            for (name, node) in state.nodes.iter().filter(|(name, _)| **name != self.me) {
                ways.entry(name.clone())
                    .or_insert_with(|| (node.address.clone(), self.way(name, &node.address)));
            }
            futures::future::join_all(ways.values().map(|(_, client)| self.greet(client))).await;
            self.clock.sleep(limits::BEAT_EVERY).await;
        }
    }

    fn way(&self, name: &MemberName, address: &str) -> GroupClient {
        let channel = self.dialer.channel(address, ExpectedPeer::Member(name.clone()));
        GroupClient::new(channel, limits::MESSAGE_MAX).speaking_as(&self.instance)
    }

    async fn greet(&self, client: &GroupClient) {
        // Who does not answer in time hears of us a second later.
        if let Ok(Err(status)) = tokio::time::timeout(limits::BEAT_EVERY.into(), client.who()).await
            && code_of(&status) == Some("LK3311")
        {
            self.alarm.refused(status.message());
        }
    }
}
