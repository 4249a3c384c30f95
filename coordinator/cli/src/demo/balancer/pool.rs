//! The backend's servers: who gets the next request, and the counters `show stat` prints. Knows no sockets.

use super::health::{Admin, Checked, Health, Op};
use super::log::{Line, State};
use crate::demo::clock::unix_ms;
use crate::demo::lines::LineLog;
use lockkeeper_core::ids::MemberName;
use std::net::SocketAddr;

/// A server's place in the backend; HAProxy's `srv_id` less one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub usize);

/// A server with its counters.
#[derive(Debug)]
pub struct Server {
    /// Its name; also its cookie.
    pub name: MemberName,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its state.
    pub health: Health,
    /// Requests there now, and the most there ever were.
    pub sessions: Gauge,
    /// Connections to it now, checks among them, and the most there ever were.
    pub connections: Gauge,
    /// Requests ever sent there.
    pub total: u64,
    /// Connections that failed, and answers that did.
    pub connect_errors: u64,
    /// See `connect_errors`.
    pub response_errors: u64,
    /// Checks that failed, and how often it went down by them.
    pub check_fails: u64,
    /// See `check_fails`.
    pub downs: u64,
    /// The last change of admin or op state, Unix milliseconds.
    pub changed_at: u64,
}

/// A number that goes up and down, with its highest value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gauge {
    /// Now.
    pub now: u64,
    /// Ever.
    pub most: u64,
}

impl Gauge {
    fn up(&mut self) {
        self.now += 1;
        self.most = self.most.max(self.now);
    }

    fn down(&mut self) {
        self.now = self.now.saturating_sub(1);
    }
}

/// A server picked for a request.
#[derive(Debug, Clone)]
pub struct Pick {
    /// Which one.
    pub place: Place,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its name.
    pub name: MemberName,
    /// Whether the request's own cookie chose it; otherwise the answer sets the cookie.
    pub persistent: bool,
}

/// All servers of the one backend.
#[derive(Debug)]
pub struct Pool {
    servers: Vec<Server>,
    next: usize,
    /// Requests that found no server.
    refused: u64,
    log: LineLog,
}

impl Pool {
    /// All servers up, as after HAProxy's start; one log line for each.
    pub fn new(servers: Vec<(MemberName, SocketAddr)>, log: LineLog) -> Self {
        let at = unix_ms();
        let servers = servers
            .into_iter()
            .map(|(name, addr)| Server {
                name,
                addr,
                health: Health::default(),
                sessions: Gauge::default(),
                connections: Gauge::default(),
                total: 0,
                connect_errors: 0,
                response_errors: 0,
                check_fails: 0,
                downs: 0,
                changed_at: at,
            })
            .collect();
        let pool = Self { servers, next: 0, refused: 0, log };
        for server in &pool.servers {
            pool.say(server, at, "start");
        }
        pool
    }

    /// Every server, in order.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Finds a server by name.
    pub fn find(&self, name: &str) -> Option<Place> {
        self.servers.iter().position(|server| server.name.as_str() == name).map(Place)
    }

    /// Requests that found no server.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Picks a server and counts the request there: the cookie's own while it is up, else the next in turn of
    /// those that take new ones.
    pub fn pick(&mut self, cookie: Option<&str>) -> Option<Pick> {
        let own = cookie
            .and_then(|cookie| self.find(cookie))
            .filter(|place| self.server(*place).is_some_and(|server| server.health.takes_persistent()));
        let place = own.or_else(|| self.in_turn());
        let Some((place, server)) = place.and_then(|place| Some((place, self.servers.get_mut(place.0)?)))
        else {
            self.refused += 1;
            return None;
        };
        server.sessions.up();
        server.total += 1;
        Some(Pick { place, addr: server.addr, name: server.name.clone(), persistent: own.is_some() })
    }

    fn in_turn(&mut self) -> Option<Place> {
        let count = self.servers.len();
        let place = (self.next..self.next + count)
            .map(|turn| turn % count)
            .find(|place| self.servers.get(*place).is_some_and(|server| server.health.takes_new()))?;
        self.next = place + 1;
        Some(Place(place))
    }

    /// A picked request has ended.
    pub fn done(&mut self, place: Place) {
        self.change(place, |server| server.sessions.down());
    }

    /// A connection to a server was opened, for a request or a check.
    pub fn connected(&mut self, place: Place) {
        self.change(place, |server| server.connections.up());
    }

    /// It was closed.
    pub fn disconnected(&mut self, place: Place) {
        self.change(place, |server| server.connections.down());
    }

    /// Counts a request that got no connection.
    pub fn count_connect_error(&mut self, place: Place) {
        self.change(place, |server| server.connect_errors += 1);
    }

    /// Counts a request that got no whole answer.
    pub fn count_response_error(&mut self, place: Place) {
        self.change(place, |server| server.response_errors += 1);
    }

    /// Obeys `set server … state …`.
    pub fn set(&mut self, place: Place, admin: Admin, command: &str) {
        self.with_log(place, command, |server| server.health.set(admin));
    }

    /// Obeys `set server … health …`.
    pub fn force(&mut self, place: Place, op: Op, command: &str) {
        self.with_log(place, command, |server| server.health.force(op));
    }

    /// The round a check of this server begins in; none if it is not to be checked now.
    pub fn check_begins(&self, place: Place) -> Option<(SocketAddr, u64)> {
        let server = self.server(place)?;
        Some((server.addr, server.health.check_begins()?))
    }

    /// Takes a check's outcome in.
    pub fn checked(&mut self, place: Place, begun_in: u64, outcome: Checked) {
        let (word, _) = outcome.haproxy();
        self.with_log(place, &format!("check {word}"), |server| {
            let before = server.health.op();
            server.health.checked(begun_in, outcome);
            if !matches!(outcome, Checked::Passed { .. }) {
                server.check_fails += 1;
                server.downs += u64::from(before != server.health.op());
            }
        });
    }

    fn server(&self, place: Place) -> Option<&Server> {
        self.servers.get(place.0)
    }

    fn change(&mut self, place: Place, change: impl FnOnce(&mut Server)) {
        if let Some(server) = self.servers.get_mut(place.0) {
            change(server);
        }
    }

    /// Makes a change and logs it if it moved admin or op. The caller holds the lock that picks servers, so the
    /// time is taken after the last request that saw the old state was picked.
    fn with_log(&mut self, place: Place, cause: &str, change: impl FnOnce(&mut Server)) {
        let Some(server) = self.servers.get_mut(place.0) else { return };
        let before = (server.health.admin(), server.health.op());
        change(server);
        if before != (server.health.admin(), server.health.op()) {
            let at = unix_ms();
            server.changed_at = at;
            if let Some(server) = self.server(place) {
                self.say(server, at, cause);
            }
        }
    }

    fn say(&self, server: &Server, at: u64, cause: &str) {
        self.log.write(&Line::State(State {
            at,
            server: server.name.as_str(),
            admin: server.health.admin(),
            admin_bits: server.health.admin().bits(),
            op: server.health.op().number(),
            status: &server.health.status(),
            cause,
        }));
    }
}
