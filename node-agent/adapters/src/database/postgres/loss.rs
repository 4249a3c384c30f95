//! Counting what a restore would give up: rows written since the door was reopened.
//!
//! The engine's own counters are compared, which also count rows of transactions that were rolled back and rows the
//! application wrote for itself, so the count is never below the number of acknowledged writes.

use super::{Found, Postgres, backup::COUNTER, session::Purpose};
use crate::database::Answer;
use lockkeeper_agent::host::Work;
use lockkeeper_core::rollout::loss::output;

/// What is said when the counters cannot be compared.
const UNCOUNTED: &str = "uncounted";

impl Postgres {
    /// Where the counters stand now, for the step that reopens the door.
    pub(super) async fn opened_mark(&self, found: &Found) -> Answer<(String, String)> {
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        Ok((self.opened_key(), target.value(COUNTER, &[]).await?))
    }

    /// How many rows were written since the door was reopened in this rollout; nothing if it was not.
    pub(super) async fn loss(&self, work: &Work, found: &Found) -> Answer<Option<(String, String)>> {
        let Some(before) = work.inputs.get(&self.opened_key()) else { return Ok(None) };
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        let now = target.value(COUNTER, &[]).await?;
        let count = written(before, &now).map_or(UNCOUNTED.to_owned(), |rows| rows.to_string());
        Ok(Some((output(&self.name), count)))
    }

    fn opened_key(&self) -> String {
        format!("opened.{}.mark", self.name)
    }
}

/// Rows of the application written between two readings; `None` when the counters began anew in between.
fn written(before: &str, now: &str) -> Option<u64> {
    let parts = |text: &str| -> Option<(u64, String)> {
        let (rows, since) = text.split_once(" since ")?;
        Some((rows.split_once('+')?.0.parse().ok()?, since.to_owned()))
    };
    let ((before, begun), (now, begun_now)) = (parts(before)?, parts(now)?);
    if begun != begun_now { None } else { now.checked_sub(before) }
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn counters_are_compared_only_when_they_are_the_same_ones() {
        assert_eq!(written("100+7 since ever", "117+9 since ever"), Some(17));
        assert_eq!(written("100+7 since ever", "100+9 since ever"), Some(0));
        assert_eq!(written("100+7 since ever", "3+0 since 2026-11-28 10:00:00.000000"), None);
        assert_eq!(written("100+7 since ever", "3+0 since ever"), None, "a crash of the server reset them");
        assert_eq!(written("", "3+0 since ever"), None);
    }
}
