//! The boot guard: whether the application may start on this host now. One pure function over what could be seen.
//!
//! The guard errs where it costs least. A member that a rollout stopped, or whose version does not fit the schema, would
//! damage data: it is refused whatever else is not known. A healthy application outside a rollout is never kept from
//! starting for want of an agent or a quorum, as long as what was last known is young. Knows nothing about how things
//! are looked at.

use crate::{
    ids::DatabaseName,
    plan::Action,
    rollout::{Rollout, State},
    time::Millis,
    version::Version,
    view::{RolloutView, StepView},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How old the last known idle state may be before it proves nothing.
pub const GUARD_TRUST: Millis = Millis::from_secs(24 * 3600);

/// How long `breakglass guard-open` without a time waits for the one start it lets through.
pub const OPEN_ONCE: Millis = Millis::from_secs(3600);

/// The longest time a guard can be opened for.
pub const OPEN_MAX: Millis = Millis::from_secs(24 * 3600);

/// This node's identity, compared with this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// There is none: no agent was ever enrolled here, or its package was purged.
    None,
    /// The same machine, and nobody else lives under its name as far as this host knows.
    InOrder,
    /// This host is isolated, and that was proven.
    Isolated,
    /// Another machine, a known rival, an isolation without proof, or files that cannot be believed: perhaps a clone.
    Suspicious,
}

/// What a rollout means for this member's application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// No rollout is active.
    Idle,
    /// One is, and it has not touched this member's application.
    Untouched,
    /// It stopped this member, or is about to, and has not started it again.
    Stopped,
    /// It starts this member now.
    Starting,
    /// It started this member again.
    Started,
}

/// Whose word the standing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knowledge {
    /// A quorum confirmed it just now.
    Committed,
    /// This node's last word, not older than [`GUARD_TRUST`].
    Young,
    /// This node's last word, older.
    Old,
    /// Nothing is known.
    Nothing,
}

/// What was read of the databases, with sessions that write nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Databases {
    /// They could not be read.
    Unread,
    /// A ledger has an open grant or a shut door: somebody upgrades.
    Busy,
    /// A schema is not the one that a plan says goes with the version that is about to start.
    Unfit,
    /// A schema is not the one this host saw that version work with; no plan speaks of it.
    Unlike,
    /// Every schema fits.
    Fit,
    /// Read, but which schema this version needs is not known.
    NeverSeen,
}

/// Everything that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// This node's identity.
    pub identity: Identity,
    /// What a rollout means for this member.
    pub standing: Standing,
    /// Whose word that is.
    pub knowledge: Knowledge,
    /// What was read of the databases.
    pub databases: Databases,
    /// A person opened the guard on this host (`breakglass guard-open`), and that still counts.
    pub opened: bool,
}

/// May it start?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Yes.
    Allow(Reason),
    /// Yes, and somebody should look.
    Warn(Reason),
    /// No.
    Refuse(Reason),
}

impl Verdict {
    /// Why.
    pub const fn reason(self) -> Reason {
        match self {
            Verdict::Allow(reason) | Verdict::Warn(reason) | Verdict::Refuse(reason) => reason,
        }
    }

    /// Whether the application starts.
    pub const fn starts(self) -> bool {
        match self {
            Verdict::Allow(_) | Verdict::Warn(_) => true,
            Verdict::Refuse(_) => false,
        }
    }
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No agent belongs to this host.
    NoAgent,
    /// The identity is not this machine's, or an isolation is not proven.
    Identity,
    /// This host is isolated, and that was proven.
    Isolated,
    /// A person opened the guard.
    Opened,
    /// A rollout stopped this member.
    Stopped,
    /// Somebody upgrades a database.
    Busy,
    /// A schema does not fit.
    Unfit,
    /// A schema is not what this host saw before.
    Unlike,
    /// A quorum says so.
    Committed,
    /// No quorum, but the databases fit.
    Fits,
    /// No quorum and no proof by the databases; what was last known is idle and young.
    LastKnown,
    /// Nothing speaks for it.
    Unknown,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 12] = [
        Reason::NoAgent,
        Reason::Identity,
        Reason::Isolated,
        Reason::Opened,
        Reason::Stopped,
        Reason::Busy,
        Reason::Unfit,
        Reason::Unlike,
        Reason::Committed,
        Reason::Fits,
        Reason::LastKnown,
        Reason::Unknown,
    ];

    /// Its code, with a page in `deploy/errors/`.
    pub const fn code(self) -> &'static str {
        match self {
            Reason::NoAgent => "LK7411",
            Reason::Identity => "LK7412",
            Reason::Isolated => "LK7413",
            Reason::Opened => "LK7414",
            Reason::Stopped => "LK7415",
            Reason::Busy => "LK7416",
            Reason::Unfit => "LK7417",
            Reason::Unlike => "LK7418",
            Reason::Committed => "LK7419",
            Reason::Fits => "LK7420",
            Reason::LastKnown => "LK7421",
            Reason::Unknown => "LK7422",
        }
    }

    /// A sentence for the operator.
    pub const fn text(self) -> &'static str {
        match self {
            Reason::NoAgent => "no agent belongs to this host",
            Reason::Identity => "this node's identity is not in order: it may be a clone",
            Reason::Isolated => "this host is isolated, and its isolation is proven",
            Reason::Opened => "a person opened the guard on this host",
            Reason::Stopped => "a rollout stopped this member and has not started it again",
            Reason::Busy => "somebody is upgrading a database",
            Reason::Unfit => "a database's schema does not fit the version that is about to start",
            Reason::Unlike => "a database's schema is another one than this host saw this version work with",
            Reason::Committed => "the group says that nothing stands against it",
            Reason::Fits => "no quorum answers, but every schema fits and no grant is open",
            Reason::LastKnown => {
                "no quorum answers and no database decides; what was last known is idle and young"
            }
            Reason::Unknown => "no quorum answers, and nothing that is known speaks for a start",
        }
    }
}

/// The decision, in the order of the table in `docs/boot-guard.md`.
pub const fn guard(seen: Seen) -> Verdict {
    match seen.identity {
        Identity::Suspicious => return Verdict::Refuse(Reason::Identity),
        Identity::None => return Verdict::Allow(Reason::NoAgent),
        Identity::Isolated => return Verdict::Warn(Reason::Isolated),
        Identity::InOrder => {}
    }
    // A clone is not opened by this: that needs its isolation proven or lifted.
    if seen.opened {
        return Verdict::Warn(Reason::Opened);
    }
    match (seen.standing, seen.knowledge) {
        (Standing::Stopped, _) => return Verdict::Refuse(Reason::Stopped),
        // The rollout knows what it starts, on which schema, and who holds a grant meanwhile.
        (Standing::Starting, Knowledge::Committed) => return Verdict::Allow(Reason::Committed),
        (Standing::Idle | Standing::Untouched | Standing::Starting | Standing::Started, _) => {}
    }
    match (seen.databases, seen.knowledge) {
        // What the rollout has started again may be started again by its supervisor while another database is upgraded.
        (Databases::Busy, Knowledge::Committed) if matches!(seen.standing, Standing::Started) => {
            Verdict::Allow(Reason::Committed)
        }
        (Databases::Busy, _) => Verdict::Refuse(Reason::Busy),
        (Databases::Unfit, _) => Verdict::Refuse(Reason::Unfit),
        // Somebody upgraded by hand, with everybody there: only a plan's word counts against that.
        (Databases::Unlike, Knowledge::Committed) => Verdict::Warn(Reason::Unlike),
        (Databases::Unlike, _) => Verdict::Refuse(Reason::Unlike),
        (Databases::Unread | Databases::Fit | Databases::NeverSeen, Knowledge::Committed) => {
            Verdict::Allow(Reason::Committed)
        }
        (Databases::Fit, Knowledge::Young | Knowledge::Old | Knowledge::Nothing) => {
            Verdict::Warn(Reason::Fits)
        }
        (Databases::Unread | Databases::NeverSeen, Knowledge::Young) => match seen.standing {
            Standing::Idle => Verdict::Warn(Reason::LastKnown),
            Standing::Untouched | Standing::Stopped | Standing::Starting | Standing::Started => {
                Verdict::Refuse(Reason::Unknown)
            }
        },
        (Databases::Unread | Databases::NeverSeen, Knowledge::Old | Knowledge::Nothing) => {
            Verdict::Refuse(Reason::Unknown)
        }
    }
}

/// Which of two moments of this machine's wall clock and the log's make a last word [`Knowledge::Young`]. A word from
/// the future is as good as none: one of both clocks is wrong.
pub const fn age(now: u64, word: u64) -> Knowledge {
    if word > now.saturating_add(GUARD_TRUST.0) || now.saturating_sub(word) > GUARD_TRUST.0 {
        Knowledge::Old
    } else {
        Knowledge::Young
    }
}

/// What a rollout means for the application of `me`: the last thing that was done with its service. Over a view,
/// because that is what an agent answers; the state on a disk is made one first.
pub fn standing(rollout: Option<&RolloutView>, me: &str) -> Standing {
    let Some(rollout) = rollout.filter(|r| !["completed", "aborted", "restored"].contains(&r.state.as_str()))
    else {
        return Standing::Idle;
    };
    let of_mine = |step: &&StepView| {
        step.target == me && matches!(step.action.as_str(), "stop-service" | "start-service")
    };
    let when = |step: &StepView| step.began.or(step.ended);
    let begun = rollout.steps.iter().filter(of_mine).filter_map(|step| Some((when(step)?, step.id, step)));
    let Some((_, _, last)) = begun.max_by_key(|(when, id, _)| (*when, *id)) else {
        return Standing::Untouched;
    };
    match (last.action.as_str(), last.state.as_str()) {
        ("start-service", "assigned") => Standing::Starting,
        ("start-service", "done") => Standing::Started,
        // A start that failed left it stopped, or half started; a stop that failed may have stopped it.
        _ => Standing::Stopped,
    }
}

/// Schemas that go with a version, by database.
pub type Pairs = BTreeMap<String, BTreeMap<DatabaseName, BTreeSet<String>>>;

/// Schemas this host saw a version work with, by database; the newest.
pub type Learnt = BTreeMap<String, BTreeMap<DatabaseName, String>>;

/// The pairs that the plans of a state's rollouts tell: a plan's source version goes with the schema it was bound to, its
/// target version with the schema after it.
pub fn pairs(state: &State) -> Pairs {
    let mut pairs = Pairs::new();
    for rollout in state.history.iter().map(AsRef::as_ref).chain(&state.rollout) {
        add(&mut pairs, rollout);
    }
    pairs
}

fn add(pairs: &mut Pairs, rollout: &Rollout) {
    let mut put = |version: &Version, database: &DatabaseName, schema: &str| {
        if !schema.is_empty() {
            let of = pairs.entry(version.to_string()).or_default();
            of.entry(database.clone()).or_default().insert(schema.to_owned());
        }
    };
    for (database, bound) in &rollout.plan.bound.databases {
        put(&rollout.plan.from, database, &bound.schema);
    }
    for step in &rollout.plan.steps {
        if let Action::UpgradeDatabase(upgrade) = &step.action {
            put(&rollout.plan.to, &upgrade.database, &upgrade.schema.after);
        }
    }
}

/// Whether the schemas that were read go with the version. A plan's word counts before what this host saw.
pub fn fit(
    pairs: &Pairs,
    learnt: &Learnt,
    version: &str,
    schemas: &BTreeMap<DatabaseName, String>,
) -> Databases {
    let (planned, seen) = (pairs.get(version), learnt.get(version));
    let (mut unlike, mut all) = (false, !schemas.is_empty());
    for (database, schema) in schemas {
        match (planned.and_then(|p| p.get(database)), seen.and_then(|s| s.get(database))) {
            (Some(fitting), _) if fitting.contains(schema) => {}
            (Some(_), _) => return Databases::Unfit,
            (None, Some(known)) if known == schema => {}
            (None, Some(_)) => unlike = true,
            (None, None) => all = false,
        }
    }
    match (unlike, all) {
        (true, _) => Databases::Unlike,
        (false, true) => Databases::Fit,
        (false, false) => Databases::NeverSeen,
    }
}

/// What the last rollout says where no database proves a fit: whoever starts the version that a completed rollout left,
/// or the one that a rollout taken back went for, is out of step with the group.
pub fn out_of_step(databases: Databases, last: Option<&RolloutView>, version: &str) -> Databases {
    let Some(last) = last.filter(|last| last.from != last.to) else { return databases };
    let left = match last.state.as_str() {
        "completed" => &last.from,
        "aborted" | "restored" => &last.to,
        _ => return databases,
    };
    match databases {
        Databases::Unread | Databases::Unlike | Databases::NeverSeen if version == left => Databases::Unfit,
        Databases::Unread
        | Databases::Busy
        | Databases::Unfit
        | Databases::Unlike
        | Databases::Fit
        | Databases::NeverSeen => databases,
    }
}

/// A guard that a person opened on one host: who, why, how long, and what it let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Who, as that host's system knows them.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, unix ms by that host's clock.
    pub opened: u64,
    /// Until when, by the same clock.
    pub until: u64,
    /// Only the next start.
    pub once: bool,
    /// How many starts it let through.
    pub uses: u32,
    /// When the last one was, by the same clock.
    pub last_use: Option<u64>,
}

impl Opening {
    /// Whether it lets a start through at `now`, unix ms by that host's clock. A clock that was set back before the
    /// opening ends it.
    pub const fn counts(&self, now: u64) -> bool {
        now >= self.opened && now < self.until && !(self.once && self.uses > 0)
    }

    /// With one more start let through.
    #[must_use]
    pub fn used(self, now: u64) -> Self {
        Self { uses: self.uses.saturating_add(1), last_use: Some(now), ..self }
    }
}

#[cfg(test)]
mod tests;
