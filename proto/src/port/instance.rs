//! One running of one agent. Two runnings with one identity are a node and its copy.

use std::fmt;

/// The machine's boot and a random number, as text; empty when it is not told (an old build, the simulation).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance(String);

/// A boot id and a random number have 36 characters each.
const LENGTH_MAX: usize = 128;

impl Instance {
    /// This running, by the machine's boot id and a number that no other running has.
    pub fn new(boot: Option<&str>, unique: impl fmt::Display) -> Self {
        Self::told(&format!("{}/{unique}", boot.unwrap_or("-")))
    }

    /// As another agent told it. What no build of ours would tell counts as not told.
    pub fn told(text: &str) -> Self {
        let good = text.len() <= LENGTH_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        Self(if good { text.to_owned() } else { String::new() })
    }

    /// Whether nothing was told.
    pub fn is_silent(&self) -> bool {
        self.0.is_empty()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
