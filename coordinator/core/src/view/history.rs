//! `history`: finished rollouts and the active one, with what happened.

use super::{RolloutView, Stamp, rollout_view};
use crate::{rollout::State, time::LogTime};
use serde::{Deserialize, Serialize};

/// `history --json`: finished rollouts and the active one, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryView {
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Rollouts with their events.
    pub rollouts: Vec<HistoryRollout>,
}

/// One rollout of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRollout {
    /// The rollout.
    #[serde(flatten)]
    pub rollout: RolloutView,
    /// What happened, oldest first.
    pub events: Vec<EventView>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Log index.
    pub index: u64,
    /// Log time, unix ms.
    pub time: LogTime,
    /// Step, if one.
    pub step: Option<u32>,
    /// What.
    pub text: String,
}

/// All rollouts a state remembers.
pub fn history(state: &State, stamp: Stamp) -> HistoryView {
    let all = state.history.iter().map(AsRef::as_ref).chain(&state.rollout);
    let rollouts = all
        .map(|r| HistoryRollout {
            rollout: rollout_view(r),
            events: r
                .events
                .iter()
                .map(|e| EventView { index: e.index.0, time: e.time, step: e.step.map(|s| s.0), text: e.text.clone() })
                .collect(),
        })
        .collect();
    HistoryView { stamp, rollouts }
}
