//! Product versions as people write them: dot-separated, compared number by number.
//!
//! A version is an opaque label to everything but the ladder; comparing is only used to refuse going down.

use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt};

/// The longest version text accepted, in bytes. Version texts become directory names.
pub const VERSION_MAX: usize = 40;

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a version; allowed: 1 to {VERSION_MAX} characters of 0-9, a-z, A-Z, '.', '-', '+', beginning with a letter or digit")]
pub struct VersionError {
    /// What was found.
    pub found: String,
}

/// A product version such as `7.4`, `20.6.1` or `2.3.1-hf2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

impl Version {
    /// Checks and wraps a version text.
    pub fn new(text: impl Into<String>) -> Result<Self, VersionError> {
        let text = text.into();
        let good = !text.is_empty()
            && text.len() <= VERSION_MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
            && !text.contains("..");
        if good { Ok(Self(text)) } else { Err(VersionError { found: text }) }
    }

    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split(['.', '-', '+'])
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    /// Part by part: numbers as numbers, anything else as text; a number is above a word, more parts are above fewer.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (self.parts(), other.parts());
        loop {
            let order = match (left.next(), right.next()) {
                (None, None) => return self.0.cmp(&other.0),
                (None, Some(_)) => Ordering::Less,
                (Some(_), None) => Ordering::Greater,
                (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                    (Ok(a), Ok(b)) => a.cmp(&b),
                    (Ok(_), Err(_)) => Ordering::Greater,
                    (Err(_), Ok(_)) => Ordering::Less,
                    (Err(_), Err(_)) => a.cmp(b),
                },
            };
            if order != Ordering::Equal {
                return order;
            }
        }
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        Self::new(text)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for Version {
    type Err = VersionError;
    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn numbers_compare_as_numbers() {
        assert!(v("2.3.1") < v("2.10"));
        assert!(v("20.6.1") < v("26.5.0"));
        assert!(v("7.4") < v("7.4.1"));
        assert!(v("2.0-rc1") < v("2.0.1"));
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for bad in ["", "..", "1..2", "../x", "a b", "-1", &"9".repeat(41)] {
            assert!(Version::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn order_is_total_and_agrees_with_equality() {
        let all = ["1", "1.0", "1.0.0", "01", "1-0", "a", "1.a"].map(v);
        for a in &all {
            for b in &all {
                assert_eq!(a.cmp(b), b.cmp(a).reverse());
                assert_eq!(a == b, a.cmp(b) == std::cmp::Ordering::Equal, "{a} {b}");
            }
        }
    }
}
