//! A connection with the identity of its peer, whatever carries it: TLS, a unix socket, a simulated wire.

use futures::Stream;
use futures::future::BoxFuture;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::Connected;

use super::error::TransportError;
use super::peer::PeerInfo;

/// What a server accepts from: connections whose peers are already identified. An error of the stream ends the
/// server, so errors of single connections never appear here.
pub type Incoming = Pin<Box<dyn Stream<Item = io::Result<PeerIo>> + Send>>;

/// Anything bytes can go over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// An accepted connection and who is at its other end.
pub struct PeerIo {
    wire: Box<dyn Wire>,
    info: PeerInfo,
    end: End,
    // Held for its `Drop`: the connection counts against a limit while it lives.
    _slot: Option<OwnedSemaphorePermit>,
}

enum End {
    /// Lives as long as both sides like.
    Open,
    /// Ends, for the reason it gives, when the future resolves.
    When(BoxFuture<'static, &'static str>),
    /// Has ended.
    Ended(&'static str),
}

impl PeerIo {
    /// A connection whose peer was identified by the caller. Simulations bring their own wires in by this.
    pub fn new(wire: impl Wire + 'static, info: PeerInfo) -> Self {
        Self { wire: Box::new(wire), info, end: End::Open, _slot: None }
    }

    /// Ends the connection when `condition` resolves; its value tells why.
    pub(super) fn until(self, condition: BoxFuture<'static, &'static str>) -> Self {
        Self { end: End::When(condition), ..self }
    }

    /// Counts the connection against a limit while it lives.
    pub(super) fn counted(self, slot: OwnedSemaphorePermit) -> Self {
        Self { _slot: Some(slot), ..self }
    }

    /// Who it is.
    pub fn info(&self) -> &PeerInfo {
        &self.info
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let End::When(condition) = &mut self.end
            && let Poll::Ready(reason) = condition.as_mut().poll(cx)
        {
            tracing::info!(peer = %self.info.identity, reason, "connection ended");
            self.end = End::Ended(reason);
        }
        match &self.end {
            End::Ended(reason) => Err(TransportError::Ended { reason }.into()),
            End::Open | End::When(_) => Ok(()),
        }
    }
}

impl AsyncRead for PeerIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.wire).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PeerIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.wire).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

impl Connected for PeerIo {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.info.clone()
    }
}

impl fmt::Debug for PeerIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerIo").field("info", &self.info).finish_non_exhaustive()
    }
}
