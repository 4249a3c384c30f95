//! One request's way through the balancer. Never a second try: what was sent once may have been done.

use super::log::{Fault, Line, Request as Logged};
use super::pool::{Pick, Place, Pool};
use crate::demo::clock::unix_ms;
use crate::demo::inbound::{Reply, read_body, text};
use crate::demo::lines::LineLog;
use crate::demo::outbound::{self, CallError};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use hyper::{Request, Response, StatusCode};
use lockkeeper_core::ids::{BalancerName, MemberName};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The persistence cookie (HAProxy: `cookie SRV insert indirect nocache`).
const COOKIE_NAME: &str = "SRV";

/// To connect to a server (HAProxy's `timeout connect`); on loopback only a full queue takes time.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// For a server's answer (HAProxy's `timeout server`); above the demo client's 3 s, so that the client's own
/// deadline is what a user meets.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The status logged for a client that went away before its answer.
const CLIENT_GONE: u16 = 499;

/// Headers about one connection, not about the request: never passed on.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// The running balancer.
pub struct Balancer {
    backend: BalancerName,
    pool: Mutex<Pool>,
    log: LineLog,
    /// Told when a server's sessions are to end, one for each server.
    shutdowns: Vec<watch::Sender<u64>>,
    started_at: u64,
}

impl Balancer {
    pub fn new(backend: BalancerName, servers: Vec<(MemberName, SocketAddr)>, log: LineLog) -> Self {
        let shutdowns = servers.iter().map(|_| watch::channel(0).0).collect();
        let pool = Mutex::new(Pool::new(servers, log.clone()));
        Self { backend, pool, log, shutdowns, started_at: unix_ms() }
    }

    /// The backend's name.
    pub fn backend(&self) -> &BalancerName {
        &self.backend
    }

    /// When it started, Unix milliseconds.
    pub fn started_at(&self) -> u64 {
        self.started_at
    }

    /// The places of all servers.
    pub fn servers(&self) -> impl Iterator<Item = Place> {
        (0..self.shutdowns.len()).map(Place)
    }

    /// The servers; held only for a moment, never across an await.
    pub fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log.
    pub fn log(&self) -> &LineLog {
        &self.log
    }

    /// Ends a server's sessions; their clients get 502.
    pub fn shut_down_sessions(&self, place: Place) {
        if let Some(shutdown) = self.shutdowns.get(place.0) {
            shutdown.send_modify(|count| *count += 1);
        }
    }

    /// Answers one request, by a server or itself.
    pub async fn forward(self: Arc<Self>, peer: SocketAddr, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let (rest, cookie) = take_cookie(&head.headers);
        let mut entry = Entry {
            balancer: &self,
            start: unix_ms(),
            client: peer.port(),
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            pick: None,
            status: CLIENT_GONE,
            cookie: cookie.is_some(),
            fault: None,
        };
        let body = match read_body(body).await {
            Ok(body) => body,
            Err(refusal) => return entry.refuse(refusal),
        };
        let Some(pick) = self.pool().pick(cookie.as_deref()) else {
            return entry.fail(StatusCode::SERVICE_UNAVAILABLE, Fault::NoServer, "no server is available");
        };
        entry.pick = Some(pick.clone());
        let mut sent = Request::new(Full::new(body));
        *sent.method_mut() = head.method;
        *sent.uri_mut() = head.uri;
        *sent.headers_mut() = rest;
        if let Ok(from) = HeaderValue::from_str(&peer.ip().to_string()) {
            sent.headers_mut().append("x-forwarded-for", from);
        }
        match self.exchange(&pick, sent).await {
            Ok(answer) => entry.succeed(answer),
            Err(Fault::Connect) => {
                self.pool().count_connect_error(pick.place);
                entry.fail(StatusCode::SERVICE_UNAVAILABLE, Fault::Connect, "the server took no connection")
            }
            Err(fault) => {
                self.pool().count_response_error(pick.place);
                let status = match fault {
                    Fault::TimedOut => StatusCode::GATEWAY_TIMEOUT,
                    Fault::NoServer
                    | Fault::Connect
                    | Fault::Broken
                    | Fault::Shutdown
                    | Fault::BadRequest => StatusCode::BAD_GATEWAY,
                };
                entry.fail(status, fault, "the server's answer did not come")
            }
        }
    }

    /// One request on a connection of its own: a pooled one could be closed by a stopping server while the
    /// request is on its way, and that request would be lost.
    async fn exchange(&self, pick: &Pick, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Fault> {
        let Some(shutdown) = self.shutdowns.get(pick.place.0) else { return Err(Fault::NoServer) };
        let mut shutdown = shutdown.subscribe();
        let call = async {
            let _connection = Connection::count(self, pick.place);
            let mut sender = match timeout(CONNECT_LIMIT, outbound::connect(pick.addr)).await {
                Ok(Ok(sender)) => sender,
                Ok(Err(CallError::Connect(_) | CallError::Broken(_))) | Err(_) => return Err(Fault::Connect),
            };
            match timeout(ANSWER_LIMIT, outbound::call(&mut sender, request)).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(CallError::Connect(_) | CallError::Broken(_))) => Err(Fault::Broken),
                Err(_) => Err(Fault::TimedOut),
            }
        };
        tokio::select! {
            answer = call => answer,
            _ = shutdown.changed() => Err(Fault::Shutdown),
        }
    }
}

/// Counts a connection to a server for as long as it lives.
struct Connection<'a> {
    balancer: &'a Balancer,
    place: Place,
}

impl<'a> Connection<'a> {
    fn count(balancer: &'a Balancer, place: Place) -> Self {
        balancer.pool().connected(place);
        Self { balancer, place }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.balancer.pool().disconnected(self.place);
    }
}

/// A request's log line in the making. Written when it is dropped, however the request ended.
struct Entry<'a> {
    balancer: &'a Balancer,
    start: u64,
    client: u16,
    method: String,
    path: String,
    pick: Option<Pick>,
    status: u16,
    cookie: bool,
    fault: Option<Fault>,
}

impl Entry<'_> {
    fn succeed(mut self, answer: Response<Bytes>) -> Reply {
        self.status = answer.status().as_u16();
        let (mut head, body) = answer.into_parts();
        strip(&mut head.headers);
        if let Some(pick) = self.pick.as_ref().filter(|pick| !pick.persistent)
            && let Ok(cookie) = HeaderValue::from_str(&format!("{COOKIE_NAME}={}; path=/", pick.name))
        {
            head.headers.append(SET_COOKIE, cookie);
            head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        Response::from_parts(head, Full::new(body))
    }

    fn fail(mut self, status: StatusCode, fault: Fault, line: &str) -> Reply {
        (self.status, self.fault) = (status.as_u16(), Some(fault));
        let mut reply = text(status, line);
        reply.headers_mut().insert("x-balancer", HeaderValue::from_static(fault.as_str()));
        reply
    }

    fn refuse(mut self, reply: Reply) -> Reply {
        (self.status, self.fault) = (reply.status().as_u16(), Some(Fault::BadRequest));
        reply
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(pick) = &self.pick {
            self.balancer.pool().done(pick.place);
        }
        self.balancer.log.write(&Line::Request(Logged {
            start: self.start,
            end: unix_ms(),
            client: self.client,
            method: &self.method,
            path: &self.path,
            server: self.pick.as_ref().map(|pick| pick.name.as_str()),
            status: self.status,
            cookie: self.cookie,
            fault: self.fault,
        }));
    }
}

/// The headers to pass on, and the value of the persistence cookie, which the servers never see.
fn take_cookie(headers: &HeaderMap) -> (HeaderMap, Option<String>) {
    let mut rest = headers.clone();
    strip(&mut rest);
    rest.remove(COOKIE);
    let mut own = None;
    for value in headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()) {
        let mut others = Vec::new();
        for pair in value.split(';').map(str::trim) {
            match pair.split_once('=') {
                Some((COOKIE_NAME, value)) => own = Some(value.to_owned()),
                Some(_) | None => others.push(pair),
            }
        }
        if let Ok(value) = HeaderValue::from_str(&others.join("; "))
            && !others.is_empty()
        {
            rest.append(COOKIE, value);
        }
    }
    (rest, own)
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(HeaderName::from_static(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cookie_is_taken_out_and_others_are_passed_on() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=1; SRV=n2; b=2"));
        headers.insert("connection", HeaderValue::from_static("keep-alive"));
        let (rest, own) = take_cookie(&headers);
        assert_eq!(own.as_deref(), Some("n2"));
        assert_eq!(rest.get(COOKIE).unwrap(), "a=1; b=2");
        assert!(rest.get("connection").is_none());
        headers.insert(COOKIE, HeaderValue::from_static("SRV=n2"));
        assert!(take_cookie(&headers).0.get(COOKIE).is_none());
    }
}
