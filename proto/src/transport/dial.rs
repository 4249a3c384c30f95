//! Making channels to other agents. The rest of the product knows a [`Dialer`] only.

use bytes::BytesMut;
use hyper_util::rt::TokioIo;
use lockkeeper_core::ids::ClusterId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

use super::config::{ALPN_H2, ALPN_RENEW, joiner};
use super::digest::CaDigest;
use super::error::TransportError;
use super::limits;
use super::peer::ExpectedPeer;
use super::reason::reason;
use super::tls::Tls;

/// Room for the server's first frames; what does not fit is read later.
const FIRST_READ: usize = 256;

/// Makes channels. Rustls is one implementation, a simulated wire another.
pub trait Dialer: Send + Sync {
    /// A channel to `expect` at `address` (`host:port`). Nothing happens before the first call; a broken connection is
    /// made anew by the next call. Errors of the connection appear as `Unavailable`, see [`super::code_of`]. A call
    /// that meets the end of an old connection (certificates are renewed, peers stop) may end as `Cancelled`: it was
    /// not sent and may be repeated.
    fn channel(&self, address: &str, expect: ExpectedPeer) -> Channel;
}

/// Dials with our certificate over TLS.
#[derive(Debug, Clone)]
pub struct TlsDialer {
    tls: Tls,
}

impl TlsDialer {
    /// Dials with whatever `tls` holds at each connect.
    pub fn new(tls: Tls) -> Self {
        Self { tls }
    }
}

impl Dialer for TlsDialer {
    fn channel(&self, address: &str, expect: ExpectedPeer) -> Channel {
        let (tls, target) = (self.tls.clone(), address.to_owned());
        channel(move || {
            let state = tls.state();
            let config = state.configs.client(&state.trust, expect.clone(), ALPN_H2);
            connect(target.clone(), Ok(config))
        })
    }
}

/// A channel for renewal to `expect` at `address`. The server takes our certificate also when it has expired, and
/// offers nothing but renewal.
pub fn renew_channel(tls: &Tls, address: &str, expect: ExpectedPeer) -> Channel {
    let (tls, target) = (tls.clone(), address.to_owned());
    channel(move || {
        let state = tls.state();
        let config = state.configs.client(&state.trust, expect.clone(), ALPN_RENEW);
        connect(target.clone(), Ok(config))
    })
}

/// A channel for enrolment: nothing is sent before the server showed a chain under the `authority` that the token
/// names. `cluster` as in the token.
pub fn join_channel(address: &str, cluster: ClusterId, authority: CaDigest) -> Channel {
    let target = address.to_owned();
    channel(move || connect(target.clone(), joiner(cluster.clone(), authority)))
}

/// A channel to the agent's socket on this machine.
pub fn unix_channel(path: PathBuf) -> Channel {
    channel(move || {
        let path = path.clone();
        async move {
            let stream = UnixStream::connect(&path).await.map_err(|error| TransportError::Connect {
                address: path.display().to_string(),
                source: Arc::new(error),
            })?;
            Ok(stream)
        }
    })
}

/// A lazy channel over connections that `connect` makes, with the limits every channel of ours has. Simulations
/// bring their own wires in by this.
pub fn channel<C, F, W>(connect: C) -> Channel
where
    C: Fn() -> F + Send + 'static,
    F: Future<Output = io::Result<W>> + Send + 'static,
    W: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // The URI only fills HTTP/2's `:authority`; who is at the other end is decided by its certificate.
    Endpoint::from_static("http://lockkeeper")
        .connect_timeout(limits::CONNECT_TIMEOUT)
        .http2_keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(limits::HEADERS_BYTES_MAX)
        .connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let made = connect();
            async move { made.await.map(TokioIo::new) }
        }))
}

async fn connect(address: String, config: Result<Arc<ClientConfig>, TransportError>) -> io::Result<Admitted> {
    let config = config?;
    let name = server_name(&address)?;
    let unreachable =
        |error: io::Error| TransportError::Connect { address: address.clone(), source: Arc::new(error) };
    let stream = TcpStream::connect(&address).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(reason)?;
    if stream.get_ref().1.alpn_protocol().is_none() {
        return Err(TransportError::WrongProtocol.into());
    }
    admitted(stream).await
}

/// Waits until the server has let us in. In TLS 1.3 a client has finished before the server looks at its certificate,
/// and HTTP/2 would turn the refusal into text; an HTTP/2 server speaks first, so one read tells.
async fn admitted(mut stream: TlsStream<TcpStream>) -> io::Result<Admitted> {
    let mut first = BytesMut::with_capacity(FIRST_READ);
    let read = stream.read_buf(&mut first).await.map_err(reason)?;
    if read == 0 {
        return Err(reason(io::ErrorKind::UnexpectedEof.into()).into());
    }
    Ok(Admitted { first, stream })
}

/// The library wants a name to connect to; our verifiers ignore it, and it is never sent (no SNI).
fn server_name(address: &str) -> Result<ServerName<'static>, TransportError> {
    let bad = || TransportError::BadAddress { address: address.to_owned() };
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let _: u16 = port.parse().map_err(|_| bad())?;
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| bad())
}

/// The server's first bytes, and the stream they came from.
struct Admitted {
    first: BytesMut,
    stream: TlsStream<TcpStream>,
}

impl AsyncRead for Admitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let take = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first.split_to(take));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
