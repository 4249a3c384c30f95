//! `[policy]`.

use crate::{
    cluster::{OnUpgraderLoss, Policy},
    document::Section,
    time::Millis,
};
use std::ops::Range;

/// A member that was not heard of for this long counts as lost. Shorter than a few heartbeats would call every
/// pause a loss; longer than an hour would hide one for a night.
const LOST_AFTER: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;

/// Policies with the places of those that depend on others.
#[derive(Debug)]
pub(super) struct ReadPolicy {
    pub(super) policy: Policy,
    pub(super) capacity_floor_at: Range<usize>,
    pub(super) four_eyes_at: Range<usize>,
}

pub(super) fn read(top: &Section<'_>) -> ReadPolicy {
    let mut read = ReadPolicy {
        policy: Policy {
            capacity_floor: 1,
            max_failures: 0,
            on_upgrader_loss: OnUpgraderLoss::Halt,
            lost_after: Millis::from_secs(10),
            four_eyes: false,
            approvals: 1,
        },
        capacity_floor_at: 0..0,
        four_eyes_at: 0..0,
    };
    let Some(table) = top.get("policy").and_then(|item| item.table()) else { return read };
    let policy = &mut read.policy;
    if let Some(item) = table.get("capacity_floor") {
        read.capacity_floor_at = item.span();
        policy.capacity_floor = item.number(0..=1_000).unwrap_or(0);
    }
    if let Some(number) = table.get("max_failures").and_then(|item| item.number(0..=1_000)) {
        policy.max_failures = number;
    }
    let words = [
        ("halt", OnUpgraderLoss::Halt),
        ("regrant-if-untouched", OnUpgraderLoss::RegrantIfUntouched),
        ("restore-and-regrant", OnUpgraderLoss::RestoreAndRegrant),
    ];
    if let Some(word) = table.get("on_upgrader_loss").and_then(|item| item.word(&words)) {
        policy.on_upgrader_loss = word;
    }
    if let Some(item) = table.get("lost_after")
        && let Some(duration) = item.duration()
    {
        if LOST_AFTER.contains(&duration.0) {
            policy.lost_after = duration;
        } else {
            item.fault(
                crate::fault::Fault::new(
                    crate::fault::FaultCode::OutOfRange,
                    "\"policy.lost_after\" is out of its bounds",
                )
                .found(duration.to_string())
                .allowed("1s to 1h"),
            );
        }
    }
    if let Some(item) = table.get("four_eyes") {
        read.four_eyes_at = item.span();
        policy.four_eyes = item.flag().unwrap_or(false);
    }
    if let Some(number) = table.get("approvals").and_then(|item| item.number(0..=10)) {
        policy.approvals = number;
    }
    table.finish();
    read
}
