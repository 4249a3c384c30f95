//! The world's own books: what happened to it, in order. The oracles read these and nothing else of the outside.

use super::{Admin, LedgerState, Principal};
use lockkeeper_core::{
    ids::{Attempt, MemberName, RolloutId, StepId, Token},
    plan::{ActionKind, Target},
};
use std::fmt;

/// What an effect calls itself: the attempt it belongs to, as the agent said it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EffectId {
    /// Which rollout.
    pub rollout: RolloutId,
    /// Which step.
    pub step: StepId,
    /// Which try.
    pub attempt: Attempt,
    /// Its token.
    pub token: Token,
    /// What kind of action.
    pub kind: ActionKind,
    /// On what.
    pub target: Target,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says; the variants are described")]
pub enum Fact {
    /// The effect was carried out and changed something (or would have, had it not been so already).
    Effect { changed: bool },
    /// A release directory was filled.
    Staged { version: String },
    /// The link to the release in use was moved.
    Linked { version: String },
    /// A service began to start, by an effect or by its machine's switching on.
    Starting { version: String, by_itself: bool },
    /// A service answers.
    Serving { version: String },
    /// A service refused to serve: its release does not fit the schema.
    Refused { version: String, schema: u32 },
    /// A service began to stop.
    Stopping { sessions: u32 },
    /// A service has ended.
    Ended,
    /// A member was proven by its probes, without a break for the whole time.
    Proved { version: String },
    /// The balancer's setting of a member was changed.
    Admin { from: Admin, to: Admin, sessions: u32 },
    /// The balancer ended sessions that did not end in time.
    Forced { sessions: u32 },
    /// A request was answered by this member, or not.
    Answer { version: String, well: bool },
    /// The door was shut on everybody but infrastructure.
    DoorShut,
    /// The door was opened again.
    DoorOpened,
    /// The grant ledger took a token.
    Ledger { token: Token, state: LedgerState },
    /// The grant ledger refused a token that is below the highest.
    LedgerRefused { token: Token, highest: Token },
    /// A login was made for a grant's holder.
    HolderAdmitted { token: Token, holder: MemberName },
    /// That login is gone and its sessions with it; the schema was so then.
    HolderOut { token: Token, schema: u32 },
    /// A session began.
    Connected { who: Principal },
    /// A session ended or was ended.
    Disconnected { who: Principal },
    /// Nobody can write, as the session list says.
    NoWriters,
    /// A backup set was taken.
    BackupTaken { set: String, rows: u64 },
    /// A backup set was proven by restoring it.
    BackupProven { set: String },
    /// A proven set took the database's place.
    Restored { set: String, rows: u64 },
    /// The upgrade tool was started as a unit.
    UnitStarted { unit: String },
    /// An upgrade began in the database.
    UpgradeBegan { token: Token, holder: MemberName },
    /// It wrote.
    UpgradeWrote { token: Token },
    /// It was refused: its login is void.
    UpgradeRefused { token: Token },
    /// It ended in the database.
    UpgradeEnded { token: Token, well: bool, schema: u32 },
    /// A machine lost its power or came on again.
    Power { on: bool },
    /// A machine was frozen or thawed.
    Frozen { frozen: bool },
    /// A statement to the ledger was held up on its way; whoever sent it does not wait for it.
    Late { ms: u64 },
    /// An effect went wrong, as ordered.
    Misfortune { what: String },
}

/// A line of the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, virtual ms.
    pub at: u64,
    /// On or from which machine.
    pub site: Option<MemberName>,
    /// By which effect; none for what happens by itself.
    pub by: Option<EffectId>,
    /// What.
    pub fact: Fact,
}

/// All lines, oldest first.
#[derive(Debug, Default)]
pub struct Books {
    lines: Vec<Line>,
}

impl Books {
    /// Adds a line.
    pub fn write(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// All lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rollout, step, attempt, token, kind, target } = self;
        write!(f, "{kind} {target} (rollout {rollout} step {step} attempt {attempt} token {token})")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = self.site.as_ref().map_or("-", MemberName::as_str);
        write!(f, "{:>8} {site:<4} {:?}", self.at, self.fact)?;
        match &self.by {
            Some(by) => write!(f, " by {by}"),
            None => Ok(()),
        }
    }
}
