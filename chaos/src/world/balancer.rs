//! The balancer: what it is told, what it checks itself, and the users' requests it passes on.

use super::{Fact, World, site::fits};
use lockkeeper_core::ids::MemberName;
use rand::Rng as _;
use std::{collections::BTreeMap, fmt};

/// How often it checks its servers.
const CHECK_MS: u64 = 200;

/// What it was told about a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// Gets requests while its checks pass.
    Ready,
    /// Gets no new requests.
    Drain,
    /// Out.
    Maint,
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Admin::Ready => "ready",
            Admin::Drain => "drain",
            Admin::Maint => "maint",
        })
    }
}

impl Admin {
    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        [Admin::Ready, Admin::Drain, Admin::Maint].into_iter().find(|admin| admin.to_string() == word)
    }
}

/// A server of the balancer.
#[derive(Debug, Clone)]
pub struct Server {
    /// What it was told.
    pub admin: Admin,
    /// Whether its last check passed.
    pub up: bool,
    /// When its requests end.
    requests: Vec<u64>,
}

impl Server {
    /// Requests in progress, as the balancer counts them.
    pub fn sessions(&self) -> u32 {
        u32::try_from(self.requests.len()).unwrap_or(u32::MAX)
    }
}

/// The balancer.
#[derive(Debug)]
pub struct Balancer {
    /// Its servers, by member.
    pub servers: BTreeMap<MemberName, Server>,
    next_check: u64,
    next_request: u64,
    turn: usize,
}

impl Balancer {
    pub(super) fn new(members: &[MemberName]) -> Self {
        let server = Server { admin: Admin::Ready, up: true, requests: Vec::new() };
        let servers = members.iter().map(|m| (m.clone(), server.clone())).collect();
        Self { servers, next_check: 0, next_request: 0, turn: 0 }
    }
}

impl World {
    /// Changes what the balancer was told about a member.
    pub fn set_admin(&mut self, member: &MemberName, to: Admin, by: &super::EffectId) {
        let Some(server) = self.balancer.servers.get_mut(member) else { return };
        let (from, sessions) = (server.admin, server.sessions());
        server.admin = to;
        if from != to {
            self.note(Some(member), Some(by), Fact::Admin { from, to, sessions });
        }
    }

    /// Somebody takes a member out before anything begins; it is not Lockkeeper's to bring it back.
    pub fn take_out(&mut self, number: usize) {
        if let Some(server) = self.balancer.servers.values_mut().nth(number) {
            server.admin = Admin::Maint;
        }
    }

    /// Ends a server's requests.
    pub fn force(&mut self, member: &MemberName, by: &super::EffectId) {
        let Some(server) = self.balancer.servers.get_mut(member) else { return };
        let sessions = server.sessions();
        server.requests.clear();
        self.note(Some(member), Some(by), Fact::Forced { sessions });
    }

    pub(super) fn advance_balancer(&mut self) {
        let now = self.now;
        for server in self.balancer.servers.values_mut() {
            server.requests.retain(|end| *end > now);
        }
        if now >= self.balancer.next_check {
            self.balancer.next_check = now + CHECK_MS;
            for (member, server) in &mut self.balancer.servers {
                server.up = self.sites.get(member).is_some_and(|site| site.answers().is_some());
            }
        }
        if now >= self.balancer.next_request {
            self.balancer.next_request = now + self.luck.requests_every;
            self.request();
        }
    }

    /// A user asks something.
    fn request(&mut self) {
        let ready: Vec<_> = self
            .balancer
            .servers
            .iter()
            .filter(|(_, server)| server.admin == Admin::Ready && server.up)
            .map(|(member, _)| member.clone())
            .collect();
        self.balancer.turn = self.balancer.turn.wrapping_add(1);
        let Some(member) = self.balancer.turn.checked_rem(ready.len()).and_then(|at| ready.get(at)).cloned()
        else {
            return;
        };
        let answer = self.sites.get(&member).and_then(|site| site.answers()).map(str::to_owned);
        let well = answer.as_ref().is_some_and(|version| fits(version, self.database.schema));
        let long = self.random.random_ratio(1, 50);
        let takes = if long { 600 } else { self.random.random_range(5..60) };
        if let Some(server) = self.balancer.servers.get_mut(&member) {
            server.requests.push(self.now + takes);
        }
        self.note(Some(&member), None, Fact::Answer { version: answer.unwrap_or_default(), well });
    }
}
