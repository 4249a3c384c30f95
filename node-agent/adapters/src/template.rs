//! Filling run-time placeholders such as `{database.main.path}` or `{credential.file}`.
//!
//! A placeholder is a brace, a lower-case letter, then letters, digits, `.`, `_`, `-`, and a brace; other braces are
//! text. One that nothing fills is an error, never an empty text. Knows nothing about where values come from.

use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use lockkeeper_core::plan::action::CommandSpec;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

/// What placeholders stand for.
#[derive(Debug, Clone, Default)]
pub struct Values {
    plain: BTreeMap<String, String>,
    secret: BTreeMap<String, SecretString>,
}

/// Where a filled text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Argument lists, paths, URLs: seen by everybody on the host.
    Public,
    /// Environments and 0600 files.
    Private,
}

impl Values {
    /// Adds a value that anybody may see.
    pub fn plain(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.plain.insert(name.into(), value.into());
    }

    /// Adds a value that may only go to environments and private files.
    pub fn secret(&mut self, name: impl Into<String>, value: SecretString) {
        self.secret.insert(name.into(), value);
    }

    /// Fills a text that others can see.
    pub fn public(&self, text: &str) -> Result<String, Failure> {
        self.fill(text, Place::Public)
    }

    /// Fills a text for an environment or a private file.
    pub fn private(&self, text: &str) -> Result<String, Failure> {
        self.fill(text, Place::Private)
    }

    /// Fills a command: arguments and directory in public, the environment in private.
    pub fn command(&self, command: &CommandSpec) -> Result<CommandSpec, Failure> {
        let argv = command.argv.iter().map(|a| self.public(a)).collect::<Result<_, _>>()?;
        let env = command
            .env
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.private(value)?)))
            .collect::<Result<_, Failure>>()?;
        Ok(CommandSpec { argv, env, dir: self.public(&command.dir)?, ..command.clone() })
    }

    /// The secret texts, to be blacked out of whatever a command says.
    pub fn secrets(&self) -> Vec<String> {
        self.secret.values().map(|s| s.expose_secret().to_owned()).collect()
    }

    fn fill(&self, text: &str, place: Place) -> Result<String, Failure> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            filled.push_str(before);
            match placeholder(from) {
                None => {
                    filled.push('{');
                    rest = from.get(1..).unwrap_or_default();
                }
                Some(name) => {
                    match (self.plain.get(name), self.secret.get(name), place) {
                        (Some(value), _, _) => filled.push_str(value),
                        (None, Some(value), Place::Private) => filled.push_str(value.expose_secret()),
                        (None, Some(_), Place::Public) => {
                            return Err(HostCode::PlaceholderExposed.failure(format!(
                                "{{{name}}} is a secret and may stand only in an environment or a private file"
                            )));
                        }
                        (None, None, _) => {
                            let known: Vec<&str> =
                                self.plain.keys().chain(self.secret.keys()).map(String::as_str).collect();
                            return Err(HostCode::PlaceholderUnknown.failure(format!(
                                "nothing fills {{{name}}}; known here: {}",
                                known.join(", ")
                            )));
                        }
                    }
                    rest = from.get(name.len() + 2..).unwrap_or_default();
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// The name of the placeholder that `text` begins with.
fn placeholder(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let name = inner.get(..inner.find('}')?)?;
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    good.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let mut values = Values::default();
        values.plain("database.main.path", "/d/app.2.db");
        values.plain("credential.user", "lk_1");
        values.secret("credential.password", SecretString::from("s3cret{token}"));
        values
    }

    #[test]
    fn known_ones_are_filled_once_and_other_braces_are_text() {
        let v = values();
        assert_eq!(v.public("--db={database.main.path}").unwrap(), "--db=/d/app.2.db");
        assert_eq!(v.public(r#"{"a": {"b": 1}} ${HOME} {}"#).unwrap(), r#"{"a": {"b": 1}} ${HOME} {}"#);
        // A value is not a template.
        assert_eq!(v.private("{credential.password}").unwrap(), "s3cret{token}");
    }

    #[test]
    fn an_unknown_one_and_an_exposed_secret_are_errors_without_the_secret() {
        let v = values();
        assert_eq!(v.private("{nonsense}").unwrap_err().code, "LK5403");
        let exposed = v.public("pw={credential.password}").unwrap_err();
        assert_eq!(exposed.code, "LK5404");
        assert!(!exposed.text.contains("s3cret") && !format!("{v:?}").contains("s3cret"));
    }
}
