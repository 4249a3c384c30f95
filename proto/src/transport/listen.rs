//! The accept loop of the TLS port. Ours, not tonic's, because each handshake takes the configuration that is current
//! at that moment, and because enrolment and everything else leave it by two different doors.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use super::certificate::Subject;
use super::config::{ALPN_H2, ALPN_JOIN, ALPN_RENEW};
use super::error::TransportError;
use super::io::{Incoming, PeerIo};
use super::limits;
use super::peer::{PeerIdentity, PeerInfo};
use super::reason::reason;
use super::tls::Tls;

/// The limits of one listener; [`Default`] takes them from [`limits`].
#[derive(Debug, Clone)]
pub struct ListenLimits {
    /// Whole handshake.
    pub handshake: Duration,
    /// Handshakes at once.
    pub handshakes: usize,
    /// Handshakes at once from one address.
    pub handshakes_per_source: usize,
    /// Authenticated connections at once.
    pub connections: usize,
    /// How long an authenticated connection may live. The server asks for its end before.
    pub lifetime: Duration,
    /// Connections without identity at once.
    pub joining: usize,
    /// How long a connection without identity, or for renewal, may live.
    pub joining_lifetime: Duration,
    /// Connections for renewal at once.
    pub renewing: usize,
}

/// The doors of one TLS port. Dropping all of them ends the accept loop and closes the port.
pub struct Accepted {
    /// Nodes and operators, by verified certificate. Serve everything but enrolment here.
    pub peers: Incoming,
    /// Nobodies who speak the enrolment protocol. Serve enrolment here and nothing else.
    pub joining: Incoming,
    /// Nodes whose certificate is good, or was. Serve renewal here and nothing else.
    pub renewing: Incoming,
    /// Where the port really is, when port 0 was asked for.
    pub address: SocketAddr,
}

struct Door {
    tls: Tls,
    limits: ListenLimits,
    handshakes: Arc<Semaphore>,
    sources: Arc<Sources>,
    connections: Arc<Semaphore>,
    joining: Arc<Semaphore>,
    renewing: Arc<Semaphore>,
    to_peers: mpsc::Sender<io::Result<PeerIo>>,
    to_joining: mpsc::Sender<io::Result<PeerIo>>,
    to_renewing: mpsc::Sender<io::Result<PeerIo>>,
}

/// What a caller asks for, by the protocol it offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Peer,
    Join,
    Renew,
}

/// Handshakes in progress by address.
#[derive(Default)]
struct Sources(Mutex<BTreeMap<IpAddr, usize>>);

/// One handshake's place in [`Sources`].
struct SourceSlot {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            handshake: limits::HANDSHAKE_TIMEOUT,
            handshakes: limits::HANDSHAKES_MAX,
            handshakes_per_source: limits::HANDSHAKES_PER_SOURCE_MAX,
            connections: limits::CONNECTIONS_MAX,
            lifetime: limits::CONNECTION_AGE_MAX + limits::CONNECTION_AGE_GRACE,
            joining: limits::JOINING_MAX,
            joining_lifetime: limits::JOINING_LIFETIME,
            renewing: limits::RENEWING_MAX,
        }
    }
}

/// Starts accepting on `listener`. Must be called inside a tokio runtime.
pub fn listen(listener: TcpListener, tls: Tls, limits: ListenLimits) -> io::Result<Accepted> {
    let address = listener.local_addr()?;
    let (to_peers, peers) = mpsc::channel(super::limits::BACKLOG);
    let (to_joining, joining) = mpsc::channel(super::limits::BACKLOG);
    let (to_renewing, renewing) = mpsc::channel(super::limits::BACKLOG);
    let door = Door {
        tls,
        handshakes: Arc::new(Semaphore::new(limits.handshakes)),
        sources: Arc::default(),
        connections: Arc::new(Semaphore::new(limits.connections)),
        joining: Arc::new(Semaphore::new(limits.joining)),
        renewing: Arc::new(Semaphore::new(limits.renewing)),
        limits,
        to_peers,
        to_joining,
        to_renewing,
    };
    tokio::spawn(accept(listener, Arc::new(door)));
    Ok(Accepted {
        peers: Box::pin(ReceiverStream::new(peers)),
        joining: Box::pin(ReceiverStream::new(joining)),
        renewing: Box::pin(ReceiverStream::new(renewing)),
        address,
    })
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.closed() => return,
        };
        match accepted {
            Ok((stream, from)) => match door.admit(from.ip()) {
                Ok(slots) => {
                    let door = door.clone();
                    tokio::spawn(async move {
                        let result = door.handshake(stream, from).await;
                        drop(slots);
                        match result {
                            Ok((wish, io)) => door.hand_on(wish, io).await,
                            Err(reason) => tracing::warn!(%from, %reason, "connection refused"),
                        }
                    });
                }
                Err(reason) => tracing::warn!(%from, %reason, "connection refused"),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Door {
    async fn closed(&self) {
        self.to_peers.closed().await;
        self.to_joining.closed().await;
        self.to_renewing.closed().await;
    }

    /// A place for one handshake. Nobody waits for one: a queue of strangers would delay our own.
    fn admit(&self, source: IpAddr) -> Result<(OwnedSemaphorePermit, SourceSlot), TransportError> {
        let of_source =
            self.sources.enter(source, self.limits.handshakes_per_source).ok_or(TransportError::TooMany {
                what: "handshakes from one address",
                limit: self.limits.handshakes_per_source,
            })?;
        let of_all = slot(&self.handshakes, "handshakes", self.limits.handshakes)?;
        Ok((of_all, of_source))
    }

    async fn handshake(&self, stream: TcpStream, from: SocketAddr) -> Result<(Wish, PeerIo), TransportError> {
        let limit = self.limits.handshake;
        let deadline = Instant::now() + limit;
        let late = |_| TransportError::HandshakeTimeout { limit_ms: limit.as_millis() };
        // Small messages go back and forth; waiting to fill a packet would add 40 ms to each.
        stream.set_nodelay(true).map_err(reason)?;
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        let hello = timeout_at(deadline, hello).await.map_err(late)?.map_err(reason)?;
        // A caller that offers several protocols is one that should show a good certificate.
        let offered: Vec<Vec<u8>> =
            hello.client_hello().alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
        let wish = match offered.as_slice() {
            [only] if only == ALPN_JOIN => Wish::Join,
            [only] if only == ALPN_RENEW => Wish::Renew,
            _ => Wish::Peer,
        };
        let state = self.tls.state();
        let config = match wish {
            Wish::Peer => &state.configs.peers,
            Wish::Join => &state.configs.joining,
            Wish::Renew => &state.configs.renewing,
        };
        let accept = hello.into_stream(config.clone()).into_fallible();
        match timeout_at(deadline, accept).await.map_err(late)? {
            Ok(stream) => match wish {
                Wish::Peer => self.peer(stream, from),
                Wish::Join => self.joining(stream, from),
                Wish::Renew => self.renewing(stream, from),
            }
            .map(|io| (wish, io)),
            Err((error, stream)) => {
                linger(stream).await;
                Err(reason(error))
            }
        }
    }

    fn joining(&self, stream: TlsStream<TcpStream>, from: SocketAddr) -> Result<PeerIo, TransportError> {
        let slot = slot(&self.joining, "joining machines", self.limits.joining)?;
        let lifetime = self.limits.joining_lifetime;
        let info = PeerInfo { identity: PeerIdentity::Joining, address: Some(from) };
        let end = async move {
            tokio::time::sleep(lifetime).await;
            "the time for enrolment is over"
        };
        Ok(PeerIo::new(stream, info).until(Box::pin(end)).counted(slot))
    }

    fn renewing(&self, stream: TlsStream<TcpStream>, from: SocketAddr) -> Result<PeerIo, TransportError> {
        let subject = shown(&stream, ALPN_RENEW)?;
        let slot = slot(&self.renewing, "renewals", self.limits.renewing)?;
        let info = PeerInfo { identity: subject.identity.clone(), address: Some(from) };
        let (tls, lifetime) = (self.tls.clone(), self.limits.joining_lifetime);
        let end = async move {
            tokio::select! {
                reason = tls.ended(subject) => reason,
                () = tokio::time::sleep(lifetime) => "the time for renewal is over",
            }
        };
        Ok(PeerIo::new(stream, info).until(Box::pin(end)).counted(slot))
    }

    fn peer(&self, stream: TlsStream<TcpStream>, from: SocketAddr) -> Result<PeerIo, TransportError> {
        let subject = shown(&stream, ALPN_H2)?;
        let slot = slot(&self.connections, "connections", self.limits.connections)?;
        let info = PeerInfo { identity: subject.identity.clone(), address: Some(from) };
        let (tls, lifetime) = (self.tls.clone(), self.limits.lifetime);
        let end = async move {
            tokio::select! {
                reason = tls.ended(subject) => reason,
                () = tokio::time::sleep(lifetime) => "its time is over; the next call makes a new one",
            }
        };
        Ok(PeerIo::new(stream, info).until(Box::pin(end)).counted(slot))
    }

    async fn hand_on(&self, wish: Wish, io: PeerIo) {
        let door = match wish {
            Wish::Peer => &self.to_peers,
            Wish::Join => &self.to_joining,
            Wish::Renew => &self.to_renewing,
        };
        // Nobody serves this door any more; dropping the connection tells the caller.
        let _ = door.send(Ok(io)).await;
    }
}

/// Who showed a certificate, over this protocol. Without the check a caller that offers none at all would get in.
fn shown(stream: &TlsStream<TcpStream>, protocol: &[u8]) -> Result<Subject, TransportError> {
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(protocol) {
        return Err(TransportError::WrongProtocol);
    }
    let leaf = session.peer_certificates().and_then(<[_]>::first).ok_or(TransportError::NoCertificate)?;
    Subject::of(leaf).map_err(|fault| TransportError::BadIdentity { fault })
}

fn slot(
    semaphore: &Arc<Semaphore>,
    what: &'static str,
    limit: usize,
) -> Result<OwnedSemaphorePermit, TransportError> {
    semaphore.clone().try_acquire_owned().map_err(|_| TransportError::TooMany { what, limit })
}

/// Lets the alert reach the caller: ends our side, then reads on for a moment, see [`limits::LINGER_TIMEOUT`].
async fn linger(mut stream: TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        let mut buffer = [0; 4096];
        let mut total = 0;
        while total < limits::LINGER_BYTES_MAX {
            match stream.read(&mut buffer).await? {
                0 => break,
                read => total += read,
            }
        }
        io::Result::Ok(())
    };
    // Neither a time-out nor an error changes anything: the connection is refused and about to be dropped.
    let _ = timeout(limits::LINGER_TIMEOUT, drain).await;
}

impl Sources {
    fn enter(self: &Arc<Self>, source: IpAddr, limit: usize) -> Option<SourceSlot> {
        let mut counts = self.counts();
        let count = counts.entry(source).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(SourceSlot { sources: self.clone(), source })
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        // Counting cannot leave the map half-changed, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SourceSlot {
    fn drop(&mut self) {
        let mut counts = self.sources.counts();
        if let Some(count) = counts.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}
