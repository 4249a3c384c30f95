//! The files of the PKI on one machine. Every file is whole or absent: written aside, synced, renamed, directory synced.
//!
//! A certificate and its key share one file, because two files cannot be replaced in one step and a crash between
//! them would leave a node that cannot start.

use lockkeeper_core::ids::ClusterId;
use lockkeeper_proto::transport::{Credentials, PeerIdentity, Subject};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::authority::{IssuingCa, RootCa};
use super::error::PkiError;
use super::pem;
use super::request::PrivateKey;

const ROOTS: &str = "ca.pem";
const NODE: &str = "node.pem";
const ISSUING: &str = "issuing.pem";
const NEXT_ISSUING: &str = "issuing-next.pem";

/// The directory `pki/` of an agent.
#[derive(Debug, Clone)]
pub struct PkiStore {
    directory: PathBuf,
}

impl PkiStore {
    /// Uses `directory`, made with mode 0700 if it is not there.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, PkiError> {
        let directory = directory.into();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|source| PkiError::File { action: "make", path: directory.clone(), source })?;
        Ok(Self { directory })
    }

    /// Saves who this node is: roots first, so that a node's certificate is never there without them.
    pub fn save_node(&self, credentials: &Credentials) -> Result<(), PkiError> {
        self.save_roots(&credentials.roots)?;
        let mut text = pem::key(&credentials.key);
        credentials.chain.iter().for_each(|der| text.push_str(&pem::certificate(der)));
        write(&self.path(NODE), text.as_bytes())
    }

    /// Saves the roots this node trusts; more than one only while the root is being replaced.
    pub fn save_roots(&self, roots: &[Vec<u8>]) -> Result<(), PkiError> {
        let text: String = roots.iter().map(|der| pem::certificate(der)).collect();
        write(&self.path(ROOTS), text.as_bytes())
    }

    /// Saves the issuing authority of a voter.
    pub fn save_issuing(&self, issuing: &IssuingCa) -> Result<(), PkiError> {
        self.save_authority(ISSUING, issuing)
    }

    /// Saves the issuing authority that a roll-over brings, beside the present one.
    pub fn save_next_issuing(&self, issuing: &IssuingCa) -> Result<(), PkiError> {
        self.save_authority(NEXT_ISSUING, issuing)
    }

    /// Removes what [`Self::save_next_issuing`] wrote, once it is the present one.
    pub fn remove_next_issuing(&self) -> Result<(), PkiError> {
        let path = self.path(NEXT_ISSUING);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(PkiError::File { action: "remove", path, source }),
        }
    }

    fn save_authority(&self, name: &str, issuing: &IssuingCa) -> Result<(), PkiError> {
        let text = pem::key(&issuing.key_der()) + &pem::certificate(issuing.certificate());
        write(&self.path(name), text.as_bytes())
    }

    /// Who this node is; none before it joined. The cluster is the one its certificate names.
    pub fn load_node(&self) -> Result<Option<Credentials>, PkiError> {
        let path = self.path(NODE);
        let Some(Pair { chain, key }) = read_pair(&path)? else { return Ok(None) };
        let bad = |reason: String| PkiError::BadFile { path: path.clone(), reason };
        let subject = Subject::of(&chain[0]).map_err(|fault| bad(fault.to_string()))?;
        let cluster = match subject.identity {
            PeerIdentity::Node { cluster, .. } | PeerIdentity::Operator { cluster, .. } => cluster,
            PeerIdentity::Unix { .. } | PeerIdentity::Joining => {
                return Err(bad("its certificate names nobody".to_owned()));
            }
        };
        Ok(Some(Credentials { cluster, chain, key, roots: self.load_roots()? }))
    }

    /// The roots this node trusts.
    pub fn load_roots(&self) -> Result<Vec<Vec<u8>>, PkiError> {
        read_roots(&self.path(ROOTS))
    }

    /// The issuing authority; none on a node that is not a voter.
    pub fn load_issuing(&self, cluster: &ClusterId) -> Result<Option<IssuingCa>, PkiError> {
        self.load_authority(ISSUING, cluster)
    }

    /// The issuing authority that a roll-over brings; none outside one.
    pub fn load_next_issuing(&self, cluster: &ClusterId) -> Result<Option<IssuingCa>, PkiError> {
        self.load_authority(NEXT_ISSUING, cluster)
    }

    fn load_authority(&self, name: &str, cluster: &ClusterId) -> Result<Option<IssuingCa>, PkiError> {
        let path = self.path(name);
        let Some(Pair { chain, key }) = read_pair(&path)? else { return Ok(None) };
        IssuingCa::from_parts(cluster, only(chain, &path)?, &key).map(Some)
    }

    /// Writes the root with its key for the operator (`--ca-out`). Refuses to replace a file: it may be another root.
    pub fn write_root(path: &Path, root: &RootCa) -> Result<(), PkiError> {
        let fail = |source| PkiError::File { action: "write", path: path.to_owned(), source };
        if path.exists() {
            return Err(fail(io::ErrorKind::AlreadyExists.into()));
        }
        write(path, (pem::key(&root.key_der()) + &pem::certificate(root.certificate())).as_bytes())
    }

    /// Reads what [`Self::write_root`] wrote.
    pub fn read_root(path: &Path, cluster: &ClusterId) -> Result<RootCa, PkiError> {
        let Pair { chain, key } = read_pair(path)?.ok_or_else(|| missing(path))?;
        RootCa::from_parts(cluster, only(chain, path)?, PrivateKey::from_der(&key)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The only certificate of a file.
fn only(chain: Vec<Vec<u8>>, path: &Path) -> Result<Vec<u8>, PkiError> {
    let count = chain.len();
    let reason = || format!("it holds {count} certificates, allowed: one");
    chain
        .into_iter()
        .next()
        .filter(|_| count == 1)
        .ok_or_else(|| PkiError::BadFile { path: path.to_owned(), reason: reason() })
}

/// Certificates and the key of the first of them.
pub(super) struct Pair {
    pub chain: Vec<Vec<u8>>,
    pub key: Vec<u8>,
}

/// At least one certificate and exactly one key, in a file that nobody else can read. None if there is no file.
pub(super) fn read_pair(path: &Path) -> Result<Option<Pair>, PkiError> {
    let Some(contents) = read_private(path)? else { return Ok(None) };
    let bad = |reason: &str| PkiError::BadFile { path: path.to_owned(), reason: reason.to_owned() };
    match (contents.certificates.is_empty(), contents.key) {
        (false, Some(key)) => Ok(Some(Pair { chain: contents.certificates, key })),
        (true, _) => Err(bad("it holds no certificate")),
        (false, None) => Err(bad("it holds no private key")),
    }
}

/// A private key alone.
pub(super) fn read_key(path: &Path) -> Result<Vec<u8>, PkiError> {
    let contents = read_private(path)?.ok_or_else(|| missing(path))?;
    let reason = "it holds no private key".to_owned();
    contents.key.ok_or_else(|| PkiError::BadFile { path: path.to_owned(), reason })
}

fn read_private(path: &Path) -> Result<Option<pem::Contents>, PkiError> {
    let Some((text, mode)) = read(path)? else { return Ok(None) };
    if mode & 0o077 != 0 {
        return Err(PkiError::Exposed { path: path.to_owned(), mode });
    }
    pem::read(&text).map(Some).map_err(|reason| PkiError::BadFile { path: path.to_owned(), reason })
}

/// A file that must be there is not.
pub(super) fn missing(path: &Path) -> PkiError {
    PkiError::File { action: "read", path: path.to_owned(), source: io::ErrorKind::NotFound.into() }
}

/// At least one certificate and no key.
pub(super) fn read_roots(path: &Path) -> Result<Vec<Vec<u8>>, PkiError> {
    let bad = |reason: String| PkiError::BadFile { path: path.to_owned(), reason };
    let (text, _) = read(path)?.ok_or_else(|| missing(path))?;
    let contents = pem::read(&text).map_err(bad)?;
    if contents.key.is_some() {
        return Err(bad("it holds a private key, but everybody may read it".to_owned()));
    }
    if contents.certificates.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    Ok(contents.certificates)
}

fn read(path: &Path) -> Result<Option<(Vec<u8>, u32)>, PkiError> {
    let fail = |source| PkiError::File { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mode = file.metadata().map_err(fail)?.permissions().mode() & 0o777;
    let mut text = Vec::new();
    file.take(pem::PEM_BYTES_MAX + 1).read_to_end(&mut text).map_err(fail)?;
    if text.len() as u64 > pem::PEM_BYTES_MAX {
        let reason = format!("it is larger than {} bytes", pem::PEM_BYTES_MAX);
        return Err(PkiError::BadFile { path: path.to_owned(), reason });
    }
    Ok(Some((text, mode)))
}

/// Replaces `path` in one step; mode 0600.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), PkiError> {
    let fail = |source| PkiError::File { action: "write", path: path.to_owned(), source };
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    // Left over from a crash. It must not be reused: it might have another mode or owner.
    match fs::remove_file(&aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&aside, path).map_err(fail)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all()).map_err(fail)
}
