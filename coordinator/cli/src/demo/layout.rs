//! Where everything of one demo lies. Knows names of files, not what they hold.

use anyhow::{Context as _, bail};
use lockkeeper_core::{ids::MemberName, version::Version};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The name of [`Layout::slow_migration`]; the application looks beside its logs.
pub const SLOW_MIGRATION: &str = "slow-migration";

/// The longest directory in which the longest of our sockets (`agent-n9.sock`) still fits: the kernel takes 107 bytes.
const SOCKET_DIR_MAX: usize = 90;

/// The directories of one demo.
#[derive(Debug)]
pub struct Layout {
    root: PathBuf,
    sockets: PathBuf,
    /// Removed with everything below them when the demo ends; none of them is the kept directory.
    _passing: Vec<tempfile::TempDir>,
}

impl Layout {
    /// Makes the directory (mode 0700): `keep`, which must be absent or empty, else a temporary one.
    pub fn create(keep: Option<&Path>) -> anyhow::Result<Self> {
        let mut passing = Vec::new();
        let root = match keep {
            Some(keep) => kept(keep)?,
            None => {
                let made = tempfile::Builder::new().prefix("lockkeeper-demo-").tempdir();
                let made = made.context("cannot make a temporary directory")?;
                let path = made.path().to_owned();
                passing.push(made);
                path
            }
        };
        let root = fs::canonicalize(&root).with_context(|| format!("cannot find {}", root.display()))?;
        plain(&root)?;
        let mut sockets = root.join("run");
        if sockets.as_os_str().len() > SOCKET_DIR_MAX {
            let made = tempfile::Builder::new().prefix("lkd-").tempdir();
            let made = made.context("cannot make a temporary directory for sockets")?;
            sockets = made.path().to_owned();
            passing.push(made);
        }
        let layout = Self { root, sockets, _passing: passing };
        for directory in [&layout.sockets, &layout.db(), &layout.backups(), &layout.operator()] {
            private(directory)?;
        }
        Ok(layout)
    }

    /// The directory itself; holds the logs of application, balancer and client, and the result.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The shared database, behind the link `current`.
    pub fn db(&self) -> PathBuf {
        self.root.join("db")
    }

    /// The link that members open.
    pub fn live(&self) -> PathBuf {
        self.db().join("current")
    }

    /// Backup sets.
    pub fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// Where a vendor's release is copied from.
    pub fn source(&self, version: &Version) -> PathBuf {
        self.root.join("releases").join(version.as_str())
    }

    /// A member's host.
    pub fn home(&self, member: &MemberName) -> PathBuf {
        self.root.join("hosts").join(member.as_str())
    }

    /// A release as it is installed on a member's host.
    pub fn installed(&self, member: &MemberName, version: &Version) -> PathBuf {
        self.home(member).join("app").join(version.as_str())
    }

    /// The link to a member's installed release.
    pub fn in_use(&self, member: &MemberName) -> PathBuf {
        self.home(member).join("app/current")
    }

    /// A member's agent.
    pub fn agent(&self, member: &MemberName) -> PathBuf {
        self.root.join("agents").join(member.as_str())
    }

    /// Its settings.
    pub fn agent_config(&self, member: &MemberName) -> PathBuf {
        self.agent(member).join("agent.toml")
    }

    /// Its data.
    pub fn agent_data(&self, member: &MemberName) -> PathBuf {
        self.agent(member).join("data")
    }

    /// Its log.
    pub fn agent_log(&self, member: &MemberName) -> PathBuf {
        self.agent(member).join("agent.log")
    }

    /// Its socket.
    pub fn agent_socket(&self, member: &MemberName) -> PathBuf {
        self.sockets.join(format!("agent-{member}.sock"))
    }

    /// A copy of a member's agent, elsewhere: `agent.toml`, `data`, and `before`, which nobody ever touches.
    pub fn copy(&self, member: &MemberName) -> PathBuf {
        self.root.join("copies").join(member.as_str())
    }

    /// The copy's data.
    pub fn copy_data(&self, member: &MemberName) -> PathBuf {
        self.copy(member).join("data")
    }

    /// The copy's socket.
    pub fn copy_socket(&self, member: &MemberName) -> PathBuf {
        self.sockets.join(format!("copy-{member}.sock"))
    }

    /// The home of those who type commands.
    pub fn operator(&self) -> PathBuf {
        self.root.join("operator")
    }

    /// A file of theirs, as it stands in a command line.
    pub fn operators(&self, name: &str) -> PathBuf {
        self.operator().join(name)
    }

    /// The balancer's runtime socket.
    pub fn balancer_socket(&self) -> PathBuf {
        self.sockets.join("balancer.sock")
    }

    /// The balancer's log.
    pub fn balancer_log(&self) -> PathBuf {
        self.root.join("balancer.log")
    }

    /// The client's log.
    pub fn client_log(&self) -> PathBuf {
        self.root.join("client.log")
    }

    /// The log of a member's application, also of its upgrade tool.
    pub fn app_log(&self, member: &MemberName) -> PathBuf {
        self.root.join(format!("app-{member}.log"))
    }

    /// What was reported.
    pub fn result(&self) -> PathBuf {
        self.root.join("result.json")
    }

    /// While it exists, a migration that begins works so many times slower.
    pub fn slow_migration(&self) -> PathBuf {
        self.root.join(SLOW_MIGRATION)
    }
}

fn kept(keep: &Path) -> anyhow::Result<PathBuf> {
    match fs::read_dir(keep) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                bail!("{} is not empty; --keep takes a new or an empty directory", keep.display());
            }
            fs::set_permissions(keep, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("cannot protect {}", keep.display()))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => private(keep)?,
        Err(error) => return Err(error).with_context(|| format!("cannot use {}", keep.display())),
    }
    Ok(keep.to_owned())
}

fn private(directory: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot make {}", directory.display()))
}

/// The path goes into a cluster file, where braces begin a placeholder.
fn plain(root: &Path) -> anyhow::Result<()> {
    match root.to_str() {
        Some(text) if !text.contains(|c: char| c.is_control() || matches!(c, '{' | '}')) => Ok(()),
        Some(_) | None => bail!(
            "{} cannot be used: allowed are paths of UTF-8 without braces and control characters",
            root.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_directory_must_be_new_or_empty_and_becomes_private() {
        let home = tempfile::tempdir().unwrap();
        let keep = home.path().join("a/b");
        let layout = Layout::create(Some(&keep)).unwrap();
        assert_eq!(fs::metadata(&keep).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(layout.db().is_dir());
        drop(layout);
        assert!(keep.is_dir(), "kept");
        let error = Layout::create(Some(&keep)).unwrap_err();
        assert!(error.to_string().contains("is not empty"), "{error}");
    }

    #[test]
    fn without_a_directory_to_keep_nothing_is_left() {
        let layout = Layout::create(None).unwrap();
        let root = layout.root().to_owned();
        drop(layout);
        assert!(!root.exists());
    }

    #[test]
    fn sockets_fit_also_below_a_long_path_and_braces_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::create(Some(&home.path().join("x".repeat(120)))).unwrap();
        let socket = layout.agent_socket(&MemberName::new("n9").unwrap());
        assert!(socket.as_os_str().len() < 107, "{socket:?}");
        assert!(Layout::create(Some(&home.path().join("{version}"))).is_err());
    }
}
