//! What Lockkeeper costs, beside what it may cost (section 12 of the design). Everything is measured in one run on one
//! machine, so that ratios mean something.

pub mod demo;
pub mod disk;
pub mod idle_host;
pub mod planning;
pub mod processes;
pub mod rollouts;
pub mod trio;
pub mod usage;

use std::{fmt, time::Duration};

/// One measured figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Of value and budget.
    pub unit: &'static str,
    /// What it may be; none for figures that only others are compared with.
    pub budget: Option<f64>,
    /// How often it was measured and whatever else a reader needs.
    pub note: String,
}

impl Figure {
    /// A figure without a budget.
    pub fn of(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, budget: None, note: String::new() }
    }

    /// In milliseconds.
    pub fn ms(name: impl Into<String>, value: Duration) -> Self {
        Self::of(name, value.as_secs_f64() * 1000.0, "ms")
    }

    /// With a budget.
    #[must_use]
    pub fn within(mut self, budget: f64) -> Self {
        self.budget = Some(budget);
        self
    }

    /// With a remark.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether it is within its budget; what has none is.
    pub fn ok(&self) -> bool {
        self.budget.is_none_or(|budget| self.value <= budget)
    }
}

/// The line of a table.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = (self.unit, &self.name);
        let value = format!("{} {unit}", digits(self.value));
        let (budget, ratio, word) = match self.budget {
            Some(budget) => {
                let word = if self.ok() { "ok" } else { "OVER" };
                (format!("{} {unit}", digits(budget)), format!("{:.2}", self.value / budget), word)
            }
            None => (String::new(), String::new(), ""),
        };
        let line = format!("{name:<52} {value:>12} {budget:>12} {ratio:>6} {word:<5} {}", self.note);
        f.write_str(line.trim_end())
    }
}

/// The table's head.
pub fn head() -> String {
    format!("{:<52} {:>12} {:>12} {:>6}", "figure", "measured", "budget", "ratio")
}

/// Three digits that mean something.
fn digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Times of one thing, to be told by their quantiles.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// One more.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest sample that `share` (0 to 1) of all do not exceed; zero of none.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into some thousand samples"
        )]
        let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
        sorted.get(at).copied().unwrap_or_default()
    }

    /// Half do not exceed it.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// None exceeds it.
    pub fn worst(&self) -> Duration {
        self.quantile(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples_and_budgets_are_kept_or_not() {
        let mut samples = Samples::default();
        assert_eq!(samples.median(), Duration::ZERO);
        (1..=100).rev().for_each(|ms| samples.push(Duration::from_millis(ms)));
        assert_eq!(samples.median(), Duration::from_millis(50));
        assert_eq!(samples.quantile(0.99), Duration::from_millis(99));
        assert_eq!(samples.worst(), Duration::from_millis(100));
        let figure = Figure::ms("commit", samples.worst()).within(50.0).note("100 times");
        assert!(!figure.ok());
        assert!(figure.to_string().contains("OVER"), "{figure}");
        assert!(figure.clone().within(100.0).ok());
        assert_eq!(Figure::of("size", 24.96, "MB").to_string(), format!("{:<52} {:>12}", "size", "25.0 MB"));
    }
}
