//! Texts with `{slots}`: parsed once, checked where they stand, filled in by the planner.
//!
//! A brace pair whose inside does not begin with a small letter (`{2,3}`, `{"a":1}`, `${HOME}`) is plain text.

use std::fmt;

/// A text with slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Stays as it is.
    Text(String),
    /// Is filled in.
    Slot(Slot),
}

/// What can be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// `{member.name}`
    MemberName,
    /// `{member.host}`: where the application listens.
    MemberHost,
    /// `{member.KEY}`: a value of this member alone.
    MemberValue(String),
    /// `{release}`: the release directory of the version this step is about.
    Release,
    /// `{release.link}`: the link that names the release in use.
    ReleaseLink,
    /// `{version}`: the version this step is about.
    Version,
    /// `{from}`
    From,
    /// `{to}`
    To,
    /// `{database}`: the database's name in the cluster file.
    Database,
    /// `{parameter.KEY}`
    Parameter(String),
    /// Filled in by the executing host.
    Runtime(Runtime),
}

/// What only the executing host can fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// `{credential.user}`
    CredentialUser,
    /// `{credential.password}`
    CredentialPassword,
    /// `{credential.file}`
    CredentialFile,
    /// `{database.NAME.path}`
    DatabasePath(String),
    /// `{token}`
    Token,
}

/// The slots people may write, for messages.
pub const SLOTS: &str = "{member.name} {member.host} {member.KEY} {release} {release.link} {version} {from} {to} \
     {database} {parameter.KEY} {credential.user} {credential.password} {credential.file} {database.NAME.path} {token}";

/// A slot nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown placeholder {{{0}}}")]
pub struct UnknownSlot(pub String);

impl Template {
    /// Parses a text.
    pub fn parse(text: &str) -> Result<Self, UnknownSlot> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            plain.push_str(before);
            match inside(from_brace) {
                Some(name) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Slot(slot(name).ok_or_else(|| UnknownSlot(name.to_owned()))?));
                    rest = &from_brace[name.len() + 2..];
                }
                None => {
                    plain.push('{');
                    rest = &from_brace[1..];
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// A text without slots.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())] }
    }

    /// Its pieces.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its slots.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.parts.iter().filter_map(|part| match part {
            Part::Slot(slot) => Some(slot),
            Part::Text(_) => None,
        })
    }

    /// The parameter that this template is, if it is nothing else.
    pub fn only_parameter(&self) -> Option<&str> {
        if let [Part::Slot(Slot::Parameter(key))] = self.parts.as_slice() { Some(key) } else { None }
    }
}

/// What stands between the brace at the beginning of `text` and its partner, if that looks like a slot.
fn inside(text: &str) -> Option<&str> {
    let end = text.find('}')?;
    let name = text.get(1..end)?;
    // Keys of parameters may hold capitals and signs (`upgrade.env.PGOPTIONS`); the first letter decides.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    (name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits)).then_some(name)
}

fn slot(name: &str) -> Option<Slot> {
    let fixed = match name {
        "member.name" => Some(Slot::MemberName),
        "member.host" => Some(Slot::MemberHost),
        "release" => Some(Slot::Release),
        "release.link" => Some(Slot::ReleaseLink),
        "version" => Some(Slot::Version),
        "from" => Some(Slot::From),
        "to" => Some(Slot::To),
        "database" => Some(Slot::Database),
        "credential.user" => Some(Slot::Runtime(Runtime::CredentialUser)),
        "credential.password" => Some(Slot::Runtime(Runtime::CredentialPassword)),
        "credential.file" => Some(Slot::Runtime(Runtime::CredentialFile)),
        "token" => Some(Slot::Runtime(Runtime::Token)),
        _ => None,
    };
    let prefixed =
        |prefix: &str| name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).map(str::to_owned);
    fixed
        .or_else(|| prefixed("member.").map(Slot::MemberValue))
        .or_else(|| prefixed("parameter.").map(Slot::Parameter))
        .or_else(|| {
            let database = prefixed("database.")?.strip_suffix(".path")?.to_owned();
            (!database.is_empty() && !database.contains('.'))
                .then_some(Slot::Runtime(Runtime::DatabasePath(database)))
        })
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Slot(slot) => slot.fmt(f),
        })
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::MemberName => f.write_str("{member.name}"),
            Slot::MemberHost => f.write_str("{member.host}"),
            Slot::MemberValue(key) => write!(f, "{{member.{key}}}"),
            Slot::Release => f.write_str("{release}"),
            Slot::ReleaseLink => f.write_str("{release.link}"),
            Slot::Version => f.write_str("{version}"),
            Slot::From => f.write_str("{from}"),
            Slot::To => f.write_str("{to}"),
            Slot::Database => f.write_str("{database}"),
            Slot::Parameter(key) => write!(f, "{{parameter.{key}}}"),
            Slot::Runtime(Runtime::CredentialUser) => f.write_str("{credential.user}"),
            Slot::Runtime(Runtime::CredentialPassword) => f.write_str("{credential.password}"),
            Slot::Runtime(Runtime::CredentialFile) => f.write_str("{credential.file}"),
            Slot::Runtime(Runtime::DatabasePath(name)) => write!(f, "{{database.{name}.path}}"),
            Slot::Runtime(Runtime::Token) => f.write_str("{token}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_and_printed_as_written() {
        for text in [
            "",
            "plain",
            "{release}/bin/{member.name}",
            "http://{member.host}:{member.port}/x",
            "{database.main.path}?t={token}",
            "{parameter.upgrade.env.PGOPTIONS}",
            "a{2,3} ${HOME} {\"a\":1} {} {",
        ] {
            assert_eq!(Template::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Template::parse("x{2,3}{}").unwrap().slots().count(), 0);
        assert_eq!(Template::parse("{to}{from}").unwrap().slots().count(), 2);
    }

    #[test]
    fn unknown_slots_are_refused_by_name() {
        assert_eq!(Template::parse("a {relase}"), Err(UnknownSlot("relase".into())));
        assert_eq!(Template::parse("{database.path}"), Err(UnknownSlot("database.path".into())));
        assert_eq!(Template::parse("{member.}"), Err(UnknownSlot("member.".into())));
    }
}
