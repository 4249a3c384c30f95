//! One server's state and how commands and checks move it, as HAProxy 2.6 does. Pure: no sockets, no clock.

use serde::Serialize;

/// Consecutive passed checks that bring a server up.
pub const RISE: u8 = 2;
/// Consecutive failed checks that take it down.
pub const FALL: u8 = 2;
/// Health of a server that is as up as it gets.
pub const FULL: u8 = RISE + FALL - 1;

/// What an operator wants of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Admin {
    /// Takes what comes.
    Ready,
    /// Takes nothing and is not checked.
    Maint,
    /// Takes only those who hold its cookie.
    Drain,
}

impl Admin {
    /// The bits `show servers state` prints.
    pub fn bits(self) -> u8 {
        match self {
            Admin::Ready => 0,
            Admin::Maint => 1,
            Admin::Drain => 8,
        }
    }
}

/// Whether the checks (or leaving maint) make a server usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Nothing goes there.
    Down,
    /// It can answer.
    Up,
}

impl Op {
    /// The number `show servers state` prints.
    pub fn number(self) -> u8 {
        match self {
            Op::Down => 0,
            Op::Up => 2,
        }
    }
}

/// How a health check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// 2xx or 3xx.
    Passed {
        /// The HTTP status.
        status: u16,
    },
    /// Another status.
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// No connection.
    Refused,
    /// Connected, and no answer in time.
    TimedOut,
    /// Something that is no HTTP answer.
    Invalid,
}

impl Checked {
    /// HAProxy's word for it, and its number in `show servers state`.
    pub fn haproxy(self) -> (&'static str, u8) {
        match self {
            Checked::Passed { .. } => ("L7OK", 15),
            Checked::Status { .. } => ("L7STS", 17),
            Checked::Refused => ("L4CON", 8),
            Checked::TimedOut => ("L7TOUT", 12),
            Checked::Invalid => ("L7RSP", 13),
        }
    }

    /// The HTTP status, if there was one.
    pub fn status(self) -> Option<u16> {
        match self {
            Checked::Passed { status } | Checked::Status { status } => Some(status),
            Checked::Refused | Checked::TimedOut | Checked::Invalid => None,
        }
    }

    fn passed(self) -> bool {
        matches!(self, Checked::Passed { .. })
    }
}

/// A server's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    admin: Admin,
    op: Op,
    /// 0 to [`FULL`]; at least [`RISE`] while up.
    points: u8,
    last: Option<Checked>,
    /// Raised when maint is left: a check begun before says nothing about after.
    round: u64,
}

impl Default for Health {
    /// As after HAProxy's start: up at once, one failed check from down.
    fn default() -> Self {
        Self { admin: Admin::Ready, op: Op::Up, points: RISE, last: None, round: 0 }
    }
}

impl Health {
    /// What the operator wants.
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// Whether it counts as up.
    pub fn op(&self) -> Op {
        self.op
    }

    /// Points out of [`FULL`].
    pub fn points(&self) -> u8 {
        self.points
    }

    /// The last check's outcome.
    pub fn last(&self) -> Option<Checked> {
        self.last
    }

    /// Whether a request without a cookie may go there.
    pub fn takes_new(&self) -> bool {
        self.admin == Admin::Ready && self.op == Op::Up
    }

    /// Whether a request with this server's cookie goes there: also in drain.
    pub fn takes_persistent(&self) -> bool {
        self.op == Op::Up
    }

    /// Obeys `set server … state …`. Leaving maint counts as up at once, until the next check says otherwise.
    pub fn set(&mut self, admin: Admin) {
        match (self.admin, admin) {
            (Admin::Ready | Admin::Drain, Admin::Maint) => {
                self.op = Op::Down;
                self.points = 0;
            }
            (Admin::Maint, Admin::Ready | Admin::Drain) => {
                self.op = Op::Up;
                self.points = RISE;
                self.round += 1;
            }
            (Admin::Maint, Admin::Maint) | (Admin::Ready | Admin::Drain, Admin::Ready | Admin::Drain) => {}
        }
        self.admin = admin;
    }

    /// Obeys `set server … health up|down`: the checks go on from there. In maint the server stays down.
    pub fn force(&mut self, op: Op) {
        match (self.admin, op) {
            (Admin::Ready | Admin::Drain, Op::Up) => (self.op, self.points) = (Op::Up, FULL),
            (Admin::Ready | Admin::Drain, Op::Down) => (self.op, self.points) = (Op::Down, 0),
            (Admin::Maint, Op::Up | Op::Down) => {}
        }
    }

    /// The round a check begins in; none in maint, where there are no checks.
    pub fn check_begins(&self) -> Option<u64> {
        (self.admin != Admin::Maint).then_some(self.round)
    }

    /// Takes a check's outcome in, unless maint was entered or left since it began.
    pub fn checked(&mut self, begun_in: u64, outcome: Checked) {
        if self.check_begins() != Some(begun_in) {
            return;
        }
        self.last = Some(outcome);
        match (self.op, outcome.passed()) {
            (Op::Up, true) => self.points = (self.points + 1).min(FULL),
            (Op::Up, false) => self.points -= 1,
            (Op::Down, true) => self.points += 1,
            (Op::Down, false) => self.points = 0,
        }
        match self.op {
            Op::Up if self.points < RISE => {
                self.op = Op::Down;
                self.points = 0;
            }
            Op::Down if self.points >= RISE => {
                self.op = Op::Up;
                self.points = FULL;
            }
            Op::Up | Op::Down => {}
        }
    }

    /// The column `status` of `show stat`.
    pub fn status(&self) -> String {
        let up = match self.admin {
            Admin::Maint => return "MAINT".to_owned(),
            Admin::Ready => "UP",
            Admin::Drain => "DRAIN",
        };
        match self.op {
            Op::Up if self.points < FULL => format!("{up} {}/{FALL}", self.points - RISE + 1),
            Op::Up => up.to_owned(),
            Op::Down if self.points > 0 => format!("DOWN {}/{RISE}", self.points),
            Op::Down => "DOWN".to_owned(),
        }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
