//! Planted bugs, to see that the simulation's invariants would notice. Only with the feature `plant`, which no release
//! has; without it every question is answered "no" at compile time.

/// A bug that can be planted in the rollout machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plant {
    /// A member is stopped before it is drained.
    StopUndrained,
    /// A member is admitted before it is proven.
    AdmitUnproven,
    /// The database is upgraded before its backup is proven.
    UpgradeUnsaved,
    /// Members are started together.
    StartTogether,
    /// A plan is started without approvals.
    ApplyUnapproved,
    /// An abort forgets what is owed.
    AbortForgets,
    /// A lost holder counts as out at once.
    LostIsOut,
    /// A grant carries an old token.
    OldToken,
    /// Applying an entry depends on more than the entry.
    ApplyDrifts,
    /// A touched database gets another grant although the tool does not resume.
    TakeTouched,
}

impl Plant {
    /// Every bug.
    pub const ALL: [Plant; 10] = [
        Plant::StopUndrained,
        Plant::AdmitUnproven,
        Plant::UpgradeUnsaved,
        Plant::StartTogether,
        Plant::ApplyUnapproved,
        Plant::AbortForgets,
        Plant::LostIsOut,
        Plant::OldToken,
        Plant::ApplyDrifts,
        Plant::TakeTouched,
    ];
}

#[cfg(feature = "plant")]
thread_local! {
    // By thread, because a simulation runs in one.
    static PLANTED: std::cell::Cell<Option<Plant>> = const { std::cell::Cell::new(None) };
    static CALLS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Plants a bug in everything this thread runs from here on; `None` removes it.
#[cfg(feature = "plant")]
pub fn plant(plant: Option<Plant>) {
    PLANTED.set(plant);
}

/// Whether a bug is planted here.
#[cfg(feature = "plant")]
pub(crate) fn is(plant: Plant) -> bool {
    PLANTED.get() == Some(plant)
}

/// Nothing is planted in a release.
#[cfg(not(feature = "plant"))]
pub(crate) const fn is(_: Plant) -> bool {
    false
}

/// Now and then, for [`Plant::ApplyDrifts`].
#[cfg(feature = "plant")]
pub(crate) fn now_and_then() -> bool {
    CALLS.set(CALLS.get() + 1);
    CALLS.get().is_multiple_of(61)
}

/// Never in a release.
#[cfg(not(feature = "plant"))]
pub(crate) const fn now_and_then() -> bool {
    false
}
