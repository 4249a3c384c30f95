//! Backup sets of PostgreSQL: a dump between two equal readings of the write counters, proven by a restore beside.

use super::{
    Found, Postgres,
    catalog::Description,
    digest::{self, Rows},
    identity,
    ledger::{self, Server},
    restore::{DUMP, drop_database, properties, scratch_mark},
    session::{Purpose, Session},
};
use crate::{
    backup::{
        manifest::{FORMAT, Manifest, Proof, WriteMark},
        set::{BackupSet, Draft, set_aside},
        space,
    },
    database::{Answer, DatabaseCode, blocking, evidence},
    door::login::LOGIN_MAX,
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use lockkeeper_core::plan::action::DatabaseAction;

/// Rows written in tables of the application and in the catalogs that change with its structure, since the counters
/// began. Vacuum and analyze do not move it.
pub(super) const COUNTER: &str = "
    select format('%s+%s since %s',
        (select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables
         where schemaname !~ '^pg_'),
        (select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_sys_tables
         where schemaname = 'pg_catalog' and relname in ('pg_class', 'pg_attribute', 'pg_proc', 'pg_constraint',
             'pg_type', 'pg_namespace', 'pg_attrdef', 'pg_trigger', 'pg_rewrite', 'pg_policy', 'pg_enum')),
        (select coalesce(to_char(stats_reset at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), 'ever')
         from pg_stat_database where datname = current_database()))";

/// Where the server's log stands.
const POSITION: &str = "select pg_current_wal_insert_lsn()::text";

/// The server's clock.
const NOW: &str = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";

impl Postgres {
    pub(super) async fn backup_precheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Precheck> {
        let found = self.find().await?;
        ledger::look(&found.primary, &found.place).await?.nobody_else(&work.cluster)?;
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        if let Ok(Some(set)) = BackupSet::open(&self.set_directory(action)?)
            && self.still_good(work, &set, &target).await.is_ok()
        {
            return Ok(Precheck::AlreadyDone(self.set_done(&set)));
        }
        self.prove_quiet(&found, None, 1).await?;
        let size = target.value("select pg_database_size(current_database())::text", &[]).await?;
        space::enough(&self.backups()?, size.parse().unwrap_or(0))?;
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn backup_perform(&self, work: &Work, action: &DatabaseAction) -> Answer<()> {
        let found = self.find().await?;
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        let directory = self.set_directory(action)?;
        match BackupSet::open(&directory) {
            Ok(None) => {}
            Ok(Some(set)) if self.still_good(work, &set, &target).await.is_ok() => return Ok(()),
            Ok(Some(_)) | Err(_) => {
                let aside = set_aside(&directory, work.token)?;
                tracing::warn!(set = %action.set, aside = %aside.display(), "an older set of this name was set aside");
            }
        }
        self.prove_quiet(&found, None, 1).await?;
        let before = mark(&target).await?;
        let taken_at = target.value(NOW, &[]).await?;
        let (backups, name) = (self.backups()?, action.set.clone());
        let draft = blocking(move || Draft::begin(&backups, &name)).await?;
        self.dump(&found.primary.instance, &found.login, &draft.directory.join(DUMP)).await?;
        let (make, properties) = properties(&target).await?;
        let after = mark(&target).await?;
        if before.counter != after.counter {
            return Err(DatabaseCode::WrittenSinceBackup
                .refuse(format!("while the dump was taken the counters went from {before} to {after}")));
        }
        self.prove_quiet(&found, None, 1).await?;
        let manifest = Manifest {
            format: FORMAT,
            set: action.set.clone(),
            database: self.name.clone(),
            identity: identity(&found.place),
            server: target.value("select version()", &[]).await?,
            cluster: work.cluster.clone(),
            rollout: work.rollout,
            token: work.token,
            taken_at,
            before,
            after,
            files: blocking({
                let directory = draft.directory.clone();
                move || Draft::seal_files(&directory)
            })
            .await?,
            properties,
            make,
        };
        blocking(move || draft.finish(&manifest)).await?;
        Ok(())
    }

    pub(super) async fn backup_postcheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Postcheck> {
        let Some(set) = BackupSet::open(&self.set_directory(action)?)? else {
            return Ok(Postcheck::NotYet(format!("there is no set {}", action.set)));
        };
        let found = self.find().await?;
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        self.still_good(work, &set, &target).await?;
        Ok(Postcheck::Proven(self.set_done(&set)))
    }

    pub(super) async fn prove_precheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Precheck> {
        let set = self.set_of(work, action)?;
        if let Some(proof) = set.proof()?
            && proof.token == work.token
            && proof.rollout == work.rollout
        {
            return Ok(Precheck::AlreadyDone(self.proof_done(&set, &proof)));
        }
        let found = self.find().await?;
        ledger::look(&found.primary, &found.place).await?.nobody_else(&work.cluster)?;
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn prove_perform(&self, work: &Work, action: &DatabaseAction) -> Answer<()> {
        let set = self.set_of(work, action)?;
        let checked = set.clone();
        let bytes = blocking(move || checked.verify()).await?;
        let found = self.find().await?;
        let target = self.target(&found.primary.instance, &found.login, Purpose::ReadAll).await?;
        self.still_good(work, &set, &target).await?;
        let scratch = format!("lk_scratch_{}_{}_{}", self.name, work.token.generation.0, work.token.index.0);
        if scratch.len() > LOGIN_MAX {
            return Err(
                DatabaseCode::LoginName.refuse(format!("{scratch} is too long for a database's name"))
            );
        }
        let server = Server::open(&found.primary.instance, &found.login, Purpose::Restore).await?;
        self.sweep_scratch(&server.session, &work.cluster).await?;
        self.restore_as(&found.primary.instance, &found.login, &set, &scratch, &scratch_mark(&work.cluster))
            .await?;
        let compared = self.compare(&found, &target, &scratch).await;
        drop_database(&server.session, &scratch).await?;
        let (compared, content) = compared?;
        // The comparison is only worth something if the live side did not move meanwhile.
        self.still_good(work, &set, &target).await?;
        let proof = Proof {
            format: FORMAT,
            manifest: set.digest.clone(),
            rollout: work.rollout,
            token: work.token,
            content,
            proven_at: target.value(NOW, &[]).await?,
            evidence: format!(
                "{bytes} bytes re-read, restored as {scratch} and dropped again, equal in {compared}"
            ),
        };
        blocking(move || set.keep_proof(&proof)).await
    }

    pub(super) async fn prove_postcheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Postcheck> {
        let set = self.set_of(work, action)?;
        Ok(match set.proof()? {
            Some(proof) if proof.token == work.token && proof.rollout == work.rollout => {
                Postcheck::Proven(self.proof_done(&set, &proof))
            }
            Some(_) | None => {
                Postcheck::NotYet(format!("set {} has no proof under {}", action.set, work.token))
            }
        })
    }

    /// Catalog and rows of the live database and of the restored one: what was compared, and its content as one text.
    async fn compare(&self, found: &Found, live: &Session, scratch: &str) -> Answer<(String, String)> {
        let restored = Session::open(&found.primary.instance, scratch, &found.login, Purpose::ReadAll)
            .await?
            .ok_or_else(|| {
                DatabaseCode::BackupDiffers.refuse(format!("{scratch} vanished while it was compared"))
            })?;
        let (there, beside) = futures::try_join!(Description::read(live), Description::read(&restored))?;
        let differences = there.differences(&beside);
        if !differences.is_empty() {
            return Err(DatabaseCode::BackupDiffers.refuse(differences.join("; ")));
        }
        let (rows, restored) = futures::try_join!(Rows::read(live), Rows::read(&restored))?;
        let differences = rows.differences(&restored);
        if !differences.is_empty() {
            return Err(DatabaseCode::BackupDiffers.refuse(differences.join("; ")));
        }
        let told = format!("{} lines of catalog, {}", there.len(), rows.told());
        Ok((told, digest::content(&there, &rows)))
    }

    /// The set of this step: the one an earlier step of this rollout made, unaltered.
    pub(super) fn set_of(&self, work: &Work, action: &DatabaseAction) -> Answer<BackupSet> {
        let directory = self.set_directory(action)?;
        let set = BackupSet::open(&directory)?.ok_or_else(|| {
            DatabaseCode::BackupDamaged.refuse(format!("{} holds no backup set", directory.display()))
        })?;
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
    async fn still_good(&self, work: &Work, set: &BackupSet, target: &Session) -> Answer<()> {
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
        unwritten(&manifest.after.counter, target).await
    }

    /// For the door: that nothing was written since the backup of this rollout, if it was taken before.
    pub(super) async fn written_since(&self, work: &Work, found: &Found) -> Answer<String> {
        let Some(counter) = work.inputs.get(&self.key("mark")) else {
            return Ok("no backup of this rollout to compare with".to_owned());
        };
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        unwritten(counter, &target).await?;
        Ok("nothing was written since the backup".to_owned())
    }

    fn key(&self, what: &str) -> String {
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
                "set {} of {} taken {}, {bytes} bytes, manifest {}; writes {} before and after",
                set.manifest.set,
                self.spec.name,
                set.manifest.taken_at,
                set.digest,
                set.manifest.after.counter
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

async fn mark(target: &Session) -> Answer<WriteMark> {
    Ok(WriteMark { counter: target.value(COUNTER, &[]).await?, position: target.value(POSITION, &[]).await? })
}

async fn unwritten(counter: &str, target: &Session) -> Answer<()> {
    let now = target.value(COUNTER, &[]).await?;
    if now == counter {
        return Ok(());
    }
    Err(DatabaseCode::WrittenSinceBackup
        .refuse(format!("the backup was taken at write counter {counter}, it is now {now}")))
}
