//! The restore of a rollout: the set's file is placed beside, proven to hold what the set holds, and becomes the live
//! one while the door is shut. The failed file is kept as `….fenced`, like every file that was live.

use super::{
    Sqlite,
    content::{self, Content},
    late::Written,
    ledger,
};
use crate::{
    backup::set::BackupSet,
    database::{Answer, DatabaseCode, evidence},
    door::ledger::{DoorRow, DoorState, LedgerRows, Standing},
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use lockkeeper_core::plan::action::DatabaseAction;

impl Sqlite {
    pub(super) async fn swap_precheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Precheck> {
        let directory = self.set_directory(action)?;
        self.on_files(work, move |this, work| {
            let set = this.proven_set(work, &directory)?;
            let rows = ledger::look(&this.place)?;
            if rows.may_restore(&work.cluster, work.token)? == Standing::Again {
                return Ok(Precheck::AlreadyDone(this.swap_proof(&rows, &set)?));
            }
            Ok(Precheck::Ready { captured: String::new() })
        })
        .await
    }

    pub(super) async fn swap_perform(&self, work: &Work, action: &DatabaseAction) -> Answer<()> {
        let directory = self.set_directory(action)?;
        let rows = self.on_files(work, |this, _work| ledger::look(&this.place)).await?;
        if rows.may_restore(&work.cluster, work.token)? == Standing::Again {
            return Ok(());
        }
        let live = self.place.file(&self.live(&rows)?);
        if live.exists() {
            self.prove_quiet(&live, DatabaseCode::SessionsRemain).await?;
        }
        self.on_files(work, move |this, work| {
            let set = this.proven_set(work, &directory)?;
            let restored = this.place.restored(work.token);
            let live = this.live(&ledger::look(&this.place)?)?;
            // An earlier life may have fenced the live file and crashed; then what it restored is kept and read again.
            if this.place.file(&live).exists() {
                content::remove_database(&this.place.file(&restored))?;
                this.restore_as(&directory, &restored)?;
            }
            this.same(&restored, &set)?;
            ledger::act(&this.place, |act| {
                if act.rows.may_restore(&work.cluster, work.token)? == Standing::Again {
                    return Ok(());
                }
                let door = this.door(work, &act.rows)?;
                let original = this.place.file(&door.live);
                let mark = if original.exists() {
                    content::settle(&original)?;
                    Some(Written::read(&original)?)
                } else {
                    None
                };
                let door = DoorRow { token: work.token, state: DoorState::Shut, ..door };
                this.replace_live(act, &door, &restored, mark)?;
                act.audit(work, "restore-database", &format!("{restored} is live, {} is kept", door.live))
            })
        })
        .await
    }

    pub(super) async fn swap_postcheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Postcheck> {
        let directory = self.set_directory(action)?;
        self.on_files(work, move |this, work| {
            let set = this.proven_set(work, &directory)?;
            let rows = ledger::look(&this.place)?;
            if rows.may_restore(&work.cluster, work.token)? == Standing::New {
                return Ok(Postcheck::NotYet("the ledger does not say that the set is restored".to_owned()));
            }
            Ok(Postcheck::Proven(this.swap_proof(&rows, &set)?))
        })
        .await
    }

    fn swap_proof(&self, rows: &LedgerRows, set: &BackupSet) -> Answer<Done> {
        if let Some(linked) = self.place.linked()? {
            return Err(DatabaseCode::DoorLeaks
                .refuse(format!("{} exists again and names {linked}", self.place.link().display())));
        }
        let live = self.live(rows)?;
        self.same(&live, set)?;
        let kept: Vec<String> = ledger::fenced(&self.place)?.into_keys().collect();
        Ok(evidence::done(format!(
            "{live} is set {} of {}, content {}; kept: {}{}",
            set.manifest.set,
            set.manifest.taken_at,
            set.manifest.after.counter,
            kept.join(", "),
            self.diverted_told()?
        )))
    }

    /// That a file holds what the set holds.
    fn same(&self, file: &str, set: &BackupSet) -> Answer<()> {
        let found = Content::read(&self.place.file(file))?.counter();
        if found == set.manifest.after.counter {
            return Ok(());
        }
        Err(DatabaseCode::BackupDiffers.refuse(format!(
            "{file} holds content {found}; set {} was taken of {}",
            set.manifest.set, set.manifest.after.counter
        )))
    }

    /// The set of this step, unaltered and proven in this rollout.
    fn proven_set(&self, work: &Work, directory: &std::path::Path) -> Answer<BackupSet> {
        let set = self.set_of(work, directory)?;
        set.verify()?;
        match set.proof()?.filter(|proof| proof.rollout == work.rollout) {
            Some(_) => Ok(set),
            None => Err(DatabaseCode::BackupUnproven.refuse(format!(
                "set {} has no proof of this rollout, so it is not restored",
                directory.display()
            ))),
        }
    }

    /// Name of the output that says where the content stood when the door was reopened.
    pub(super) fn opened_key(&self) -> String {
        format!("opened.{}.mark", self.name)
    }

    /// What a restore would give up since the door was reopened: nothing when the content is the same, else it cannot
    /// be counted, because SQLite keeps no counter of written rows.
    pub(super) fn loss(&self, work: &Work, live: &std::path::Path) -> Answer<Option<(String, String)>> {
        let Some(before) = work.inputs.get(&self.opened_key()) else { return Ok(None) };
        let same = Content::read(live)?.counter() == *before;
        let count = if same { "0" } else { "uncounted" };
        Ok(Some((lockkeeper_core::rollout::loss::output(&self.name), count.to_owned())))
    }
}
