//! The profiles there are: the built-in ones and those an operator added.

use super::{Profile, read_profile};
use crate::{
    fault::{Fault, FaultCode, Report},
    ids::ProfileName,
};
use std::collections::BTreeMap;

/// The built-in profiles, as (file name, text).
pub const BUILT_IN: [(&str, &str); 1] = [("generic.toml", include_str!("../../profiles/generic.toml"))];

/// Profiles by name.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileCatalog {
    profiles: BTreeMap<ProfileName, Profile>,
}

impl ProfileCatalog {
    /// The built-in profiles.
    pub fn built_in() -> Self {
        let mut profiles = BTreeMap::new();
        for (file, text) in BUILT_IN {
            // A built-in profile that does not read is a mistake in this crate; the test
            // `every_built_in_profile_reads` fails then, so that no build of it is ever shipped.
            if let Ok(profile) = read_profile(file, text) {
                profiles.insert(profile.name.clone(), profile);
            }
        }
        Self { profiles }
    }

    /// Adds a profile from its text. A name that is already there is refused: nobody shall believe in one profile
    /// and get another.
    pub fn add(&mut self, file: &str, text: &str) -> Result<ProfileName, Report> {
        let profile = read_profile(file, text)?;
        let name = profile.name.clone();
        if self.profiles.contains_key(&name) {
            return Err(Report::one(
                Fault::new(FaultCode::DuplicateName, format!("there are two profiles named {name}"))
                    .found(file)
                    .help("give the profile another name"),
            ));
        }
        self.profiles.insert(name.clone(), profile);
        Ok(name)
    }

    /// A profile by name.
    pub fn get(&self, name: &ProfileName) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// All profiles, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_reads() {
        for (file, text) in BUILT_IN {
            if let Err(report) = read_profile(file, text) {
                panic!("{report}");
            }
        }
        assert_eq!(ProfileCatalog::built_in().iter().count(), BUILT_IN.len());
    }
}
