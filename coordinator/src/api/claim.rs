//! A starting agent asks whether another one lives under its name. Whoever is asked looks: at the incumbent's own
//! address, and at when it was last heard.

use super::Api;
use crate::{incumbents::Speaker, limits};
use lockkeeper_core::{ids::MemberName, time::Millis};
use lockkeeper_proto::{
    client::group::{Claimed, GroupClient},
    port::{Group as _, Instance},
    transport::{ExpectedPeer, TransportError},
};
use std::io;

/// For the incumbent to answer: it may be busy, but it is one round trip away.
const LOOK: Millis = Millis(1_500);

/// What the incumbent's address says.
enum Seen {
    /// Another running answers there.
    Alive,
    /// Nothing listens there.
    Gone,
    /// No answer, which proves nothing.
    Silent,
}

pub(super) async fn claim(api: &Api, name: &MemberName, speaker: Speaker) -> Claimed {
    let view = api.group.follow().borrow().clone();
    let address = view.state.nodes.get(name).map(|node| node.address.clone());
    let seen = match &address {
        Some(address) if *name != api.me => look(api, name, address, &speaker.instance).await,
        Some(_) => Seen::Alive,
        None => Seen::Gone,
    };
    match seen {
        Seen::Alive => {
            let address = address.unwrap_or_default();
            tracing::warn!(code = "LK3311", member = %name, from = ?speaker.from, "a second agent claims a living one's name");
            Claimed::Alive(format!("{name} lives and answers at {address}"))
        }
        Seen::Gone => {
            api.incumbents.adopt(name, speaker, api.clock.boot());
            Claimed::Free { quorum: view.quorum }
        }
        Seen::Silent => match api.incumbents.hear(name, &speaker, api.clock.boot()) {
            Ok(()) => Claimed::Free { quorum: view.quorum },
            Err(rivalry) => Claimed::Recent(rivalry.to_string()),
        },
    }
}

async fn look(api: &Api, name: &MemberName, address: &str, claimant: &Instance) -> Seen {
    let channel = api.dialer.channel(address, ExpectedPeer::Member(name.clone()));
    let client = GroupClient::new(channel, limits::MESSAGE_MAX).speaking_as(&api.instance);
    match tokio::time::timeout(LOOK.into(), client.who()).await {
        Ok(Ok(instance)) if instance == *claimant => Seen::Silent,
        Ok(Ok(_)) => Seen::Alive,
        Ok(Err(status)) => match TransportError::behind(&status) {
            Some(TransportError::Connect { source, .. })
                if source.kind() == io::ErrorKind::ConnectionRefused =>
            {
                Seen::Gone
            }
            Some(_) => Seen::Silent,
            // It answered, if only that it does not know the question.
            None if status.code() == tonic::Code::Unimplemented => Seen::Alive,
            None => Seen::Silent,
        },
        Err(_) => Seen::Silent,
    }
}
