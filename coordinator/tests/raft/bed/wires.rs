//! Plain TCP with a valve between every two nodes.

use lockkeeper_core::ids::NodeId;
use lockkeeper_proto::transport::{self, Dialer, ExpectedPeer};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::Channel;

/// How one node reaches another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// As it should.
    #[default]
    Open,
    /// Nothing comes back and nothing is refused, like a firewall that drops or a peer that is frozen. Connections
    /// that were open stay dead for ever, also after the way is open again.
    Silent,
}

#[derive(Default)]
struct Inner {
    places: BTreeMap<SocketAddr, NodeId>,
    ways: BTreeMap<(NodeId, NodeId), Way>,
    /// The kill switch of every open connection.
    open: Vec<(NodeId, NodeId, Arc<AtomicBool>)>,
    dials: BTreeMap<(NodeId, String), u64>,
}

/// All valves of a group. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Valves(Arc<Mutex<Inner>>);

impl Valves {
    pub fn place(&self, node: NodeId, address: SocketAddr) {
        self.0.lock().unwrap().places.insert(address, node);
    }

    pub fn set(&self, from: NodeId, to: NodeId, way: Way) {
        let mut inner = self.0.lock().unwrap();
        inner.ways.insert((from, to), way);
        if way == Way::Silent {
            for (_, _, dead) in inner.open.iter().filter(|(a, b, _)| (*a, *b) == (from, to)) {
                dead.store(true, Ordering::SeqCst);
            }
            inner.open.retain(|(a, b, _)| (*a, *b) != (from, to));
        }
    }

    /// Both ways between a node and all others.
    pub fn isolate(&self, node: NodeId, others: impl IntoIterator<Item = NodeId>, way: Way) {
        for other in others {
            if other != node {
                self.set(node, other, way);
                self.set(other, node, way);
            }
        }
    }

    /// How often `from` has dialled `address`.
    pub fn dials(&self, from: NodeId, address: &str) -> u64 {
        self.0.lock().unwrap().dials.get(&(from, address.to_owned())).copied().unwrap_or(0)
    }

    pub fn dialer(&self, from: NodeId) -> ValveDialer {
        ValveDialer { from, valves: self.clone() }
    }
}

/// Dials for one node.
pub struct ValveDialer {
    from: NodeId,
    valves: Valves,
}

impl Dialer for ValveDialer {
    fn channel(&self, address: &str, _: ExpectedPeer) -> Channel {
        let (from, valves, address) = (self.from, self.valves.clone(), address.to_owned());
        transport::channel(move || connect(from, valves.clone(), address.clone()))
    }
}

async fn connect(from: NodeId, valves: Valves, address: String) -> io::Result<Valved> {
    let (to, way) = {
        let mut inner = valves.0.lock().unwrap();
        *inner.dials.entry((from, address.clone())).or_default() += 1;
        let to = address.parse().ok().and_then(|address: SocketAddr| inner.places.get(&address).copied());
        let way = to.and_then(|to| inner.ways.get(&(from, to)).copied()).unwrap_or_default();
        (to, way)
    };
    if way == Way::Silent {
        std::future::pending::<()>().await;
    }
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let dead = Arc::new(AtomicBool::new(false));
    if let Some(to) = to {
        valves.0.lock().unwrap().open.push((from, to, dead.clone()));
    }
    Ok(Valved { stream, dead })
}

struct Valved {
    stream: TcpStream,
    dead: Arc<AtomicBool>,
}

impl AsyncRead for Valved {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.dead.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.dead.load(Ordering::SeqCst) {
            buffer.set_filled(before);
            return Poll::Pending;
        }
        polled
    }
}

impl AsyncWrite for Valved {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.dead.load(Ordering::SeqCst) {
            // As a kernel would: taken, and never delivered.
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
