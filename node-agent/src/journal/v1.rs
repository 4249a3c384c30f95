//! The stored format, version 1: structs of its own, frozen. They are never edited; a later format is a later file.
//!
//! Encoded with postcard: variants and fields by position. The golden bytes in the tests hold it still.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// See [`super::record::Record`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is described at the variant of Record with the same name")]
pub enum RecordV1 {
    Origin { made_ms: u64 },
    Begin { key: KeyV1, target: TargetV1, kind: String, action: String },
    Captured { key: KeyV1, text: String },
    Start { key: KeyV1 },
    UnitStarted { key: KeyV1, unit: UnitV1 },
    End { key: KeyV1, ending: EndingV1 },
    Reported { key: KeyV1 },
    HighestToken { target: TargetV1, generation: u64, index: u64 },
    TornTail { bytes: u64 },
}

/// See [`super::record::Key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is described at the field of Key with the same name")]
pub struct KeyV1 {
    pub generation: u64,
    pub index: u64,
    pub rollout: u64,
    pub step: u32,
    pub attempt: u32,
}

/// See [`lockkeeper_core::plan::Target`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is described at the variant of Target with the same name")]
pub enum TargetV1 {
    Member(String),
    Balancer(String, String),
    Database(String),
}

/// See [`crate::host::Unit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is described at the field of Unit with the same name")]
pub struct UnitV1 {
    pub name: String,
    pub pid: u32,
    pub started: u64,
    pub boot: String,
}

/// See [`super::record::Ending`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is described at the variant of Ending with the same name")]
pub enum EndingV1 {
    Done {
        evidence: String,
        outputs: BTreeMap<String, String>,
        read_back: Option<String>,
        action_ms: Option<(u64, u64)>,
    },
    Failed {
        code: String,
        text: String,
        verdict: Option<VerdictV1>,
    },
    Dropped,
}

/// See [`lockkeeper_core::rollout::command::Verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is described at the variant of Verdict with the same name")]
pub enum VerdictV1 {
    Untouched,
    Finished,
    Touched,
}

#[cfg(test)]
mod tests;
