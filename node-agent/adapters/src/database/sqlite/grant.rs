//! Letting a holder in by a file of its own, and closing its grant.

use super::{
    Sqlite, content,
    late::Written,
    ledger::{self, Act},
};
use crate::{
    database::{Answer, DatabaseCode, evidence, judged},
    door::ledger::{DoorRow, GrantRow, GrantState, LedgerRows, Standing},
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};

impl Sqlite {
    pub(super) async fn admit_precheck(&self, work: &Work) -> Answer<Precheck> {
        self.on_files(work, |this, work| {
            this.holder(work)?;
            let rows = ledger::look(&this.place)?;
            if rows.may_admit(&work.cluster, work.token)? == Standing::Again {
                return Ok(Precheck::AlreadyDone(this.admit_proof(work, &rows)?));
            }
            Ok(Precheck::Ready { captured: String::new() })
        })
        .await
    }

    pub(super) async fn admit_perform(&self, work: &Work) -> Answer<()> {
        self.on_files(work, |this, work| {
            let holder = this.holder(work)?;
            let granted = this.place.granted(work.token);
            // Who opens first is written first, so that a crash in the copying is seen as an opening grant.
            let live = ledger::act(&this.place, |act| {
                if act.rows.may_admit(&work.cluster, work.token)? == Standing::Again {
                    return Ok(None);
                }
                let door = this.door(work, &act.rows)?;
                act.put_grant(&GrantRow {
                    group: work.cluster.clone(),
                    token: work.token,
                    rollout: work.rollout,
                    member: holder.clone(),
                    state: GrantState::Opening,
                    timeline: 0,
                    file: granted.clone(),
                })?;
                Ok(Some(door.live))
            })?;
            let Some(live) = live else { return Ok(()) };
            let mark = this.copy_live(&live, &granted)?;
            ledger::act(&this.place, |act| {
                if act.rows.may_admit(&work.cluster, work.token)? == Standing::Again {
                    return Ok(());
                }
                let door = this.door(work, &act.rows)?;
                this.replace_live(act, &door, &granted, mark)?;
                let row = act.rows.grant(&work.cluster, work.token).cloned().ok_or_else(|| {
                    DatabaseCode::StaleToken
                        .refuse("the grant vanished from the ledger while its file was made")
                })?;
                act.put_grant(&GrantRow { state: GrantState::Open, ..row })?;
                act.audit(work, "admit-holder", &format!("{holder} is given {granted}"))
            })
        })
        .await
    }

    pub(super) async fn admit_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        self.on_files(work, |this, work| {
            let rows = ledger::look(&this.place)?;
            if rows.may_admit(&work.cluster, work.token)? == Standing::New {
                return Ok(Postcheck::NotYet("the ledger does not say that the grant is open".to_owned()));
            }
            Ok(Postcheck::Proven(this.admit_proof(work, &rows)?))
        })
        .await
    }

    fn admit_proof(&self, work: &Work, rows: &LedgerRows) -> Answer<Done> {
        let granted = self.place.granted(work.token);
        let path = self.place.file(&granted);
        let live = self.door(work, rows)?.live;
        if live != granted || !path.exists() {
            return Err(DatabaseCode::DoorFiles
                .refuse(format!("grant {} was given {granted}, but {live} is live", work.token)));
        }
        if let Some(linked) = self.place.linked()? {
            return Err(DatabaseCode::DoorLeaks.refuse(format!("current exists and names {linked}")));
        }
        Ok(evidence::done_with(
            format!(
                "grant {} open: {granted} is known to its holder alone{}",
                work.token,
                self.diverted_told()?
            ),
            [(format!("database.{}.path", self.name), path.to_string_lossy().into_owned())],
        ))
    }

    pub(super) async fn close_precheck(&self, work: &Work) -> Answer<Precheck> {
        let rows = self.on_files(work, |this, _work| ledger::look(&this.place)).await?;
        if rows.may_close(&work.cluster, work.token)? == Standing::Again {
            let done = self.close_proof(work, &rows).await?;
            return Ok(Precheck::AlreadyDone(judged(self, &self.name, work, done).await));
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn close_perform(&self, work: &Work) -> Answer<()> {
        let live = self.on_files(work, |this, work| this.note_closing(work)).await?;
        let Some(live) = live else { return Ok(()) };
        let stays = self.nobody(&self.place.file(&live)).await?.err();
        self.on_files(work, move |this, work| {
            let mut told = "nobody has it open".to_owned();
            let mut fresh = None;
            if let Some(openers) = stays {
                // It cannot be ended from here, and it may be frozen: what it writes from now on is diverted.
                let named: Vec<String> = openers.iter().map(ToString::to_string).collect();
                told = format!("still open by {}, so the live file was replaced", named.join("; "));
                let after = this.place.after(work.token);
                fresh = Some((this.copy_live(&live, &after)?, after));
            }
            ledger::act(&this.place, |act| {
                if act.rows.may_close(&work.cluster, work.token)? == Standing::Again {
                    return Ok(());
                }
                if let Some((mark, after)) = fresh {
                    let door = this.door(work, &act.rows)?;
                    this.replace_live(act, &door, &after, mark)?;
                }
                act.put_grant(&row(&act.rows, work, GrantState::Closed))?;
                act.audit(work, "grant-closed", &told)
            })
        })
        .await
    }

    /// Writes that the grant is closing. Answers the live file, or nothing when no file was ever given.
    fn note_closing(&self, work: &Work) -> Answer<Option<String>> {
        ledger::act(&self.place, |act| {
            if act.rows.may_close(&work.cluster, work.token)? == Standing::Again {
                return Ok(None);
            }
            let Some(grant) = act.rows.grant(&work.cluster, work.token) else {
                act.put_grant(&row(&act.rows, work, GrantState::Closed))?;
                act.audit(work, "grant-closed", "it was never opened")?;
                return Ok(None);
            };
            let door = self.door(work, &act.rows)?;
            // A crash may have fenced the live file without having said what took its place.
            let successors = [self.place.after(work.token), grant.file.clone()];
            let live = if self.place.file(&door.live).exists() {
                door.live
            } else {
                let Some(live) = successors.into_iter().find(|name| self.place.file(name).exists()) else {
                    return Err(
                        DatabaseCode::DoorFiles.refuse(format!("the live file {} is missing", door.live))
                    );
                };
                self.replace_live(act, &door, &live, None)?;
                live
            };
            act.put_grant(&GrantRow { state: GrantState::Closing, ..grant.clone() })?;
            act.audit(work, "close-grant", &format!("{live} is live"))?;
            Ok(Some(live))
        })
    }

    pub(super) async fn close_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        let rows = self.on_files(work, |this, _work| ledger::look(&this.place)).await?;
        if rows.may_close(&work.cluster, work.token)? == Standing::New {
            return Ok(Postcheck::NotYet("the ledger does not say that the grant is closed".to_owned()));
        }
        let done = self.close_proof(work, &rows).await?;
        Ok(Postcheck::Proven(judged(self, &self.name, work, done).await))
    }

    async fn close_proof(&self, work: &Work, rows: &LedgerRows) -> Answer<Done> {
        let live = self.live(rows)?;
        let quiet = self.prove_quiet(&self.place.file(&live), DatabaseCode::SessionsRemain).await?;
        let diverted = self.on_files(work, |this, _work| this.diverted_told()).await?;
        Ok(evidence::done(format!("grant {} closed: {live} is live; {quiet}{diverted}", work.token)))
    }

    /// Copies the live file, if an earlier life has not done so and fenced it already. Answers how far the original
    /// was written: commits after that are diverted.
    fn copy_live(&self, live: &str, to: &str) -> Answer<Option<Written>> {
        let original = self.place.file(live);
        if !original.exists() && self.place.file(to).exists() {
            return Ok(None);
        }
        content::settle(&original)?;
        let mark = Written::read(&original)?;
        content::copy(&original, &self.place.file(to))?;
        Ok(Some(mark))
    }

    /// Fences the live file and makes `to` the live one.
    pub(super) fn replace_live(
        &self,
        act: &Act<'_>,
        door: &DoorRow,
        to: &str,
        mark: Option<Written>,
    ) -> Answer<()> {
        if !self.place.file(to).exists() {
            return Err(DatabaseCode::DoorFiles.refuse(format!("{to} vanished before it became live")));
        }
        let fenced = self.place.fence(&door.live)?;
        // Without a mark an earlier life fenced it and crashed; then everything is counted from now on.
        let mark = match mark {
            Some(mark) => mark,
            None => Written::read(&self.place.file(&fenced))?,
        };
        act.put_fenced(&fenced, &mark.to_string())?;
        act.put_door(&DoorRow { live: to.to_owned(), ..door.clone() })
    }

    pub(super) fn door(&self, work: &Work, rows: &LedgerRows) -> Answer<DoorRow> {
        rows.door(&work.cluster)
            .cloned()
            .ok_or_else(|| DatabaseCode::DoorNotShut.refuse("the door was never shut by this group"))
    }

    /// The holder's name; the executor must be somebody else, so that a frozen holder can be shut out.
    fn holder(&self, work: &Work) -> Answer<String> {
        let holder = crate::database::grant_holder(&self.name, work)?;
        if holder == work.me {
            return Err(DatabaseCode::ExecutorIsHolder
                .refuse(format!("{holder} holds the grant of {} and cannot work its door", self.name)));
        }
        Ok(holder.to_string())
    }
}

/// The grant's row in a new state. A grant the ledger never saw gets one, so that it can never be opened.
fn row(rows: &LedgerRows, work: &Work, state: GrantState) -> GrantRow {
    match rows.grant(&work.cluster, work.token) {
        Some(row) => GrantRow { state, ..row.clone() },
        None => GrantRow {
            group: work.cluster.clone(),
            token: work.token,
            rollout: work.rollout,
            member: String::new(),
            state,
            timeline: 0,
            file: String::new(),
        },
    }
}
