//! A user: kept connections and a cookie jar. Sends one request when asked to and never tries again.

use super::record::Kind;
use crate::demo::outbound::{self, CallError, Sender};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, COOKIE, HOST, HeaderValue, SET_COOKIE};
use hyper::{Method, Request, Response};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One user. Requests of one user may overlap: a busy connection is not waited for, a new one is opened.
pub struct User {
    kind: Kind,
    target: SocketAddr,
    kept: Mutex<VecDeque<Sender>>,
    jar: Mutex<Option<String>>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// GET or POST.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The body; empty for GET.
    pub body: Bytes,
}

impl User {
    pub fn new(kind: Kind, target: SocketAddr) -> Self {
        Self { kind, target, kept: Mutex::new(VecDeque::new()), jar: Mutex::new(None) }
    }

    /// Which kind of user.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Sends one request. The caller sets the deadline.
    pub async fn ask(&self, ask: Ask) -> Result<Response<Bytes>, CallError> {
        let request = self.request(ask).map_err(|error| CallError::Broken(error.to_string()))?;
        let mut sender = match self.idle() {
            Some(sender) => sender,
            None => outbound::connect(self.target).await?,
        };
        let answer = outbound::call(&mut sender, request).await?;
        self.remember(&answer);
        if self.kind != Kind::Fresh && sender.ready().await.is_ok() {
            lock(&self.kept).push_back(sender);
        }
        Ok(answer)
    }

    fn request(&self, ask: Ask) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request =
            Request::builder().method(ask.method).uri(ask.path).header(HOST, self.target.to_string());
        if self.kind == Kind::Fresh {
            request = request.header(CONNECTION, "close");
        }
        if let Some(cookie) = lock(&self.jar).as_ref() {
            request = request.header(COOKIE, HeaderValue::from_str(cookie)?);
        }
        request.body(Full::new(ask.body))
    }

    /// The connection unused for longest, so that none grows old; closed ones are dropped on the way.
    fn idle(&self) -> Option<Sender> {
        let mut kept = lock(&self.kept);
        while let Some(sender) = kept.pop_front() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn remember(&self, answer: &Response<Bytes>) {
        if self.kind != Kind::Sticky {
            return;
        }
        let mut set = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        if let Some(pair) = set.next_back().and_then(|value| value.split(';').next()) {
            *lock(&self.jar) = Some(pair.to_owned());
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
