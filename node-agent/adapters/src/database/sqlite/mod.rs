//! SQLite 3 in one directory of one host: door `path-per-epoch`, ledger beside the files.
//!
//! SQLite has no logins, so nobody can be refused; but whoever holds an earlier file writes where nobody reads. Such
//! writes are *diverted*, and counted. Sessions are the processes of this host that have the file open.

mod backup;
mod capable;
mod content;
mod door;
mod foreign;
mod grant;
mod late;
mod ledger;
mod openers;
mod place;
mod restore;

use super::{Answer, BeforeStart, DatabaseAdapter, DatabaseCode, Means, Step, evidence};
use crate::door::ledger::{DoorState, LedgerRows};
use async_trait::async_trait;
use lockkeeper_agent::host::{DatabaseFacts, Done, Failure, Postcheck, Precheck, Work};
use lockkeeper_core::{
    cluster::DatabaseSpec,
    ids::{ClusterId, DatabaseName},
    observe::ForeignLocks,
};
use openers::{Look, Opener};
use place::Place;
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// How many looks in a row must show nobody.
const SAMPLES: u32 = 4;
/// Time between two looks.
const SAMPLE_GAP: Duration = Duration::from_millis(100);
/// How many looks are taken before somebody who has the file open counts as staying: other agents of ours read facts
/// for some milliseconds at a time.
const LOOKS: u32 = 30;

/// What stands in the place of a verifier: this door needs no credential.
const NO_VERIFIER: &str = "path-per-epoch";

/// One SQLite database.
#[derive(Clone)]
pub struct Sqlite {
    name: DatabaseName,
    spec: DatabaseSpec,
    place: Place,
}

impl Sqlite {
    /// An adapter for the database called `name` in the cluster file.
    pub fn new(name: DatabaseName, spec: DatabaseSpec, _means: &Means) -> Self {
        let directory = PathBuf::from(spec.instances.first().map(String::as_str).unwrap_or_default());
        let place = Place { directory, stem: spec.name.clone() };
        Self { name, spec, place }
    }

    /// Commits that thawed holders made into fenced files, by file. Say `diverted`, not `refused`.
    pub fn late_writes(&self) -> Result<BTreeMap<String, u64>, Failure> {
        Ok(self.diverted()?)
    }

    fn diverted(&self) -> Answer<BTreeMap<String, u64>> {
        let mut counted = BTreeMap::new();
        for (file, mark) in ledger::fenced(&self.place)? {
            let now = late::Written::read(&self.place.file(&file))?;
            counted.insert(file, now.since(&mark.parse()?));
        }
        Ok(counted)
    }

    /// For evidence: nothing when nothing was diverted.
    fn diverted_told(&self) -> Answer<String> {
        let counted = self.diverted()?;
        let told: Vec<String> = counted
            .iter()
            .filter(|(_, commits)| **commits > 0)
            .map(|(file, commits)| format!("; diverted: {commits} commits in {file}"))
            .collect();
        Ok(told.concat())
    }

    /// The live file: what the link says, or while there is none what the ledger says of any group that keeps the
    /// door shut.
    fn live(&self, rows: &LedgerRows) -> Answer<String> {
        if let Some(linked) = self.place.linked()? {
            return Ok(linked);
        }
        match rows.doors.iter().find(|door| door.state != DoorState::Open) {
            Some(door) => Ok(door.live.clone()),
            None => Err(DatabaseCode::DoorFiles.refuse(format!(
                "{} does not exist, and the ledger knows of no door that took it away",
                self.place.link().display()
            ))),
        }
    }

    fn live_path(&self) -> Answer<PathBuf> {
        let rows = ledger::look(&self.place)?;
        Ok(self.place.file(&self.live(&rows)?))
    }

    /// Looks until nobody had `file` open in [`SAMPLES`] looks in a row; the last openers when that never came.
    async fn nobody(&self, file: &Path) -> Answer<Result<Look, Vec<Opener>>> {
        let mut quiet = 0;
        let mut last = Vec::new();
        for round in 0..LOOKS {
            if round > 0 {
                tokio::time::sleep(SAMPLE_GAP).await;
            }
            let path = file.to_owned();
            let look = super::blocking(move || openers::look(&path)).await?;
            if look.openers.is_empty() {
                quiet += 1;
                if quiet >= SAMPLES {
                    return Ok(Ok(look));
                }
            } else {
                quiet = 0;
                last = look.openers;
            }
        }
        Ok(Err(last))
    }

    /// That nobody has the file open, for the evidence; or the refusal that names who has.
    async fn prove_quiet(&self, file: &Path, code: DatabaseCode) -> Answer<String> {
        match self.nobody(file).await? {
            Ok(look) => {
                let hidden = match look.hidden {
                    0 => String::new(),
                    some => format!(", {some} processes of other users could not be looked at"),
                };
                Ok(format!(
                    "in {SAMPLES} looks {} ms apart no other process has {} open{hidden}",
                    SAMPLE_GAP.as_millis(),
                    file.display()
                ))
            }
            Err(openers) => {
                let named: Vec<String> = openers.iter().map(ToString::to_string).collect();
                Err(code.refuse(format!(
                    "{} is open: {}; nothing was ended",
                    file.display(),
                    named.join("; ")
                )))
            }
        }
    }

    async fn no_writers(&self, work: &Work) -> Answer<Done> {
        let this = self.clone();
        let file = super::blocking(move || this.live_path()).await?;
        let mut done = evidence::done(self.prove_quiet(&file, DatabaseCode::ForgottenNode).await?);
        done.outputs.extend(self.on_files(work, move |this, work| this.loss(work, &file)).await?);
        Ok(done)
    }

    fn minted(&self) -> Done {
        evidence::done_with(
            "this door needs no credential; the holder is given a path",
            [(format!("grant.{}.verifier", self.name), NO_VERIFIER.to_owned())],
        )
    }

    async fn look(&self, work: &Work) -> Answer<Precheck> {
        match Step::of(&work.action)? {
            // The proof is the whole step: what was seen is what is told.
            Step::ProveNoWriters => Ok(Precheck::AlreadyDone(self.no_writers(work).await?)),
            Step::Backup(action) => self.backup_precheck(work, action).await,
            Step::ProveBackup(action) => self.prove_precheck(work, action).await,
            Step::ShutDoor => self.shut_precheck(work).await,
            Step::MintCredential => Ok(Precheck::AlreadyDone(self.minted())),
            Step::AdmitHolder => self.admit_precheck(work).await,
            Step::CloseGrant => self.close_precheck(work).await,
            Step::OpenDoor => self.open_precheck(work).await,
            Step::RestoreDatabase(action) => self.swap_precheck(work, action).await,
        }
    }

    async fn act(&self, work: &Work) -> Answer<()> {
        match Step::of(&work.action)? {
            Step::ProveNoWriters | Step::MintCredential => Ok(()),
            Step::Backup(action) => self.backup_perform(work, action).await,
            Step::ProveBackup(action) => self.prove_perform(work, action).await,
            Step::ShutDoor => self.shut_perform(work).await,
            Step::AdmitHolder => self.admit_perform(work).await,
            Step::CloseGrant => self.close_perform(work).await,
            Step::OpenDoor => self.open_perform(work).await,
            Step::RestoreDatabase(action) => self.swap_perform(work, action).await,
        }
    }

    async fn look_after(&self, work: &Work) -> Answer<Postcheck> {
        match Step::of(&work.action)? {
            Step::ProveNoWriters => Ok(Postcheck::Proven(self.no_writers(work).await?)),
            Step::Backup(action) => self.backup_postcheck(work, action).await,
            Step::ProveBackup(action) => self.prove_postcheck(work, action).await,
            Step::ShutDoor => self.shut_postcheck(work).await,
            Step::MintCredential => Ok(Postcheck::Proven(self.minted())),
            Step::AdmitHolder => self.admit_postcheck(work).await,
            Step::CloseGrant => self.close_postcheck(work).await,
            Step::OpenDoor => self.open_postcheck(work).await,
            Step::RestoreDatabase(action) => self.swap_postcheck(work, action).await,
        }
    }

    /// Runs work on files, with this adapter and the step, on a thread that may wait.
    async fn on_files<T: Send + 'static>(
        &self,
        work: &Work,
        job: impl FnOnce(&Sqlite, &Work) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (this, work) = (self.clone(), work.clone());
        super::blocking(move || job(&this, &work)).await
    }

    fn identity(&self, file: &Path) -> Answer<String> {
        Ok(format!("{}/{}", content::value(file, "pragma application_id")?, self.place.inode()?))
    }

    /// Copies the set's file beside the live one as `new_name` and proves it whole. Fails when that name is taken.
    pub async fn restore_beside(
        &self,
        directory: &Path,
        new_name: &str,
        _group: &ClusterId,
    ) -> Result<(), Failure> {
        let (this, directory, new_name) = (self.clone(), directory.to_owned(), new_name.to_owned());
        Ok(super::blocking(move || this.restore_as(&directory, &new_name)).await?)
    }
}

#[async_trait]
impl DatabaseAdapter for Sqlite {
    async fn precheck(&self, work: &Work) -> Precheck {
        self.look(work).await.unwrap_or_else(super::Refusal::into_precheck)
    }

    async fn perform(&self, work: &Work) -> Result<(), Failure> {
        Ok(self.act(work).await?)
    }

    async fn postcheck(&self, work: &Work) -> Postcheck {
        self.look_after(work).await.unwrap_or_else(super::Refusal::into_postcheck)
    }

    async fn holder_values(&self, work: &Work) -> Result<BTreeMap<String, SecretString>, Failure> {
        let path = self.place.file(&self.place.granted(work.token)).to_string_lossy().into_owned();
        Ok(BTreeMap::from([(format!("database.{}.path", self.name), SecretString::from(path))]))
    }

    async fn query_value(&self, sql: &str) -> Result<String, Failure> {
        let (this, sql) = (self.clone(), sql.to_owned());
        Ok(super::blocking(move || content::value(&this.live_path()?, &sql)).await?)
    }

    async fn capabilities(&self) -> Vec<(&'static str, Result<String, Failure>)> {
        self.try_out().await
    }

    async fn facts(&self, schema: &str) -> Result<DatabaseFacts, Failure> {
        let (this, schema) = (self.clone(), schema.to_owned());
        let facts = super::blocking(move || {
            let file = this.live_path()?;
            Ok(DatabaseFacts { identity: this.identity(&file)?, schema: content::value(&file, &schema)? })
        });
        Ok(facts.await?)
    }

    async fn foreign_locks(&self) -> Result<ForeignLocks, Failure> {
        let this = self.clone();
        Ok(super::blocking(move || this.foreign()).await?)
    }

    async fn look_group(&self, work: &Work) -> Answer<()> {
        self.on_files(work, |this, work| {
            ledger::look(&this.place)?.may_act(&work.cluster, &this.name, &work.marks, work.token).map(drop)
        })
        .await
    }

    async fn mark_group(&self, work: &Work) -> Answer<()> {
        if work.marks.newest(&self.name).is_none() {
            return self.look_group(work).await;
        }
        self.on_files(work, |this, work| {
            ledger::act(&this.place, |act| {
                match act.rows.may_act(&work.cluster, &this.name, &work.marks, work.token)? {
                    Some(mark) => act.put_mark(work, mark),
                    None => Ok(()),
                }
            })
        })
        .await
    }

    async fn before_start(&self, schema: &str) -> Result<BeforeStart, Failure> {
        let (this, schema) = (self.clone(), schema.to_owned());
        let look = super::blocking(move || {
            let rows = ledger::look(&this.place)?;
            let file = this.place.file(&this.live(&rows)?);
            let schema = if schema.is_empty() { None } else { Some(content::value(&file, &schema)?) };
            Ok(BeforeStart { busy: rows.busy(), schema })
        });
        Ok(look.await?)
    }
}
