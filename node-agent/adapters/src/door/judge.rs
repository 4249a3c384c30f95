//! The judge: what a schema version says about an upgrade that may have happened.

use lockkeeper_core::{plan::action::SchemaJudge, version::Version};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What the database says about the upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// As before: no attempt changed it.
    Untouched,
    /// As it shall be.
    Finished,
    /// Neither; it is resumed or restored, never used.
    Touched,
}

impl Judgement {
    /// The word in evidence and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Judgement::Untouched => "untouched",
            Judgement::Finished => "finished",
            Judgement::Touched => "touched",
        }
    }
}

/// Judges `value` by `probe`. Without an expected value after the upgrade, finished means: another value than before,
/// not below it, and the tool's exit was a success (`ended_well`). A value that was expected is proof by itself.
pub fn judge(probe: &SchemaJudge, value: &str, ended_well: bool) -> Judgement {
    if !probe.after.is_empty() {
        return if value == probe.after {
            Judgement::Finished
        } else if !probe.before.is_empty() && value == probe.before {
            Judgement::Untouched
        } else {
            Judgement::Touched
        };
    }
    if !probe.before.is_empty() && value == probe.before {
        Judgement::Untouched
    } else if ended_well && !probe.before.is_empty() && above(value, &probe.before) {
        Judgement::Finished
    } else {
        Judgement::Touched
    }
}

/// Whether `value` is above `before`: part by part as versions, or by text where either is not one.
fn above(value: &str, before: &str) -> bool {
    let order = match (Version::new(value), Version::new(before)) {
        (Ok(value), Ok(before)) => value.cmp(&before),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) | (Err(_), Err(_)) => value.cmp(before),
    };
    order == Ordering::Greater
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(before: &str, after: &str) -> SchemaJudge {
        SchemaJudge { query: "select 1".into(), before: before.into(), after: after.into() }
    }

    #[test]
    fn with_an_expected_value_the_exit_status_does_not_matter() {
        for well in [true, false] {
            assert_eq!(judge(&probe("23", "26"), "26", well), Judgement::Finished);
            assert_eq!(judge(&probe("23", "26"), "23", well), Judgement::Untouched);
            assert_eq!(judge(&probe("23", "26"), "24", well), Judgement::Touched);
            assert_eq!(judge(&probe("23", "26"), "", well), Judgement::Touched);
        }
    }

    #[test]
    fn equal_before_and_after_is_finished() {
        assert_eq!(judge(&probe("26", "26"), "26", false), Judgement::Finished);
    }

    #[test]
    fn without_an_expected_value_it_must_have_risen_and_ended_well() {
        assert_eq!(judge(&probe("9", ""), "10", true), Judgement::Finished);
        assert_eq!(judge(&probe("9", ""), "10", false), Judgement::Touched);
        assert_eq!(judge(&probe("9", ""), "9", true), Judgement::Untouched);
        assert_eq!(judge(&probe("10", ""), "9", true), Judgement::Touched);
    }

    #[test]
    fn nothing_is_untouched_when_the_plan_could_not_read_it() {
        assert_eq!(judge(&probe("", "26"), "23", true), Judgement::Touched);
        assert_eq!(judge(&probe("", ""), "23", true), Judgement::Touched);
    }
}
