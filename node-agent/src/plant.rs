//! Planted bugs, to see that the tests would notice. Only with the feature `plant`, which no release has.

/// A bug that can be planted in the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plant {
    /// The start of an effect is not journalled.
    SkipStart,
    /// The remembered tokens are not asked.
    SkipFence,
    /// The group is not asked whether the attempt is still wanted.
    SkipConfirm,
    /// A database upgrade that may have started is started again.
    RepeatUpgrade,
    /// A post-check that answers "not yet" counts as proof.
    BelieveSilence,
}

impl Plant {
    /// Every bug.
    pub const ALL: [Plant; 5] =
        [Plant::SkipStart, Plant::SkipFence, Plant::SkipConfirm, Plant::RepeatUpgrade, Plant::BelieveSilence];
}

#[cfg(feature = "plant")]
thread_local! {
    // By thread, because a simulation and a test each run in one, and several run beside each other.
    static PLANTED: std::cell::Cell<Option<Plant>> = const { std::cell::Cell::new(None) };
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
