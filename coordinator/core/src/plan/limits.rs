//! Default limits of steps, each with its reason. A profile may set others; nothing is without one.

use super::{action::ActionKind, step::Deadline};
use crate::time::Millis;

/// The most steps of a plan. A thousand members with two balancers and two databases make about 9,000.
pub const STEPS_MAX: usize = 20_000;

/// The largest plan file read, in bytes. A plan of a thousand members takes about 12 MB.
pub const PLAN_FILE_MAX: usize = 64 << 20;

/// A command that says no limit: long enough for a service's start script, short enough to be noticed at night.
pub const COMMAND: Millis = Millis::from_secs(60);

/// What a drain needs beyond its own wait: the balancer's answers and the read-back.
pub const DRAIN_MARGIN: Millis = Millis::from_secs(60);

/// How long a start and a proof take beyond the settle time, for the forecast.
pub const PROOF_ESTIMATE: Millis = Millis::from_secs(4);

const fn of(soft: u64, hard: u64, estimate_ms: u64) -> (Deadline, Millis) {
    (Deadline { soft: Millis::from_secs(soft), hard: Millis::from_secs(hard) }, Millis(estimate_ms))
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Limits and estimate of a step whose profile says none.
pub const fn defaults(kind: ActionKind) -> (Deadline, Millis) {
    match kind {
        // Copies and hashes some GiB over a slow disk.
        ActionKind::StageRelease => of(5 * MINUTE, HOUR, 40_000),
        // One rename.
        ActionKind::SwitchRelease => of(10, MINUTE, 100),
        // The planner adds the drain's own wait.
        ActionKind::Drain => of(30, MINUTE, 1_000),
        // Waits until the balancer's own checks pass twice.
        ActionKind::Admit => of(30, 5 * MINUTE, 2_000),
        ActionKind::StopService => of(MINUTE, 10 * MINUTE, 6_000),
        ActionKind::StartService => of(MINUTE, 10 * MINUTE, 2_000),
        // A stranger's session waits for a person, who needs time to find out who it is.
        ActionKind::ProveNoWriters => of(MINUTE, HOUR, 1_000),
        // A dump of a large database; a stalled one is noticed by the soft limit.
        ActionKind::Backup => of(30 * MINUTE, 12 * HOUR, 5_000),
        // A restore takes three times the dump.
        ActionKind::ProveBackup => of(HOUR, 24 * HOUR, 10_000),
        // The same restore once more, and a swap of names.
        ActionKind::RestoreDatabase => of(HOUR, 24 * HOUR, 10_000),
        // Killing sessions takes under a second; the margin is for a busy server.
        ActionKind::ShutDoor | ActionKind::OpenDoor | ActionKind::CloseGrant => of(30, 5 * MINUTE, 1_000),
        ActionKind::MintCredential | ActionKind::AdmitHolder => of(10, MINUTE, 200),
        // Ending a vendor's migration half-way does more harm than waiting; a day is beyond any window.
        ActionKind::UpgradeDatabase => of(30 * MINUTE, 24 * HOUR, 60_000),
        // One query.
        ActionKind::JudgeSchema => of(10, MINUTE, 200),
        ActionKind::Prove => of(2 * MINUTE, 5 * MINUTE, 5_000),
        ActionKind::Run => of(5 * MINUTE, HOUR, 30_000),
    }
}
