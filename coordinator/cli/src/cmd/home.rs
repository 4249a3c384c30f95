//! This node's settings and data directory, as `init` and `join` need them: in order, ours alone, without identity.

use super::Scene;
use crate::{error::CliError, exit::Exit, files::read_text, out, render::faults};
use lockkeeper_agent::{
    data::DataDir,
    identity::{Identity, IdentityError},
    journal::FsDisk,
    settings::{Fragment, Settings, from_file},
};
use lockkeeper_core::ids::MemberName;
use std::path::Path;

/// Reads `agent.toml`; the exit code after its faults were said.
pub fn settings(scene: &Scene, path: &Path) -> Result<Result<Settings, Exit>, CliError> {
    match from_file(&path.display().to_string(), &read_text(path)?, Fragment::default()) {
        Ok((settings, warnings)) => {
            if !warnings.faults.is_empty() {
                out::say(&faults::text(&warnings, scene.style));
            }
            Ok(Ok(settings))
        }
        Err(report) => {
            out::say(&faults::text(&report, scene.style));
            Ok(Err(Exit::Error))
        }
    }
}

/// `LK7021` unless the settings name this node so.
pub fn same_name(path: &Path, settings: &Settings, given: &MemberName) -> Result<(), CliError> {
    if settings.name == *given {
        return Ok(());
    }
    Err(CliError::OtherName { path: path.to_owned(), settings: settings.name.clone(), given: given.clone() })
}

/// Takes the data directory, and refuses one that belongs to a node already (`LK6205`).
pub fn fresh(settings: &Settings) -> Result<DataDir, CliError> {
    let data = DataDir::open(&settings.data)?;
    let path = data.identity();
    let mut disk =
        FsDisk::new(&path).map_err(|source| IdentityError::Directory { path: path.clone(), source })?;
    match Identity::load(&mut disk) {
        Err(IdentityError::Missing) => Ok(data),
        Ok(present) => Err(IdentityError::Exists { name: present.name }.into()),
        Err(other) => Err(other.into()),
    }
}
