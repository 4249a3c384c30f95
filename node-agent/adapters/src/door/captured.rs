//! What a `login` door took and must give back, as the text that is journalled, replicated and read back.

use crate::database::{Answer, DatabaseCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Largest captured value the log takes, in bytes; see `Precheck::Ready`.
pub const CAPTURED_MAX: usize = 4096;

/// Logins that could log in before the door was shut. One text for one set: sorted, no spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapturedLogins {
    /// Their names.
    pub logins: BTreeSet<String>,
}

impl CapturedLogins {
    /// The text; refused when it does not fit the log.
    pub fn to_text(&self) -> Answer<String> {
        let text = serde_json::to_string(self)
            .map_err(|error| DatabaseCode::CapturedTooLarge.refuse(format!("cannot be written: {error}")))?;
        if text.len() > CAPTURED_MAX {
            return Err(DatabaseCode::CapturedTooLarge.refuse(format!(
                "{} logins could enter, {} bytes; at most {CAPTURED_MAX} bytes are kept. Declare those that cannot \
                 write as infrastructure, or take CONNECT from them beforehand",
                self.logins.len(),
                text.len()
            )));
        }
        Ok(text)
    }

    /// Reads the text; an empty one is an empty set.
    pub fn parse(text: &str) -> Answer<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|error| {
            DatabaseCode::NotReturned.refuse(format!("the captured value is not a list of logins: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_one_set() {
        let captured = CapturedLogins { logins: ["b", "a", "x\"y"].map(String::from).into() };
        let text = captured.to_text().unwrap();
        assert_eq!(text, r#"{"logins":["a","b","x\"y"]}"#);
        assert_eq!(CapturedLogins::parse(&text).unwrap(), captured);
        assert_eq!(CapturedLogins::parse("").unwrap(), CapturedLogins::default());
        assert!(CapturedLogins::parse("{}x").is_err());
    }

    #[test]
    fn too_many_are_refused() {
        let captured = CapturedLogins { logins: (0..500).map(|n| format!("login-{n:04}")).collect() };
        assert_eq!(captured.to_text().unwrap_err().code, DatabaseCode::CapturedTooLarge);
    }
}
