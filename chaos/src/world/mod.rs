//! The outside world that all simulated hosts share: one database, one balancer, the members' services and files.
//!
//! It keeps its own books of everything that happens to it, and misuse corrupts it on purpose. It knows nothing of
//! rollouts: what an effect calls itself is written down and not judged here.

pub mod balancer;
pub mod books;
pub mod database;
pub mod late;
pub mod luck;
pub mod shared;
pub mod site;
pub mod unit;

pub use balancer::{Admin, Balancer, Server};
pub use books::{Books, EffectId, Fact, Line};
pub use database::{Database, LedgerState, Login, Principal, Session, SessionId};
pub use late::{Change, Hold};
pub use luck::{Luck, Misfortune};
pub use shared::Shared;
pub use site::{Service, Site};
pub use unit::{Tool, Unit, UnitEnd};

use crate::plot::Side;
use lockkeeper_core::ids::MemberName;
use rand::{SeedableRng as _, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet};

/// The release everybody has at the beginning, and its schema.
pub const OLD: (&str, u32) = ("20.6.1", 23);
/// The release everybody shall have, and its schema.
pub const NEW: (&str, u32) = ("26.5.0", 26);

/// A shared thing an agent may be cut off from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// The database.
    Database,
    /// The balancer.
    Balancer,
}

/// Everything outside Lockkeeper.
#[derive(Debug)]
pub struct World {
    /// Virtual ms.
    pub now: u64,
    /// Its own randomness.
    pub random: StdRng,
    /// The shared database.
    pub database: Database,
    /// The balancer in front.
    pub balancer: Balancer,
    /// Every machine with an agent; a witness has no service.
    pub sites: BTreeMap<MemberName, Site>,
    /// Upgrade runs by name of their unit.
    pub units: BTreeMap<String, Unit>,
    /// How effects go wrong.
    pub luck: Luck,
    /// Ways from agents to shared things that are cut.
    pub cut: BTreeSet<(MemberName, Thing)>,
    /// Holds the next statement to the ledger up.
    pub hold: Option<Hold>,
    /// Statements under way for which nobody waits.
    pub late: Vec<late::Late>,
    /// Whose process is killed now, with a statement under way.
    pub fallen: Option<MemberName>,
    /// What happened.
    pub books: Books,
    /// Effects that were begun, over all hosts.
    pub effects: u64,
    /// Whoever comes there stands still for ever, and is named in `struck`.
    pub strike: Option<(u64, Side)>,
    /// Who came there.
    pub struck: Option<MemberName>,
}

impl World {
    /// Members serve the old release, all is well.
    pub fn new(seed: u64, members: &[MemberName], witnesses: &[MemberName], tool: Tool) -> Self {
        let mut world = Self {
            now: 0,
            random: StdRng::seed_from_u64(seed),
            database: Database::new(),
            balancer: Balancer::new(members),
            sites: BTreeMap::new(),
            units: BTreeMap::new(),
            luck: Luck { tool, ..Luck::default() },
            cut: BTreeSet::new(),
            hold: None,
            late: Vec::new(),
            fallen: None,
            books: Books::default(),
            effects: 0,
            strike: None,
            struck: None,
        };
        for member in members {
            let session = world.database.connect(Login::App(member.clone()));
            world.sites.insert(member.clone(), Site::serving(OLD.0, session));
        }
        for witness in witnesses {
            world.sites.insert(witness.clone(), Site::witness());
        }
        world
    }

    /// Moves on to `now`: what runs by itself, runs.
    pub fn advance(&mut self, now: u64) {
        self.now = now;
        self.advance_units();
        self.advance_services();
        self.advance_database();
        self.advance_late();
        self.advance_balancer();
    }

    /// Writes a line into the books.
    pub fn note(&mut self, site: Option<&MemberName>, by: Option<&EffectId>, fact: Fact) {
        self.books.write(Line { at: self.now, site: site.cloned(), by: by.cloned(), fact });
    }

    /// Whether a machine is on and not frozen.
    pub fn is_awake(&self, member: &MemberName) -> bool {
        self.sites.get(member).is_some_and(|site| site.powered && !site.frozen)
    }
}
