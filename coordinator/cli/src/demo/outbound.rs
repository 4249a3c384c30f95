//! Opening one HTTP/1.1 connection as a client. Knows no retries: whoever asks decides what a failure means.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// The longest answer read, in bytes; the demo's answers have some hundred.
const ANSWER_MAX: usize = 1024 * 1024;

/// The sending half of an open connection.
pub type Sender = SendRequest<Full<Bytes>>;

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection: not a byte of the request was sent.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The connection broke before the answer was whole.
    #[error("the answer did not come: {0}")]
    Broken(String),
}

/// Connects. The caller sets the deadline.
pub async fn connect(addr: SocketAddr) -> Result<Sender, CallError> {
    let stream = TcpStream::connect(addr).await.map_err(CallError::Connect)?;
    let _ = stream.set_nodelay(true);
    let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends by itself when the sender is dropped and the last answer is read; its error reaches the caller too.
    tokio::spawn(async move {
        let _ = driver.await;
    });
    Ok(sender)
}

/// Sends one request and reads the whole answer. The caller sets the deadline.
pub async fn call(sender: &mut Sender, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, CallError> {
    let answer = sender.send_request(request).await.map_err(broken)?;
    let (head, body) = answer.into_parts();
    let body =
        Limited::new(body, ANSWER_MAX).collect().await.map_err(|e| CallError::Broken(e.to_string()))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn broken(error: hyper::Error) -> CallError {
    CallError::Broken(error.to_string())
}
