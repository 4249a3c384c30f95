//! What the bed needs from the machine: root, installed releases, its own files' place. A missing part is an error
//! that says what is missing, never a skipped test.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::process;

/// A first installation fetches some 60 packages twice; on a slow line that takes minutes.
const INSTALL_WITHIN: Duration = Duration::from_secs(600);

/// The virtual environments of both Kinto releases, shared by all members.
#[derive(Debug, Clone)]
pub struct Releases {
    root: PathBuf,
}

impl Releases {
    /// The environment of one release, for example `20.6.1`.
    pub fn environment(&self, version: &str) -> PathBuf {
        self.root.join(format!("kinto-{version}"))
    }
}

/// Namespaces need root.
pub fn require_root() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the bed makes network, mount and process namespaces and needs root: run it with sudo"
    );
    Ok(())
}

/// Installs both Kinto releases below `target/bed/venv`, or finds them there (a stamp file tells).
pub fn releases() -> Result<Releases> {
    let root = build_products().join("venv");
    let script = scripts().join("venvs.sh");
    process::run(INSTALL_WITHIN, &[path(&script)?, path(&root)?])?
        .ok()
        .context("installing the Kinto releases (tests/bed/venvs.sh)")?;
    Ok(Releases { root })
}

/// Holds the machine's one bed: waits for another test's to end.
pub fn exclusive() -> Result<File> {
    let directory = build_products();
    fs::create_dir_all(&directory)?;
    let lock = File::create(directory.join("lock"))?;
    lock.lock().context("waiting for another bed")?;
    Ok(lock)
}

/// The bed's scripts.
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bed")
}

/// Lets other users (the database's) pass through a directory without listing it.
pub fn let_all_pass(directory: &Path) -> Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o711))
        .with_context(|| format!("permissions of {}", directory.display()))
}

/// A path as an argument.
pub fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))
}

fn build_products() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bed")
}
