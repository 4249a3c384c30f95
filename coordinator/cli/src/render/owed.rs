//! `owed` as text: every setting that was changed, with the value it had.

use super::{moment::Moment, source, table::Table};
use lockkeeper_core::view::{OwedView, Stamp};
use serde::Deserialize;

/// `owed --json`.
#[derive(Debug, Deserialize)]
pub struct OwedList {
    /// Where this comes from.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Changed settings of the shown rollout.
    pub owed: Vec<OwedView>,
}

/// Longest captured value that is shown; `--json` has all of it.
const CAPTURED_MAX: usize = 60;

/// The ledger, open entries first.
pub fn text(list: &OwedList, moment: &Moment) -> String {
    let open = list.owed.iter().filter(|o| o.state == "owed").count();
    let mut text = String::new();
    if list.owed.is_empty() {
        text.push_str("nothing was changed, nothing is owed\n");
    } else {
        let mut table = Table::new(["KEY", "STATE", "STEP", "SINCE", "VALUE BEFORE"]);
        let (first, then): (Vec<_>, Vec<_>) = list.owed.iter().partition(|o| o.state == "owed");
        for owed in first.into_iter().chain(then) {
            table.row([
                owed.key.clone(),
                owed.state.clone(),
                owed.step.to_string(),
                moment.since(owed.since),
                cut(&owed.captured),
            ]);
        }
        text.push_str(&table.text());
        text.push_str(&format!("\n{open} owed, {} settled\n", list.owed.len() - open));
    }
    text + &source::line(&list.stamp, moment) + "\n"
}

fn cut(value: &str) -> String {
    let shown: String = value.chars().take(CAPTURED_MAX).collect();
    if shown.len() < value.len() { shown + "..." } else { shown }
}
