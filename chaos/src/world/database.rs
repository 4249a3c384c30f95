//! The shared database: schema, door, grant ledger, sessions, backups. Its only protection is what is asked of it.

use super::{Fact, World};
use lockkeeper_core::ids::{MemberName, Token};
use std::collections::{BTreeMap, BTreeSet};

/// How long the engine keeps the session of a machine that vanished.
pub const GHOST_MS: u64 = 1_500;

/// Names a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// With what somebody logs in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Login {
    /// The application's login on a member.
    App(MemberName),
    /// The login minted for a grant.
    Grant {
        /// Who holds it.
        holder: MemberName,
        /// Under which token.
        token: Token,
        /// What the holder's secret proves.
        verifier: String,
    },
    /// Somebody nobody knows.
    Stranger,
}

/// Who has a session, for the books.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// The application on a member.
    App(MemberName),
    /// The holder of a grant.
    Holder(MemberName, Token),
    /// Somebody nobody knows.
    Stranger,
}

impl Login {
    /// Who that is.
    pub fn principal(&self) -> Principal {
        match self {
            Login::App(member) => Principal::App(member.clone()),
            Login::Grant { holder, token, .. } => Principal::Holder(holder.clone(), *token),
            Login::Stranger => Principal::Stranger,
        }
    }
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Logged in with this.
    pub login: Login,
    /// Its machine vanished; the engine notices then.
    pub ends: Option<u64>,
}

/// Where a grant stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerState {
    /// The holder may come in.
    Open,
    /// The holder is out.
    Closed,
}

/// The database.
#[derive(Debug)]
pub struct Database {
    /// The schema's version.
    pub schema: u32,
    /// Whether ordinary logins may come in.
    pub open: bool,
    /// The minted login that may come in.
    pub admitted: Option<(MemberName, Token, String)>,
    /// The grant ledger's row.
    pub ledger: Option<(Token, LedgerState)>,
    /// The grant that was closed last; it never opens again.
    pub closed: Option<Token>,
    /// Present sessions.
    pub sessions: BTreeMap<SessionId, Session>,
    /// Rows the application has written.
    pub rows: u64,
    /// Backup sets with the rows they hold.
    pub sets: BTreeMap<String, u64>,
    /// Those that were restored and compared.
    pub proven: BTreeSet<String>,
    /// The token of the restore that put a set in its place.
    pub restored: Option<Token>,
    /// Rows when the door was last opened.
    pub opened: Option<u64>,
    next_session: u64,
    next_row: u64,
}

impl Database {
    /// With the old schema and an open door.
    pub fn new() -> Self {
        Self {
            schema: super::OLD.1,
            open: true,
            admitted: None,
            ledger: None,
            closed: None,
            sessions: BTreeMap::new(),
            rows: 1_000,
            sets: BTreeMap::new(),
            proven: BTreeSet::new(),
            restored: None,
            opened: None,
            next_session: 0,
            next_row: 0,
        }
    }

    /// Opens a session without asking.
    pub(super) fn connect(&mut self, login: Login) -> SessionId {
        self.next_session += 1;
        let id = SessionId(self.next_session);
        self.sessions.insert(id, Session { login, ends: None });
        id
    }

    /// Whether somebody with this login is let in now.
    pub fn lets_in(&self, login: &Login) -> bool {
        match login {
            Login::App(_) | Login::Stranger => self.open,
            Login::Grant { holder, token, verifier } => {
                self.admitted.as_ref().is_some_and(|(h, t, v)| h == holder && t == token && v == verifier)
            }
        }
    }

    /// Sessions of principals that can write.
    pub fn writers(&self) -> impl Iterator<Item = &Login> {
        self.sessions.values().map(|session| &session.login)
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Logs in, if the door lets it.
    pub fn log_in(&mut self, site: &MemberName, login: Login) -> Option<SessionId> {
        if !self.database.lets_in(&login) {
            return None;
        }
        let who = login.principal();
        let id = self.database.connect(login);
        self.note(Some(site), None, Fact::Connected { who });
        Some(id)
    }

    /// Ends a session.
    pub fn log_out(&mut self, id: SessionId) {
        if let Some(session) = self.database.sessions.remove(&id) {
            self.note(None, None, Fact::Disconnected { who: session.login.principal() });
        }
    }

    /// Ends every session that `which` names.
    pub fn kick(&mut self, which: impl Fn(&Login) -> bool) {
        let out: Vec<_> =
            self.database.sessions.iter().filter(|(_, s)| which(&s.login)).map(|(id, _)| *id).collect();
        for id in out {
            self.log_out(id);
        }
    }

    /// A session whose machine vanished stays until the engine notices.
    pub fn orphan(&mut self, id: SessionId) {
        let now = self.now;
        if let Some(session) = self.database.sessions.get_mut(&id) {
            session.ends = Some(now + GHOST_MS);
        }
    }

    pub(super) fn advance_database(&mut self) {
        let now = self.now;
        let due: Vec<_> = self
            .database
            .sessions
            .iter()
            .filter(|(_, s)| s.ends.is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.log_out(id);
        }
        if now >= self.database.next_row {
            self.database.next_row = now + 250;
            let serving =
                self.database.sessions.values().filter(|s| matches!(s.login, Login::App(_))).count();
            self.database.rows += u64::try_from(serving).unwrap_or(0);
        }
    }
}
