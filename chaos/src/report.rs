//! What one run tells: a line of JSON from the process that ran the seed to the one that asked for it.

use crate::tier::Tier;
use serde_json::{Value, json};
use std::{io::Write as _, path::Path};

/// Names a directory into which tests put the tables they print, so that `tests/run` shows them although they passed.
const TABLES: &str = "LOCKKEEPER_TABLES";

/// Prints a test's table, and leaves it where `tests/run` looks for it.
pub fn show(title: &str, text: &str) {
    // A test that cannot print has nobody who reads.
    let _unheard = writeln!(std::io::stdout(), "\n{title}\n\n{text}");
    if let Some(folder) = std::env::var_os(TABLES) {
        let file = Path::new(&folder).join(title.replace(' ', "-")).with_extension("txt");
        let _unwritten = std::fs::write(file, format!("{title}\n\n{text}"));
    }
}

/// One seed's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How much of the stack was there.
    pub tier: Tier,
    /// The planted bug, if one was.
    pub plant: Option<String>,
    /// Hash of the trace.
    pub trace: String,
    /// Lines of the trace.
    pub lines: u64,
    /// How long it took, in virtual ms.
    pub virtual_ms: u64,
    /// How the rollout ended.
    pub outcome: Option<String>,
    /// Broken invariants, with what was seen.
    pub broken: Vec<(String, String)>,
    /// What was not alive.
    pub stuck: Option<(String, String)>,
    /// Kinds of the faults that struck.
    pub faults: Vec<String>,
    /// Whether one struck while a grant was open.
    pub in_grant: bool,
    /// Rare paths that were taken.
    pub paths: Vec<String>,
    /// What can be turned and is not as it was before.
    pub differences: Vec<String>,
    /// Effects that were begun.
    pub effects: u64,
    /// The entry that started the rollout.
    pub first_entry: u64,
    /// The last entry.
    pub last_entry: u64,
}

impl Report {
    /// Whether everything held.
    pub fn is_good(&self) -> bool {
        self.broken.is_empty() && self.stuck.is_none()
    }

    /// Whether everybody is at the target.
    pub fn is_completed(&self) -> bool {
        self.outcome.as_deref() == Some("Completed")
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        json!({
            "seed": self.seed,
            "tier": self.tier.as_str(),
            "plant": self.plant,
            "trace": self.trace,
            "lines": self.lines,
            "virtual_ms": self.virtual_ms,
            "outcome": self.outcome,
            "broken": self.broken,
            "stuck": self.stuck,
            "faults": self.faults,
            "in_grant": self.in_grant,
            "paths": self.paths,
            "differences": self.differences,
            "effects": self.effects,
            "first_entry": self.first_entry,
            "last_entry": self.last_entry,
        })
        .to_string()
    }

    /// Reads the line back.
    pub fn from_json(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let pair = |value: &Value| Some((text(value.get(0)?)?, text(value.get(1)?)?));
        let texts = |key: &str| Some(value.get(key)?.as_array()?.iter().filter_map(text).collect::<Vec<_>>());
        Some(Self {
            seed: value.get("seed")?.as_u64()?,
            tier: if value.get("tier")? == Tier::Light.as_str() { Tier::Light } else { Tier::Whole },
            plant: value.get("plant").and_then(text),
            trace: value.get("trace").and_then(text)?,
            lines: value.get("lines")?.as_u64()?,
            virtual_ms: value.get("virtual_ms")?.as_u64()?,
            outcome: value.get("outcome").and_then(text),
            broken: value.get("broken")?.as_array()?.iter().filter_map(pair).collect(),
            stuck: value.get("stuck").and_then(pair),
            faults: texts("faults")?,
            in_grant: value.get("in_grant")?.as_bool()?,
            paths: texts("paths")?,
            differences: texts("differences")?,
            effects: value.get("effects")?.as_u64()?,
            first_entry: value.get("first_entry")?.as_u64()?,
            last_entry: value.get("last_entry")?.as_u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back() {
        let report = Report {
            seed: 7,
            tier: Tier::Light,
            plant: Some("x".into()),
            trace: "abc".into(),
            lines: 3,
            virtual_ms: 12,
            outcome: None,
            broken: vec![("door_shut".into(), "it stands open".into())],
            stuck: Some(("finishes".into(), "no".into())),
            faults: vec!["kill".into(), "kill".into()],
            in_grant: true,
            paths: vec!["completed".into()],
            differences: vec!["the door".into()],
            effects: 3,
            first_entry: 9,
            last_entry: 44,
        };
        assert_eq!(Report::from_json(&report.to_json()), Some(report));
    }
}
