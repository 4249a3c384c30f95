//! Planted bugs: one for each invariant, to see that it would notice. Only in builds with the feature `plant`.
//!
//! Most are in the product (the core's and the agent's `plant` modules); those of parts that the simulation replaces, the
//! adapters and the disks, are in the stand-ins.

use crate::{invariant::Name, tier::Tier};

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// The core takes a lost holder for out at once.
    LostIsOut,
    /// The adapter leaves the sessions of a grant that it closes.
    CloseLeavesSessions,
    /// The adapter puts a half-done schema back when it closes a grant.
    CloseResetsSchema,
    /// The adapter leaves strangers inside when it shuts the door.
    ShutLeavesStrangers,
    /// The core lets the upgrade begin before the backup is proven.
    UpgradeUnsaved,
    /// The core has members stopped before they are drained.
    StopUndrained,
    /// The core has members admitted before they are proven.
    AdmitUnproven,
    /// The core has members started together.
    StartTogether,
    /// The core starts a plan that nobody approved.
    ApplyUnapproved,
    /// The core forgets what is owed when a person aborts.
    AbortForgets,
    /// The core gives grants an old token.
    OldToken,
    /// The core's state depends on more than the log.
    ApplyDrifts,
    /// The store's disk says yes to a sync and does nothing.
    SyncLies,
    /// The journal's disk loses a byte in the middle of the file.
    JournalRots,
    /// The adapter puts an older token back into the ledger when it closes a grant.
    CloseLowersLedger,
    /// The host starts an upgrade a second time when it is adopted.
    AdoptStartsAgain,
    /// The adapter's ledger takes a token below the highest: a statement that arrives late.
    LedgerTakesStale,
}

impl Planted {
    /// Every bug.
    pub const ALL: [Planted; 17] = [
        Planted::LostIsOut,
        Planted::CloseLeavesSessions,
        Planted::CloseResetsSchema,
        Planted::ShutLeavesStrangers,
        Planted::UpgradeUnsaved,
        Planted::StopUndrained,
        Planted::AdmitUnproven,
        Planted::StartTogether,
        Planted::ApplyUnapproved,
        Planted::AbortForgets,
        Planted::OldToken,
        Planted::ApplyDrifts,
        Planted::SyncLies,
        Planted::JournalRots,
        Planted::CloseLowersLedger,
        Planted::AdoptStartsAgain,
        Planted::LedgerTakesStale,
    ];

    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Planted::LostIsOut => "lost-is-out",
            Planted::CloseLeavesSessions => "close-leaves-sessions",
            Planted::CloseResetsSchema => "close-resets-schema",
            Planted::ShutLeavesStrangers => "shut-leaves-strangers",
            Planted::UpgradeUnsaved => "upgrade-unsaved",
            Planted::StopUndrained => "stop-undrained",
            Planted::AdmitUnproven => "admit-unproven",
            Planted::StartTogether => "start-together",
            Planted::ApplyUnapproved => "apply-unapproved",
            Planted::AbortForgets => "abort-forgets",
            Planted::OldToken => "old-token",
            Planted::ApplyDrifts => "apply-drifts",
            Planted::SyncLies => "sync-lies",
            Planted::JournalRots => "journal-rots",
            Planted::CloseLowersLedger => "close-lowers-ledger",
            Planted::AdoptStartsAgain => "adopt-starts-again",
            Planted::LedgerTakesStale => "ledger-takes-stale",
        }
    }

    /// Where it is looked for: in the light tier, which is cheap, if it was seen to be caught there.
    pub const fn tier(self) -> Tier {
        match self {
            Planted::ShutLeavesStrangers
            | Planted::ApplyDrifts
            | Planted::SyncLies
            | Planted::JournalRots
            | Planted::OldToken => Tier::Whole,
            _ => Tier::Light,
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|planted| planted.as_str() == word)
    }

    /// The invariant that must notice.
    pub const fn caught_by(self) -> Name {
        match self {
            Planted::LostIsOut => Name::DoorShut,
            Planted::CloseLeavesSessions => Name::DoorShut,
            Planted::CloseResetsSchema => Name::SchemaForward,
            Planted::ShutLeavesStrangers => Name::DoorShut,
            Planted::UpgradeUnsaved => Name::BackupBefore,
            Planted::StopUndrained => Name::DrainedBeforeStop,
            Planted::AdmitUnproven => Name::ProvenBeforeAdmit,
            Planted::StartTogether => Name::SerialStart,
            Planted::ApplyUnapproved => Name::OnlyApproved,
            Planted::AbortForgets => Name::OwedSettled,
            Planted::OldToken => Name::StaleRefused,
            Planted::ApplyDrifts => Name::SameLogSameState,
            Planted::SyncLies => Name::NoDoubleVote,
            Planted::JournalRots => Name::StaysAlive,
            Planted::CloseLowersLedger => Name::TokenMonotone,
            Planted::AdoptStartsAgain => Name::OneUpgrader,
            Planted::LedgerTakesStale => Name::TokenMonotone,
        }
    }
}

/// Whether this build can plant anything.
pub const fn can_plant() -> bool {
    cfg!(feature = "plant")
}

#[cfg(feature = "plant")]
mod planting {
    use super::Planted;
    use lockkeeper_core::plant::Plant;

    thread_local! {
        static PLANTED: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
    }

    /// Plants a bug in everything this thread runs from here on; `None` removes it.
    pub fn plant(planted: Option<Planted>) {
        PLANTED.set(planted);
        lockkeeper_core::plant::plant(planted.and_then(in_core));
    }

    /// Whether a bug is planted in a stand-in.
    pub fn is(planted: Planted) -> bool {
        PLANTED.get() == Some(planted)
    }

    const fn in_core(planted: Planted) -> Option<Plant> {
        match planted {
            Planted::LostIsOut => Some(Plant::LostIsOut),
            Planted::UpgradeUnsaved => Some(Plant::UpgradeUnsaved),
            Planted::StopUndrained => Some(Plant::StopUndrained),
            Planted::AdmitUnproven => Some(Plant::AdmitUnproven),
            Planted::StartTogether => Some(Plant::StartTogether),
            Planted::ApplyUnapproved => Some(Plant::ApplyUnapproved),
            Planted::AbortForgets => Some(Plant::AbortForgets),
            Planted::OldToken => Some(Plant::OldToken),
            Planted::ApplyDrifts => Some(Plant::ApplyDrifts),
            Planted::CloseLeavesSessions
            | Planted::CloseResetsSchema
            | Planted::ShutLeavesStrangers
            | Planted::SyncLies
            | Planted::JournalRots
            | Planted::CloseLowersLedger
            | Planted::AdoptStartsAgain
            | Planted::LedgerTakesStale => None,
        }
    }
}

#[cfg(not(feature = "plant"))]
mod planting {
    use super::Planted;

    /// Nothing can be planted in this build; see [`super::can_plant`].
    pub const fn plant(_: Option<Planted>) {}

    /// Nothing is planted in this build.
    pub const fn is(_: Planted) -> bool {
        false
    }
}

pub use planting::{is, plant};
