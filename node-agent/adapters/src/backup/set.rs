//! One backup set on disk: made beside, sealed by its manifest, found only when whole.

use super::{
    durable,
    manifest::{FORMAT, FileEntry, Manifest, Proof},
};
use crate::database::{Answer, DatabaseCode, Refusal};
use lockkeeper_core::ids::{Digest, Token};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Name of the manifest inside a set.
const MANIFEST: &str = "manifest.json";
/// Name of the proof inside a set.
const PROOF: &str = "proof.json";
/// Largest manifest or proof that is read: a set has a handful of files and a few hundred settings.
const DOCUMENT_MAX: u64 = 4 * 1024 * 1024;

/// A set that is being made; nobody takes it for a set.
#[derive(Debug)]
pub struct Draft {
    /// Where its files are put.
    pub directory: PathBuf,
    set: PathBuf,
}

/// A whole set, as far as its manifest can be read.
#[derive(Debug, Clone)]
pub struct BackupSet {
    /// Where it is.
    pub directory: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// BLAKE3 of the manifest's bytes, which names all the rest.
    pub digest: Digest,
}

impl Draft {
    /// Begins a set; what an earlier attempt left half-made is removed.
    pub fn begin(backups: &Path, name: &str) -> Answer<Self> {
        let plain = !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !plain {
            return Err(DatabaseCode::BackupPlace.refuse(format!("{name:?} cannot be the name of a set")));
        }
        let directory = backups.join(format!(".{name}.part"));
        durable::remove_dir_if_there(&directory)
            .map_err(|e| place("remove a half-made set", &directory, &e))?;
        durable::make_private_dir(&directory).map_err(|e| place("make", &directory, &e))?;
        Ok(Self { directory, set: backups.join(name) })
    }

    /// Hashes and syncs every file in the directory of a draft.
    pub fn seal_files(directory: &Path) -> Answer<BTreeMap<String, FileEntry>> {
        let files = hash_files(directory)?;
        for name in files.keys() {
            let path = directory.join(name);
            durable::sync_file(&path).map_err(|e| place("sync", &path, &e))?;
        }
        Ok(files)
    }

    /// Writes the manifest and gives the set its name.
    pub fn finish(self, manifest: &Manifest) -> Answer<BackupSet> {
        write(&self.directory.join(MANIFEST), manifest)?;
        durable::rename(&self.directory, &self.set).map_err(|e| place("name the set", &self.set, &e))?;
        BackupSet::open(&self.set)?
            .ok_or_else(|| DatabaseCode::BackupPlace.refuse(format!("{} vanished", self.set.display())))
    }
}

impl BackupSet {
    /// Opens a set; `None` when there is none of this name.
    pub fn open(directory: &Path) -> Answer<Option<Self>> {
        let Some((manifest, digest)) = read::<Manifest>(&directory.join(MANIFEST))? else { return Ok(None) };
        if manifest.format != FORMAT {
            return Err(damaged(directory, format!("its manifest has format {}", manifest.format)));
        }
        Ok(Some(Self { directory: directory.to_owned(), manifest, digest }))
    }

    /// Reads every byte again and compares it with the manifest. What is wrong is told by its kind: a file cut short, a
    /// file with other bytes, a part of another set.
    pub fn verify(&self) -> Answer<u64> {
        self.is_itself()?;
        let found = hash_files(&self.directory)?;
        for (name, entry) in &self.manifest.files {
            match found.get(name) {
                None => return Err(damaged(&self.directory, format!("{name} is missing"))),
                Some(there) if there == entry => {}
                Some(there) => return Err(self.wrong(name, entry, there)),
            }
        }
        if let Some(name) = found.keys().find(|name| !self.manifest.files.contains_key(*name)) {
            return Err(DatabaseCode::BackupMixed
                .refuse(format!("{}: {name} does not belong to it", self.directory.display())));
        }
        Ok(self.manifest.files.values().map(|entry| entry.bytes).sum())
    }

    /// Refuses a manifest that was put into the directory of another set.
    pub fn is_itself(&self) -> Answer<()> {
        let named = self.directory.file_name().unwrap_or_default().to_string_lossy();
        // A set that was taken out of the way still is what it says.
        let own = named == self.manifest.set || named.starts_with(&format!("{}.aside-", self.manifest.set));
        if own {
            return Ok(());
        }
        Err(DatabaseCode::BackupMixed.refuse(format!(
            "{} holds the manifest of set {}",
            self.directory.display(),
            self.manifest.set
        )))
    }

    fn wrong(&self, name: &str, entry: &FileEntry, there: &FileEntry) -> Refusal {
        let here = self.directory.display();
        if let Some(other) = self.neighbour_with(&there.blake3) {
            return DatabaseCode::BackupMixed.refuse(format!("{here}: {name} is that of set {other}"));
        }
        if there.bytes < entry.bytes {
            return DatabaseCode::BackupTruncated.refuse(format!(
                "{here}: {name} has {} bytes, the manifest says {}",
                there.bytes, entry.bytes
            ));
        }
        DatabaseCode::BackupAltered.refuse(format!(
            "{here}: {name} was altered: {} bytes, hash {}; the manifest says {} bytes, hash {}",
            there.bytes, there.blake3, entry.bytes, entry.blake3
        ))
    }

    /// The set beside this one that holds such a file.
    fn neighbour_with(&self, file: &Digest) -> Option<String> {
        let sets = BackupSet::all(self.directory.parent()?).ok()?;
        let holds = |set: &&BackupSet| set.manifest.files.values().any(|entry| entry.blake3 == *file);
        sets.iter()
            .filter(|set| set.directory != self.directory)
            .find(holds)
            .map(|set| set.manifest.set.clone())
    }

    /// Every set below a directory whose manifest can be read, by name; drafts and what is no set are left out.
    pub fn all(backups: &Path) -> Answer<Vec<Self>> {
        let entries = match fs::read_dir(backups) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(place("list", backups, &error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| place("list", backups, &e))?.path();
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_dir() && !hidden {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths.iter().filter_map(|path| BackupSet::open(path).ok().flatten()).collect())
    }

    /// The proof, if it is about this manifest.
    pub fn proof(&self) -> Answer<Option<Proof>> {
        let proof = read::<Proof>(&self.directory.join(PROOF))?.map(|(proof, _digest)| proof);
        Ok(proof.filter(|proof| proof.format == FORMAT && proof.manifest == self.digest))
    }

    /// Keeps the proof with the set.
    pub fn keep_proof(&self, proof: &Proof) -> Answer<()> {
        write(&self.directory.join(PROOF), proof)
    }
}

/// Takes a set that cannot be used out of the way; it is kept under a name that says when.
pub fn set_aside(directory: &Path, token: Token) -> Answer<PathBuf> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = directory.with_file_name(format!("{name}.aside-{}-{}", token.generation.0, token.index.0));
    durable::rename(directory, &aside).map_err(|e| place("set aside", directory, &e))?;
    Ok(aside)
}

/// Sizes and hashes of a directory's files, without manifest and proof.
fn hash_files(directory: &Path) -> Answer<BTreeMap<String, FileEntry>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(|e| place("list", directory, &e))? {
        let entry = entry.map_err(|e| place("list", directory, &e))?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(damaged(directory, "it holds a file whose name is not text"));
        };
        if name == MANIFEST || name == PROOF {
            continue;
        }
        let mut hasher = blake3::Hasher::new();
        let mut file = fs::File::open(entry.path()).map_err(|e| place("open", &entry.path(), &e))?;
        let bytes = io::copy(&mut file, &mut hasher).map_err(|e| place("read", &entry.path(), &e))?;
        files.insert(name, FileEntry { bytes, blake3: Digest(hasher.finalize().to_hex().to_string()) });
    }
    Ok(files)
}

fn write<T: Serialize>(path: &Path, value: &T) -> Answer<()> {
    let bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| DatabaseCode::BackupPlace.refuse(format!("cannot write {}: {e}", path.display())))?;
    durable::write_private(path, &bytes).map_err(|e| place("write", path, &e))
}

fn read<T: DeserializeOwned>(path: &Path) -> Answer<Option<(T, Digest)>> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > DOCUMENT_MAX => {
            return Err(damaged(
                path,
                format!("it has {} bytes, at most {DOCUMENT_MAX} are read", meta.len()),
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(place("look at", path, &error)),
    }
    let bytes = fs::read(path).map_err(|e| place("read", path, &e))?;
    let value = serde_json::from_slice(&bytes).map_err(|e| damaged(path, e.to_string()))?;
    Ok(Some((value, Digest::of(&bytes))))
}

fn place(act: &str, path: &Path, error: &io::Error) -> Refusal {
    DatabaseCode::BackupPlace.refuse(format!("cannot {act} {}: {error}", path.display()))
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> Refusal {
    DatabaseCode::BackupDamaged.refuse(format!("{}: {why}", path.display()))
}
