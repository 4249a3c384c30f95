//! The `Dialer` of a simulated process: asks its machine's card.

use super::{
    card::{Card, Dial},
    hello::Hello,
};
use lockkeeper_proto::transport::{self, Dialer, ExpectedPeer};
use std::{collections::BTreeMap, io, sync::Arc};
use tokio::{io::DuplexStream, sync::oneshot};
use tonic::transport::Channel;

/// Dials by the addresses of the cluster file.
#[derive(Clone)]
pub struct SimDialer {
    card: Card,
    /// `host:port` -> name of the machine.
    places: Arc<BTreeMap<String, String>>,
}

impl SimDialer {
    /// Over a machine's card.
    pub fn new(card: Card, places: Arc<BTreeMap<String, String>>) -> Self {
        Self { card, places }
    }
}

impl Dialer for SimDialer {
    fn channel(&self, address: &str, expect: ExpectedPeer) -> Channel {
        let (card, to) = (self.card.clone(), self.places.get(address).cloned());
        transport::channel(move || connect(card.clone(), to.clone(), expect.clone()))
    }
}

async fn connect(card: Card, to: Option<String>, expect: ExpectedPeer) -> io::Result<DuplexStream> {
    let to = to.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let (answer, made) = oneshot::channel();
    card.dial(Dial { to, answer });
    let (stream, Hello(found)) = made.await.map_err(|_| io::ErrorKind::NetworkDown)??;
    if expect.accepts(&found) { Ok(stream) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}
