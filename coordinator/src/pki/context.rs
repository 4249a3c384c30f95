//! The operator's context file, `~/.config/lockkeeper/<cluster>.toml`: which cluster, where, and with which
//! certificate. It names files and holds no secret itself.

use lockkeeper_core::ids::{ClusterId, ClusterName};
use lockkeeper_proto::transport::Credentials;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

use super::error::PkiError;
use super::pem;
use super::store::{Pair, missing, read_key, read_pair, read_roots, write};

/// The format this build writes and reads.
const FORMAT: u32 = 1;

/// The largest context file that is read.
const CONTEXT_BYTES_MAX: u64 = 64 * 1024;

/// What an operator's machine needs to talk to a cluster.
#[derive(Debug)]
pub struct OperatorContext {
    /// The cluster's name for people; the file is named after it.
    pub name: ClusterName,
    /// Where agents listen, `host:port`, in the order to try them.
    pub addresses: Vec<String>,
    /// With what.
    pub credentials: Credentials,
}

/// The file as it stands on disk. Paths are relative to it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextFile {
    format: u32,
    cluster: ClusterId,
    name: ClusterName,
    addresses: Vec<String>,
    /// Roots, PEM.
    ca: PathBuf,
    /// Certificate and its issuers, PEM.
    certificate: PathBuf,
    /// Private key, PEM, mode 0600. May be the same file as `certificate`.
    key: PathBuf,
}

impl OperatorContext {
    /// The file's place under a configuration directory.
    pub fn path(directory: &Path, name: &ClusterName) -> PathBuf {
        directory.join(format!("{name}.toml"))
    }

    /// Writes context, roots, certificate and key into `directory`; the context last, so that it never names a file
    /// that is not there. Certificate and key share a file, so that they are replaced in one step.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, PkiError> {
        std::fs::create_dir_all(directory).map_err(|source| PkiError::File {
            action: "make",
            path: directory.to_owned(),
            source,
        })?;
        let file = ContextFile {
            format: FORMAT,
            cluster: self.credentials.cluster.clone(),
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            ca: format!("{}.ca.pem", self.name).into(),
            certificate: format!("{}.pem", self.name).into(),
            key: format!("{}.pem", self.name).into(),
        };
        let path = Self::path(directory, &self.name);
        let bad =
            |error: toml::ser::Error| PkiError::BadFile { path: path.clone(), reason: error.to_string() };
        let text = toml::to_string(&file).map_err(bad)?;
        let roots: String = self.credentials.roots.iter().map(|der| pem::certificate(der)).collect();
        write(&directory.join(&file.ca), roots.as_bytes())?;
        let mut pair = pem::key(&self.credentials.key);
        self.credentials.chain.iter().for_each(|der| pair.push_str(&pem::certificate(der)));
        write(&directory.join(&file.certificate), pair.as_bytes())?;
        write(&path, text.as_bytes())?;
        Ok(path)
    }

    /// Reads a context and the files it names.
    pub fn read(path: &Path) -> Result<Self, PkiError> {
        let bad = |reason: String| PkiError::BadFile { path: path.to_owned(), reason };
        let fail = |source: io::Error| PkiError::File { action: "read", path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(fail)?.len() > CONTEXT_BYTES_MAX {
            return Err(bad(format!("it is larger than {CONTEXT_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(fail)?;
        let file: ContextFile = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if file.format != FORMAT {
            return Err(bad(format!("it has format {}, this build reads {FORMAT}", file.format)));
        }
        if file.addresses.is_empty() {
            return Err(bad("it names no address".to_owned()));
        }
        let beside = |name: &Path| path.parent().unwrap_or(Path::new(".")).join(name);
        let roots = read_roots(&beside(&file.ca))?;
        let key_path = beside(&file.key);
        let Pair { chain, key } = if file.key == file.certificate {
            read_pair(&key_path)?.ok_or_else(|| missing(&key_path))?
        } else {
            Pair { chain: read_roots(&beside(&file.certificate))?, key: read_key(&key_path)? }
        };
        let credentials = Credentials { cluster: file.cluster, chain, key, roots };
        Ok(Self { name: file.name, addresses: file.addresses, credentials })
    }
}
