//! openraft's configuration, from our limits.

use super::limits::{
    APPEND_ENTRIES_MAX, ELECTION_MAX, ELECTION_MIN, ENTRIES_KEPT, HEARTBEAT, LAG_ENTRIES_MAX,
    SNAPSHOT_ENTRIES, SNAPSHOT_TIMEOUT,
};
use lockkeeper_core::ids::ClusterId;
use openraft::{Config, SnapshotPolicy};
use std::time::Duration;

/// What tests and simulation may choose otherwise. The default is what every real node runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// See [`HEARTBEAT`].
    pub heartbeat: Duration,
    /// See [`ELECTION_MIN`].
    pub election_min: Duration,
    /// See [`ELECTION_MAX`].
    pub election_max: Duration,
    /// See [`SNAPSHOT_ENTRIES`].
    pub snapshot_entries: u64,
    /// See [`ENTRIES_KEPT`].
    pub entries_kept: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT,
            election_min: ELECTION_MIN,
            election_max: ELECTION_MAX,
            snapshot_entries: SNAPSHOT_ENTRIES,
            entries_kept: ENTRIES_KEPT,
        }
    }
}

/// A tuning no group can run with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tuning is impossible: {0}")]
pub struct BadTuning(String);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Tuning {
    pub(super) fn config(&self, cluster: &ClusterId) -> Result<Config, BadTuning> {
        Config {
            cluster_name: cluster.0.clone(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_TIMEOUT),
            max_payload_entries: APPEND_ENTRIES_MAX,
            replication_lag_threshold: LAG_ENTRIES_MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            max_in_snapshot_log_to_keep: self.entries_kept,
            // A node that was restarted or cut off must not depose a leader that is well.
            enable_pre_vote: Some(true),
            // A restarted leader's state may be older than what it had shown before; it stands for election instead.
            enable_leader_restore: Some(false),
            ..Config::default()
        }
        .validate()
        .map_err(|error| BadTuning(error.to_string()))
    }
}
