//! What can go wrong in a simulated night.

use serde::Serialize;
use std::fmt;

/// One kind of trouble. Where in the plan it strikes is decided by the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Nothing.
    None,
    /// Another agent becomes leader.
    LeaderChange,
    /// The agent that has a step falls silent for longer than `lost_after`, and comes back.
    MemberLost,
    /// The agent that upgrades a database falls silent while it does.
    UpgraderLost,
    /// A step fails.
    StepFailed,
    /// The upgrade of a database fails; what it left is judged `untouched`, `finished` or `touched`.
    UpgradeFailed,
    /// A setting is given back and reads differently.
    OwedDiffers,
    /// A step is blocked for a while until somebody else acts.
    Blocked,
    /// Reports of agents arrive twice, late and out of order.
    Reordered,
    /// A person pauses and resumes.
    Pause,
    /// A person aborts.
    Abort,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 11] = [
        FaultKind::None,
        FaultKind::LeaderChange,
        FaultKind::MemberLost,
        FaultKind::UpgraderLost,
        FaultKind::StepFailed,
        FaultKind::UpgradeFailed,
        FaultKind::OwedDiffers,
        FaultKind::Blocked,
        FaultKind::Reordered,
        FaultKind::Pause,
        FaultKind::Abort,
    ];

    /// The word in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            FaultKind::None => "none",
            FaultKind::LeaderChange => "leader-change",
            FaultKind::MemberLost => "member-lost",
            FaultKind::UpgraderLost => "upgrader-lost",
            FaultKind::StepFailed => "step-failed",
            FaultKind::UpgradeFailed => "upgrade-failed",
            FaultKind::OwedDiffers => "owed-differs",
            FaultKind::Blocked => "blocked",
            FaultKind::Reordered => "reordered",
            FaultKind::Pause => "pause",
            FaultKind::Abort => "abort",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
