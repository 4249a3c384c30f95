//! This node's settings and data directory, as `init` and `join` need them: in order, ours alone, without identity.

use super::Scene;
use crate::{error::CliError, exit::Exit, files::read_text, out, render::faults};
use lockkeeper_agent::{
    data::DataDir,
    identity::{Identity, IdentityError},
    journal::FsDisk,
    quarantine::Reason,
    settings::{Fragment, Settings, from_file},
};
use lockkeeper_core::{identity::Right, ids::MemberName};
use lockkeeper_proto::transport::{PeerIdentity, Subject};
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

/// Why this node stands in quarantine, if a rival was noted.
pub fn quarantined(settings: &Settings) -> Result<Option<Reason>, CliError> {
    let path = settings.data.join("quarantine");
    Reason::kept(&path).map_err(|source| CliError::Read { path, source })
}

/// The approver whose context was named: an operator's certificate of this node's cluster, with the right to approve.
/// Root could do without; this is against mistakes, and for the name in the answer.
pub fn approver(scene: &Scene, settings: &Settings) -> Result<String, CliError> {
    let path = settings.data.join("identity");
    let mut disk = FsDisk::new(&path).map_err(|source| IdentityError::Directory { path, source })?;
    let cluster = Identity::load(&mut disk)?.cluster;
    let missing = |why: String| CliError::NoApprover { cluster: cluster.clone(), why };
    let Some(context) = scene.place.named_context()? else {
        return Err(missing("none was given".to_owned()));
    };
    let certificate = context.credentials.chain.first().ok_or_else(|| missing("it holds no certificate".to_owned()))?;
    match Subject::of(certificate).map_err(|fault| missing(fault.to_string()))?.identity {
        PeerIdentity::Operator { cluster: of, name, role } if of == cluster && role.may(Right::Approve) => {
            Ok(name.to_string())
        }
        PeerIdentity::Operator { cluster: of, name, role } => Err(missing(format!("{name} is {role} of {of}"))),
        other => Err(missing(format!("it is that of {other}"))),
    }
}
