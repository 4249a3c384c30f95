//! Backup sets of SQLite: a vacuumed copy of the last committed snapshot, proven by opening it beside the live file.

use super::{
    Sqlite,
    content::{self, Content},
    ledger,
};
use crate::{
    backup::{
        manifest::{FORMAT, Manifest, Proof, WriteMark},
        set::{BackupSet, Draft, set_aside},
        space,
    },
    database::{Answer, DatabaseCode, evidence},
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use lockkeeper_core::plan::action::DatabaseAction;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The copy inside a set.
const COPY: &str = "database.db";

/// SQLite's clock.
const NOW: &str = "select strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

impl Sqlite {
    pub(super) async fn backup_precheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Precheck> {
        let directory = self.set_directory(action)?;
        let (live, good) = self
            .on_files(work, move |this, work| {
                let rows = ledger::look(&this.place)?;
                rows.nobody_else(&work.cluster)?;
                let live = this.place.file(&this.live(&rows)?);
                let set = BackupSet::open(&directory).ok().flatten();
                Ok((live.clone(), set.filter(|set| this.still_good(work, set, &live).is_ok())))
            })
            .await?;
        if let Some(set) = good {
            return Ok(Precheck::AlreadyDone(self.set_done(&set)));
        }
        self.prove_quiet(&live, DatabaseCode::ForgottenNode).await?;
        let size = fs::metadata(&live).map(|meta| meta.len()).unwrap_or(0);
        space::enough(&self.backups()?, size)?;
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn backup_perform(&self, work: &Work, action: &DatabaseAction) -> Answer<()> {
        let (directory, name) = (self.set_directory(action)?, action.set.clone());
        self.on_files(work, move |this, work| {
            let live = this.live_path()?;
            match BackupSet::open(&directory) {
                Ok(None) => {}
                Ok(Some(set)) if this.still_good(work, &set, &live).is_ok() => return Ok(()),
                Ok(Some(_)) | Err(_) => {
                    set_aside(&directory, work.token)?;
                }
            }
            let before = Content::read(&live)?.counter();
            let taken_at = content::value(&live, NOW)?;
            let draft = Draft::begin(&this.backups()?, &name)?;
            content::copy(&live, &draft.directory.join(COPY))?;
            let after = Content::read(&live)?.counter();
            if before != after {
                return Err(
                    DatabaseCode::WrittenSinceBackup.refuse("something was written while it was copied")
                );
            }
            let position = live.to_string_lossy().into_owned();
            let mark = WriteMark { counter: after, position };
            let manifest = Manifest {
                format: FORMAT,
                set: name,
                database: this.name.clone(),
                identity: this.identity(&live)?,
                server: format!("SQLite {}", rusqlite::version()),
                cluster: work.cluster.clone(),
                rollout: work.rollout,
                token: work.token,
                taken_at,
                before: mark.clone(),
                after: mark,
                files: Draft::seal_files(&draft.directory)?,
                properties: Vec::new(),
                make: BTreeMap::new(),
            };
            draft.finish(&manifest).map(drop)
        })
        .await
    }

    pub(super) async fn backup_postcheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Postcheck> {
        let directory = self.set_directory(action)?;
        self.on_files(work, move |this, work| match BackupSet::open(&directory)? {
            None => Ok(Postcheck::NotYet(format!("{} holds no backup set", directory.display()))),
            Some(set) => {
                this.still_good(work, &set, &this.live_path()?)?;
                Ok(Postcheck::Proven(this.set_done(&set)))
            }
        })
        .await
    }

    pub(super) async fn prove_precheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Precheck> {
        let directory = self.set_directory(action)?;
        self.on_files(work, move |this, work| {
            let set = this.set_of(work, &directory)?;
            match this.own_proof(work, &set)? {
                Some(proof) => Ok(Precheck::AlreadyDone(this.proof_done(&set, &proof))),
                None => Ok(Precheck::Ready { captured: String::new() }),
            }
        })
        .await
    }

    pub(super) async fn prove_perform(&self, work: &Work, action: &DatabaseAction) -> Answer<()> {
        let directory = self.set_directory(action)?;
        self.on_files(work, move |this, work| {
            let set = this.set_of(work, &directory)?;
            let scratch =
                format!("{}-scratch-{}-{}.db", this.place.stem, work.token.generation.0, work.token.index.0);
            let file = this.place.file(&scratch);
            content::remove_database(&file)?;
            let compared = this.restore_as(&directory, &scratch).and_then(|()| {
                let (live, beside) = (Content::read(&this.live_path()?)?, Content::read(&file)?);
                let differences = live.differences(&beside);
                if differences.is_empty() {
                    Ok(live)
                } else {
                    Err(DatabaseCode::BackupDiffers.refuse(differences.join("; ")))
                }
            });
            content::remove_database(&file)?;
            let live = compared?;
            set.keep_proof(&Proof {
                format: FORMAT,
                manifest: set.digest.clone(),
                rollout: work.rollout,
                token: work.token,
                content: live.counter(),
                proven_at: content::value(&this.live_path()?, NOW)?,
                evidence: format!(
                    "restored as {scratch}, found whole, equal in {}, removed again",
                    live.told()
                ),
            })
        })
        .await
    }

    pub(super) async fn prove_postcheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Postcheck> {
        let directory = self.set_directory(action)?;
        self.on_files(work, move |this, work| {
            let set = this.set_of(work, &directory)?;
            Ok(match this.own_proof(work, &set)? {
                Some(proof) => Postcheck::Proven(this.proof_done(&set, &proof)),
                None => {
                    Postcheck::NotYet(format!("{} has no proof under {}", directory.display(), work.token))
                }
            })
        })
        .await
    }

    /// Copies the file of a set, verified, beside the live one and proves it whole.
    pub(super) fn restore_as(&self, directory: &Path, new_name: &str) -> Answer<()> {
        let set = BackupSet::open(directory)?.ok_or_else(|| no_set(directory))?;
        set.verify()?;
        let file = self.place.file(new_name);
        if file.exists() {
            return Err(DatabaseCode::DoorFiles.refuse(format!("{} exists already", file.display())));
        }
        let restored = content::place(&set.directory.join(COPY), &file).and_then(|()| content::whole(&file));
        if restored.is_err() {
            content::remove_database(&file)?;
        }
        restored
    }

    fn own_proof(&self, work: &Work, set: &BackupSet) -> Answer<Option<Proof>> {
        Ok(set.proof()?.filter(|proof| proof.token == work.token && proof.rollout == work.rollout))
    }

    pub(super) fn set_of(&self, work: &Work, directory: &Path) -> Answer<BackupSet> {
        let set = BackupSet::open(directory)?.ok_or_else(|| no_set(directory))?;
        set.is_itself()?;
        match work.inputs.get(&self.key("digest")) {
            Some(digest) if *digest != set.digest.0 => Err(DatabaseCode::BackupAltered.refuse(format!(
                "{} is not the set that was taken: its manifest has digest {}, expected {digest}",
                directory.display(),
                set.digest
            ))),
            Some(_) | None => Ok(set),
        }
    }

    /// Whether a set is of this rollout and nothing was written since.
    fn still_good(&self, work: &Work, set: &BackupSet, live: &Path) -> Answer<()> {
        let manifest = &set.manifest;
        if manifest.cluster != work.cluster
            || manifest.rollout != work.rollout
            || manifest.database != self.name
        {
            return Err(DatabaseCode::BackupDamaged.refuse(format!(
                "set {} belongs to rollout {} of group {}, database {}",
                manifest.set, manifest.rollout, manifest.cluster, manifest.database
            )));
        }
        let now = Content::read(live)?.counter();
        if now != manifest.after.counter {
            return Err(DatabaseCode::WrittenSinceBackup.refuse(format!(
                "the backup was taken at content {}, it is now {now}",
                manifest.after.counter
            )));
        }
        Ok(())
    }

    fn backups(&self) -> Answer<PathBuf> {
        if self.spec.backups.is_empty() {
            return Err(DatabaseCode::BackupPlace
                .refuse(format!("database {} names no directory for `backups`", self.name)));
        }
        Ok(PathBuf::from(&self.spec.backups))
    }

    pub(super) fn set_directory(&self, action: &DatabaseAction) -> Answer<PathBuf> {
        Ok(self.backups()?.join(&action.set))
    }

    pub(super) fn key(&self, what: &str) -> String {
        format!("backup.{}.{what}", self.name)
    }

    fn outputs(&self, set: &BackupSet) -> [(String, String); 3] {
        [
            (self.key("set"), set.directory.to_string_lossy().into_owned()),
            (self.key("digest"), set.digest.0.clone()),
            (self.key("mark"), set.manifest.after.counter.clone()),
        ]
    }

    fn set_done(&self, set: &BackupSet) -> Done {
        let bytes: u64 = set.manifest.files.values().map(|entry| entry.bytes).sum();
        evidence::done_with(
            format!(
                "set {} of {} taken {}, {bytes} bytes, manifest {}; content {} before and after",
                set.manifest.set, self.name, set.manifest.taken_at, set.digest, set.manifest.after.counter
            ),
            self.outputs(set),
        )
    }

    fn proof_done(&self, set: &BackupSet, proof: &Proof) -> Done {
        evidence::done_with(
            format!("set {} proven {}: {}", set.manifest.set, proof.proven_at, proof.evidence),
            self.outputs(set),
        )
    }
}

fn no_set(directory: &Path) -> crate::database::Refusal {
    DatabaseCode::BackupDamaged.refuse(format!("{} holds no backup set", directory.display()))
}
