//! Balancers: taking one server out and putting it back, in the order that loses no request.
//!
//! Knows nothing about members or rollouts; it is handed a server's name and the state to give back.

pub mod admit;
pub mod answer;
pub mod drain;
pub mod haproxy;

pub use haproxy::Haproxy;

use crate::code::HostCode;
use lockkeeper_agent::host::Failure;

/// What an operator or a coordinator wants of a server, as three stable words. They are what is captured and owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// Takes traffic if its checks pass.
    Ready,
    /// Takes no new clients; the ones with its cookie still reach it.
    Drain,
    /// Takes nobody, and its checks rest.
    Maint,
}

impl Admin {
    /// The word, also HAProxy's.
    pub const fn as_str(self) -> &'static str {
        match self {
            Admin::Ready => "ready",
            Admin::Drain => "drain",
            Admin::Maint => "maint",
        }
    }

    /// Reads a captured word.
    pub fn parse(word: &str) -> Result<Self, Failure> {
        match word {
            "ready" => Ok(Admin::Ready),
            "drain" => Ok(Admin::Drain),
            "maint" => Ok(Admin::Maint),
            other => Err(HostCode::CapturedValue
                .failure(format!("{other:?} is not a captured state; known: ready, drain, maint"))),
        }
    }
}

impl std::fmt::Display for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the balancer itself says of a server, in one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What it was told.
    pub admin: Admin,
    /// The bits behind that.
    pub admin_bits: u32,
    /// Whether it holds the server for up.
    pub up: bool,
    /// Its own word for both, such as `DRAIN 1/3`.
    pub status: String,
    /// Whether it checks the server at all.
    pub checked: bool,
    /// What its checks said since they last began, if they are complete enough to tell.
    pub health: Option<Health>,
    /// Requests being worked on and waiting.
    pub sessions: u64,
}

/// Where a server's checks stand: from 0, up from `rise` on, full at `rise + fall - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Points now.
    pub points: u32,
    /// Passed checks in a row that make a server up.
    pub rise: u32,
    /// Failed checks in a row that make it down.
    pub fall: u32,
}

impl Health {
    /// Full points. After maintenance a server is up with only `rise` points and not one check made, so full points are
    /// a proof exactly if they lie above that.
    pub const fn is_full(self) -> bool {
        self.points >= self.rise + self.fall.saturating_sub(1)
    }
}

impl Reading {
    /// Whether the balancer's own check passed since the checks began again.
    pub fn check_passed(&self) -> bool {
        match (self.checked, self.health) {
            (false, _) => self.up,
            (true, Some(health)) => self.up && health.is_full(),
            (true, None) => self.up && !self.status.contains('/'),
        }
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let up = if self.up { "up" } else { "down" };
        write!(
            f,
            "admin {} ({}), {up} ({}), {} sessions",
            self.admin, self.admin_bits, self.status, self.sessions
        )
    }
}
