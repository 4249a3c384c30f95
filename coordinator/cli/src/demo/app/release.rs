//! A release directory and the two versions there are. Knows files, not databases.

use anyhow::Context as _;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

/// A version of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppVersion {
    /// 1.0: a note is one text.
    V1,
    /// 2.0: title, author and body are columns of their own.
    V2,
}

/// A text that is no version of the application.
#[derive(Debug, thiserror::Error)]
#[error("found {0:?}; the application has the versions 1.0 and 2.0")]
pub struct UnknownVersion(String);

impl AppVersion {
    /// The schema this version works with, and no other.
    pub fn schema(self) -> i64 {
        match self {
            AppVersion::V1 => 1,
            AppVersion::V2 => 2,
        }
    }

    /// As written in `VERSION`.
    pub fn as_str(self) -> &'static str {
        match self {
            AppVersion::V1 => "1.0",
            AppVersion::V2 => "2.0",
        }
    }
}

impl fmt::Display for AppVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AppVersion {
    type Err = UnknownVersion;
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        match text {
            "1.0" => Ok(AppVersion::V1),
            "2.0" => Ok(AppVersion::V2),
            other => Err(UnknownVersion(other.to_owned())),
        }
    }
}

/// Reads which version lies in `dir`, once, at launch: a process keeps the version it started with.
pub fn read(dir: &Path) -> anyhow::Result<AppVersion> {
    let file = dir.join("VERSION");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    text.trim().parse().with_context(|| format!("in {}", file.display()))
}

/// Creates `dir` with the files of a release.
pub fn write(dir: &Path, version: AppVersion) -> anyhow::Result<ExitCode> {
    let failed = || format!("cannot write the release {}", dir.display());
    std::fs::create_dir_all(dir).with_context(failed)?;
    std::fs::write(dir.join("VERSION"), format!("{version}\n")).with_context(failed)?;
    let about = format!("Library of notes {version}: needs schema {}.\n", version.schema());
    std::fs::write(dir.join("ABOUT"), about).with_context(failed)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_release_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        for version in [AppVersion::V1, AppVersion::V2] {
            let release = dir.path().join(version.as_str());
            write(&release, version).unwrap();
            assert_eq!(read(&release).unwrap(), version);
        }
    }

    #[test]
    fn another_version_is_refused_with_what_was_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("VERSION"), "3.0\n").unwrap();
        let error = format!("{:#}", read(dir.path()).unwrap_err());
        assert!(error.contains("found \"3.0\""), "{error}");
    }
}
