//! Shutting and opening a `path-per-epoch` door: the link members open is taken away and given back.

use super::{Sqlite, content::Content, ledger};
use crate::{
    database::{Answer, DatabaseCode, evidence},
    door::ledger::{DoorRow, DoorState, LedgerRows, Standing},
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use serde::{Deserialize, Serialize};

/// What is captured: that the link was there. Which file it shall name is in the ledger, since every grant changes
/// that; so the value read back equals the captured one also after an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CapturedLink {
    /// Name of the link.
    link: String,
    /// Stem of the files it names.
    stem: String,
}

impl Sqlite {
    fn captured(&self) -> Answer<String> {
        let captured = CapturedLink { link: "current".to_owned(), stem: self.place.stem.clone() };
        serde_json::to_string(&captured)
            .map_err(|error| DatabaseCode::CapturedTooLarge.refuse(format!("cannot be written: {error}")))
    }

    pub(super) async fn shut_precheck(&self, work: &Work) -> Answer<Precheck> {
        let (rows, standing) = self
            .on_files(work, |this, work| {
                let rows = ledger::look(&this.place)?;
                let standing = rows.may_shut(&work.cluster, work.token)?;
                Ok((rows, standing))
            })
            .await?;
        if standing == Standing::Again
            && let Ok(done) = self.shut_proof(work, &rows).await
        {
            return Ok(Precheck::AlreadyDone(done));
        }
        let live = self.place.file(&self.live(&rows)?);
        self.prove_quiet(&live, DatabaseCode::ForgottenNode).await?;
        Ok(Precheck::Ready { captured: self.captured()? })
    }

    pub(super) async fn shut_perform(&self, work: &Work) -> Answer<()> {
        let live = self
            .on_files(work, |this, work| {
                let live = this.note_shutting(work)?;
                this.take_link(work)?;
                Ok(live)
            })
            .await?;
        // Somebody may have opened the file just before the link went.
        self.prove_quiet(&self.place.file(&live), DatabaseCode::SessionsRemain).await.map(drop)
    }

    /// First the ledger says which file the link named, then the link goes.
    fn note_shutting(&self, work: &Work) -> Answer<String> {
        ledger::act(&self.place, |act| {
            act.rows.may_shut(&work.cluster, work.token)?;
            let live = self.live(&act.rows)?;
            act.put_door(&DoorRow {
                group: work.cluster.clone(),
                token: work.token,
                state: DoorState::Shutting,
                captured: self.captured()?,
                live: live.clone(),
            })?;
            act.audit(work, "shut-door", &format!("the link named {live}"))?;
            Ok(live)
        })
    }

    /// The link goes while the ledger is locked: an executor that froze in between and thaws later finds another
    /// token or state here, and does nothing.
    fn take_link(&self, work: &Work) -> Answer<()> {
        ledger::act(&self.place, |act| {
            let row = act.rows.door(&work.cluster).filter(|row| row.token == work.token);
            let Some(row) = row.filter(|row| row.state == DoorState::Shutting).cloned() else {
                return Err(DatabaseCode::StaleToken.refuse(format!(
                    "the door is no longer being shut with token {}, somebody else acted in between",
                    work.token
                )));
            };
            self.place.unlink()?;
            act.put_door(&DoorRow { state: DoorState::Shut, ..row })
        })
    }

    pub(super) async fn shut_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        let rows = self.on_files(work, |this, _work| ledger::look(&this.place)).await?;
        if rows.may_shut(&work.cluster, work.token)? == Standing::New {
            return Ok(Postcheck::NotYet("the ledger does not say that the door is shut".to_owned()));
        }
        Ok(Postcheck::Proven(self.shut_proof(work, &rows).await?))
    }

    async fn shut_proof(&self, work: &Work, rows: &LedgerRows) -> Answer<Done> {
        if let Some(linked) = self.place.linked()? {
            return Err(DatabaseCode::DoorLeaks
                .refuse(format!("{} exists again and names {linked}", self.place.link().display())));
        }
        let live = self.live(rows)?;
        let quiet = self.prove_quiet(&self.place.file(&live), DatabaseCode::StrangerAfterShut).await?;
        let backup = if rows.granted_in(&work.cluster, work.rollout) {
            "a grant of this rollout was open since the backup".to_owned()
        } else {
            self.written_since(work, &live).await?
        };
        Ok(evidence::done(format!(
            "door of {} shut with token {}: link current -> {live} taken away; {quiet}; {backup}",
            self.place.directory.display(),
            work.token
        )))
    }

    /// That nothing was written since the backup of this rollout, if it was taken before.
    async fn written_since(&self, work: &Work, live: &str) -> Answer<String> {
        let Some(counter) = work.inputs.get(&self.key("mark")).cloned() else {
            return Ok("no backup of this rollout to compare with".to_owned());
        };
        let file = self.place.file(live);
        let now = crate::database::blocking(move || Ok(Content::read(&file)?.counter())).await?;
        if now == counter {
            return Ok("nothing was written since the backup".to_owned());
        }
        Err(DatabaseCode::WrittenSinceBackup
            .refuse(format!("the backup was taken at content {counter}, it is now {now}")))
    }

    pub(super) async fn open_precheck(&self, work: &Work) -> Answer<Precheck> {
        self.on_files(work, |this, work| {
            let rows = ledger::look(&this.place)?;
            let standing = rows.may_open(&work.cluster, work.token)?;
            if keeps_shut(work, &rows) {
                return Ok(Precheck::Ready { captured: String::new() });
            }
            match (this.place.linked()?, standing) {
                (Some(_), Standing::Again) => Ok(Precheck::AlreadyDone(this.open_proof(work, &rows)?)),
                // Undo of a shutting that never began. An open door is not enough, as a late act may still shut it: the
                // ledger is shown this token, so that the late one is refused.
                (Some(_), Standing::New) => Ok(Precheck::Ready { captured: String::new() }),
                (None, _) => Ok(Precheck::Mismatch {
                    expected: match standing {
                        Standing::New => "a door that this group keeps shut, or the link current".to_owned(),
                        Standing::Again => "the link current, which this step set".to_owned(),
                    },
                    found: format!("no link in {}", this.place.directory.display()),
                }),
            }
        })
        .await
    }

    pub(super) async fn open_perform(&self, work: &Work) -> Answer<()> {
        self.on_files(work, |this, work| {
            ledger::act(&this.place, |act| {
                if act.rows.may_open(&work.cluster, work.token)? == Standing::Again {
                    return Ok(());
                }
                let live = match act.rows.door(&work.cluster).filter(|_| keeps_shut(work, &act.rows)) {
                    Some(door) => {
                        if !this.place.file(&door.live).exists() {
                            return Err(DatabaseCode::DoorFiles
                                .refuse(format!("the live file {} is missing", door.live)));
                        }
                        this.place.relink(&door.live)?;
                        door.live.clone()
                    }
                    // Nothing was taken; the link must be there.
                    None => this.place.linked()?.ok_or_else(|| {
                        DatabaseCode::DoorNotShut
                            .refuse("this group does not keep the door shut, so nothing is given back")
                    })?,
                };
                act.audit(work, "open-door", &format!("current -> {live}"))?;
                act.put_door(&DoorRow {
                    group: work.cluster.clone(),
                    token: work.token,
                    state: DoorState::Open,
                    captured: this.captured()?,
                    live,
                })
            })
        })
        .await
    }

    pub(super) async fn open_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        self.on_files(work, |this, work| {
            let rows = ledger::look(&this.place)?;
            if rows.may_open(&work.cluster, work.token)? == Standing::New {
                return Ok(Postcheck::NotYet("the ledger does not say that the door is open".to_owned()));
            }
            Ok(Postcheck::Proven(this.open_proof(work, &rows)?))
        })
        .await
    }

    fn open_proof(&self, work: &Work, rows: &LedgerRows) -> Answer<Done> {
        let Some(linked) = self.place.linked()? else {
            return Err(
                DatabaseCode::NotReturned.refuse(format!("{} does not exist", self.place.link().display()))
            );
        };
        let ours = rows.door(&work.cluster).filter(|door| door.token == work.token);
        if let Some(door) = ours.filter(|door| door.live != linked) {
            return Err(DatabaseCode::NotReturned
                .refuse(format!("current names {linked}, the ledger says {} is live", door.live)));
        }
        if !self.place.file(&linked).exists() {
            return Err(
                DatabaseCode::NotReturned.refuse(format!("current names {linked}, which does not exist"))
            );
        }
        let done = evidence::done(format!("link current -> {linked}{}", self.diverted_told()?));
        let outputs = [(self.opened_key(), Content::read(&self.place.file(&linked))?.counter())].into();
        Ok(Done { read_back: Some(self.captured()?), outputs, ..done })
    }
}

/// Whether the group keeps the door shut now.
fn keeps_shut(work: &Work, rows: &LedgerRows) -> bool {
    rows.door(&work.cluster).is_some_and(|door| door.state != DoorState::Open)
}
