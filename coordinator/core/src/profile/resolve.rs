//! Fills templates in for one member, database and pair of versions.

use super::{
    model::{Alternative, Condition, ParameterKind, Profile, TableTemplate},
    template::{Part, Slot, Template},
};
use crate::{
    cluster::{ClusterSpec, MemberSpec, Parameter},
    ids::{DatabaseName, MemberName},
    time::Millis,
    version::Version,
};
use std::collections::BTreeMap;

/// Why a template could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// The cluster file does not say it and there is no default.
    #[error("the parameter {0:?} is not set")]
    Parameter(String),
    /// The parameter is of another type than is needed here.
    #[error("the parameter {0:?} is not {1}")]
    ParameterType(String, &'static str),
    /// The member has no such value.
    #[error("member {member} has no value {key:?}")]
    MemberValue {
        /// Which member.
        member: MemberName,
        /// Which value.
        key: String,
    },
    /// The placeholder has no meaning at this place.
    #[error("{0} has no meaning here")]
    NoMeaning(String),
    /// What came out is of the wrong type.
    #[error("{0:?} is not {1}")]
    NotA(String, &'static str),
    /// The parameter's value holds a placeholder nobody knows.
    #[error("the parameter {0:?} holds the unknown placeholder {{{1}}}")]
    Slot(String, String),
}

/// The versions of an upgrade, and the one a step is about.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'a> {
    /// What is installed.
    pub from: &'a Version,
    /// What shall be.
    pub to: &'a Version,
    /// The one this step is about.
    pub version: &'a Version,
}

/// What templates are filled in with.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    profile: &'a Profile,
    spec: &'a ClusterSpec,
    member: Option<(&'a MemberName, &'a MemberSpec)>,
    database: Option<&'a DatabaseName>,
    versions: Option<Versions<'a>>,
}

/// The value of a parameter in a cluster file, or the profile's default. Tables have none.
pub fn parameter<'a>(profile: &'a Profile, spec: &'a ClusterSpec, key: &str) -> Option<&'a Parameter> {
    spec.parameters.get(key).or_else(|| profile.parameters.get(key)?.default.as_ref())
}

impl<'a> Scope<'a> {
    /// Only parameters are known.
    pub const fn new(profile: &'a Profile, spec: &'a ClusterSpec) -> Self {
        Self { profile, spec, member: None, database: None, versions: None }
    }

    /// The same with one member meant; without if the cluster has none of that name.
    #[must_use]
    pub fn of_member(self, name: &'a MemberName) -> Self {
        Self { member: self.spec.members.get(name).map(|spec| (name, spec)), ..self }
    }

    /// The same with one database meant.
    #[must_use]
    pub const fn of_database(self, name: &'a DatabaseName) -> Self {
        Self { database: Some(name), ..self }
    }

    /// The same with versions known.
    #[must_use]
    pub const fn with_versions(self, versions: Versions<'a>) -> Self {
        Self { versions: Some(versions), ..self }
    }

    /// Whether a condition holds.
    pub fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Set(key) => {
                parameter(self.profile, self.spec, key).is_some() || !self.entries(key).is_empty()
            }
            Condition::Is(key, value) => match parameter(self.profile, self.spec, key) {
                Some(found) => scalar(found).is_some_and(|text| text == *value),
                None => false,
            },
        }
    }

    /// The first alternative that applies.
    pub fn choose<'t, T>(&self, alternatives: &'t [Alternative<T>]) -> Option<&'t T> {
        alternatives.iter().find(|a| self.holds(&a.when)).map(|a| &a.what)
    }

    /// A text. Run-time slots stay in it.
    pub fn text(&self, template: &Template) -> Result<String, Unfilled> {
        let mut out = String::new();
        for part in template.parts() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Slot(slot) => out.push_str(&self.slot(slot)?),
            }
        }
        Ok(out)
    }

    fn slot(&self, slot: &Slot) -> Result<String, Unfilled> {
        let meaningless = || Unfilled::NoMeaning(slot.to_string());
        match slot {
            Slot::MemberName => Ok(self.member.ok_or_else(meaningless)?.0.to_string()),
            Slot::MemberHost => Ok(self.member.ok_or_else(meaningless)?.1.host.clone()),
            Slot::MemberValue(key) => {
                let (member, spec) = self.member.ok_or_else(meaningless)?;
                let missing = || Unfilled::MemberValue { member: member.clone(), key: key.clone() };
                spec.values.get(key).cloned().ok_or_else(missing)
            }
            Slot::Release => self.release_directory(),
            Slot::ReleaseLink => self.release_link(),
            Slot::Version => Ok(self.versions.ok_or_else(meaningless)?.version.to_string()),
            Slot::From => Ok(self.versions.ok_or_else(meaningless)?.from.to_string()),
            Slot::To => Ok(self.versions.ok_or_else(meaningless)?.to.to_string()),
            Slot::Database => Ok(self.database.ok_or_else(meaningless)?.to_string()),
            Slot::Parameter(key) => {
                let value = parameter(self.profile, self.spec, key)
                    .ok_or_else(|| Unfilled::Parameter(key.clone()))?;
                let text = scalar(value).ok_or_else(|| Unfilled::ParameterType(key.clone(), "one value"))?;
                self.value(key, &text)
            }
            Slot::Runtime(_) => Ok(slot.to_string()),
        }
    }

    /// A parameter's own text, which may hold slots but no further parameters.
    fn value(&self, key: &str, text: &str) -> Result<String, Unfilled> {
        let template = Template::parse(text).map_err(|e| Unfilled::Slot(key.to_owned(), e.0))?;
        if let Some(slot) = template.slots().find(|slot| matches!(slot, Slot::Parameter(_))) {
            return Err(Unfilled::NoMeaning(slot.to_string()));
        }
        self.text(&template)
    }

    /// A list; a template that is just a parameter of type list stands for all its texts.
    pub fn list(&self, templates: &[Template]) -> Result<Vec<String>, Unfilled> {
        let mut out = Vec::new();
        for template in templates {
            let listed = template.only_parameter().filter(|key| {
                self.profile.parameters.get(*key).is_some_and(|decl| decl.kind == ParameterKind::List)
            });
            match listed {
                None => out.push(self.text(template)?),
                Some(key) => match parameter(self.profile, self.spec, key) {
                    Some(Parameter::List(items)) => {
                        for item in items {
                            out.push(self.value(key, item)?);
                        }
                    }
                    Some(Parameter::Text(_) | Parameter::Number(_) | Parameter::Flag(_)) => {
                        return Err(Unfilled::ParameterType(key.to_owned(), "a list"));
                    }
                    None => return Err(Unfilled::Parameter(key.to_owned())),
                },
            }
        }
        Ok(out)
    }

    /// A table.
    pub fn table(&self, table: &TableTemplate) -> Result<BTreeMap<String, String>, Unfilled> {
        match table {
            TableTemplate::Entries(entries) => {
                entries.iter().map(|(k, t)| Ok((k.clone(), self.text(t)?))).collect()
            }
            TableTemplate::Parameter(key) => self
                .entries(key)
                .into_iter()
                .map(|(name, value)| {
                    let text = scalar(value)
                        .ok_or_else(|| Unfilled::ParameterType(key.clone(), "a table of texts"))?;
                    Ok((name.to_owned(), self.value(key, &text)?))
                })
                .collect(),
        }
    }

    fn entries(&self, key: &str) -> Vec<(&'a str, &'a Parameter)> {
        let prefix = format!("{key}.");
        let inside = |k: &'a String| k.strip_prefix(prefix.as_str());
        self.spec.parameters.iter().filter_map(|(k, v)| Some((inside(k)?, v))).collect()
    }

    /// A duration.
    pub fn duration(&self, template: &Template) -> Result<Millis, Unfilled> {
        let text = self.text(template)?;
        Millis::parse(&text).map_err(|_| Unfilled::NotA(text, "a duration"))
    }

    /// A number in the range of its type.
    pub fn number<T: std::str::FromStr>(&self, template: &Template) -> Result<T, Unfilled> {
        let text = self.text(template)?;
        text.parse().map_err(|_| Unfilled::NotA(text, "a number in range"))
    }

    /// Yes or no.
    pub fn flag(&self, template: &Template) -> Result<bool, Unfilled> {
        let text = self.text(template)?;
        text.parse().map_err(|_| Unfilled::NotA(text, "true or false"))
    }

    /// The release directory of the version that is meant.
    pub fn release_directory(&self) -> Result<String, Unfilled> {
        let layout = &self.profile.release;
        Ok(join(&self.text(&layout.root)?, &self.text(&layout.each)?))
    }

    /// The link that names the release in use.
    pub fn release_link(&self) -> Result<String, Unfilled> {
        let layout = &self.profile.release;
        Ok(join(&self.text(&layout.root)?, &self.text(&layout.link)?))
    }
}

/// `path` beside others in `root`, unless it stands for itself.
fn join(root: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", root.trim_end_matches('/')) }
}

/// A value as text; lists have none.
fn scalar(parameter: &Parameter) -> Option<String> {
    match parameter {
        Parameter::Text(text) => Some(text.clone()),
        Parameter::Number(number) => Some(number.to_string()),
        Parameter::Flag(flag) => Some(flag.to_string()),
        Parameter::List(_) => None,
    }
}
