//! Releases on disk: copying, comparing, switching. Knows nothing about what a release contains.

pub mod stage;
pub mod switch;
pub mod tree;
pub mod version;

use crate::code::HostCode;
use lockkeeper_agent::host::Failure;
use std::path::Path;

/// A failure that names the file and what was attempted.
fn failed(what: &str, path: &Path) -> impl Fn(std::io::Error) -> Failure {
    let text = format!("{what} {}", path.display());
    move |error| HostCode::Files.failure(format!("{text}: {error}"))
}
