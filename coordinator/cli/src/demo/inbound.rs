//! Serving HTTP/1.1 on loopback with an end that loses no request. Knows connections, not what is served.

use super::stop::{Stop, told};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections served at a time; beyond it the kernel's queue holds them. The demo's client needs at most
/// 360 (120 requests/s, each at most 3 s) beside its idle ones.
const CONNECTIONS_MAX: usize = 2_048;

/// The longest request body read, in bytes; a note is some hundred bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// How long a connection may take to send a request's head, counted also while it is idle. Far above the
/// demo's run, so that a kept connection is not closed under a request.
const HEAD_LIMIT: Duration = Duration::from_secs(120);

/// After the wish to end, how long an open connection may still bring a request, which is answered with
/// `Connection: close`. Closing at once would cut requests that are already on their way.
const LINGER: Duration = Duration::from_millis(250);

/// From the wish to end to the last connection's end. The promise is 2 s for the whole process.
const END_LIMIT: Duration = Duration::from_millis(1_600);

/// A whole answer.
pub type Reply = Response<Full<Bytes>>;

/// Answers with JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Answers with one line of text.
pub fn text(status: StatusCode, line: &str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(format!("{line}\n"))));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    reply
}

/// Reads a request's body of at most [`BODY_MAX`] bytes, or says with which answer to refuse it.
pub async fn read_body(body: Incoming) -> Result<Bytes, Reply> {
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(text(StatusCode::PAYLOAD_TOO_LARGE, "at most 64 KiB"))
        }
        Err(_) => Err(text(StatusCode::BAD_REQUEST, "the body ended too early")),
    }
}

/// Serves until told to stop; then takes what waits in the kernel's queue, lets requests finish and returns
/// within [`END_LIMIT`].
pub async fn serve<F, A>(listener: TcpListener, stop: Stop, answer: F) -> std::io::Result<()>
where
    F: Fn(SocketAddr, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Reply> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        tokio::select! {
            accepted = accept(&listener, &room) => {
                if let Some((stream, peer, permit)) = accepted {
                    let served = connection(stream, peer, stop.clone(), answer.clone());
                    connections.spawn(async move { served.await; drop(permit); });
                }
            }
            Some(_) = connections.join_next() => {}
            () = told(&stop) => break,
        }
    }
    let deadline = tokio::time::Instant::now() + END_LIMIT;
    // Whoever is in the kernel's queue believes to be connected: dropping the listener would reset them.
    let queue = listener.into_std()?;
    while let Ok((stream, peer)) = queue.accept() {
        stream.set_nonblocking(true)?;
        connections.spawn(connection(TcpStream::from_std(stream)?, peer, stop.clone(), answer.clone()));
    }
    drop(queue);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout_at(deadline, all).await.is_err() {
        tracing::warn!(open = connections.len(), "connections were still busy at the end");
        connections.shutdown().await;
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            tracing::warn!(%error, "accept failed");
            // Out of descriptors or a peer that went away: a pause keeps this from spinning.
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

async fn connection<F, A>(stream: TcpStream, peer: SocketAddr, stop: Stop, answer: F)
where
    F: Fn(SocketAddr, Request<Incoming>) -> A,
    A: Future<Output = Reply>,
{
    // Without it small answers wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let stopping = stop.clone();
    let service = service_fn(move |request| {
        let reply = answer(peer, request);
        let stopping = stopping.clone();
        async move {
            let mut reply = reply.await;
            if *stopping.borrow() {
                reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(reply)
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    tokio::select! {
        _ = &mut served => return,
        () = told(&stop) => {}
    }
    if tokio::time::timeout(LINGER, &mut served).await.is_err() {
        served.as_mut().graceful_shutdown();
        // An error here is a peer that went away.
        let _ = served.await;
    }
}
