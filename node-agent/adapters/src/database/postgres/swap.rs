//! The restore of a rollout: the set is restored beside and proven against what it was proven to hold, then names are
//! swapped in one transaction with the ledger. The failed database is kept, closed to everybody.

use super::{
    Found, Postgres,
    catalog::Description,
    digest::{self, Rows},
    ledger::{self, Act, Server},
    restore::{drop_database, scratch_mark},
    session::{Instance, Login, Purpose, Session},
    shut::{audit, no_leak},
    sql, strangers,
};
use crate::{
    backup::{manifest::Proof, set::BackupSet},
    database::{Answer, DatabaseCode, blocking, evidence},
    door::ledger::{DoorRow, DoorState, Standing},
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use lockkeeper_core::plan::action::DatabaseAction;

/// PostgreSQL cuts longer names without a word.
const NAME_MAX: usize = 63;

/// What the live database keeps when its name goes to another: limit of connections and comment.
const KEPT: &str = "select datconnlimit::text, coalesce(shobj_description(oid, 'pg_database'), '')
    from pg_database where datname = $1";

impl Postgres {
    pub(super) async fn swap_precheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Precheck> {
        let set = self.set_of(work, action)?;
        let proof = self.proof_of(work, &set)?;
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        if rows.may_restore(&work.cluster, work.token)? == Standing::Again {
            return Ok(Precheck::AlreadyDone(self.swap_proof(&found, &set, &proof).await?));
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn swap_perform(&self, work: &Work, action: &DatabaseAction) -> Answer<()> {
        let set = self.set_of(work, action)?;
        let proof = self.proof_of(work, &set)?;
        let checked = set.clone();
        blocking(move || checked.verify()).await?;
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        if rows.may_restore(&work.cluster, work.token)? == Standing::Again {
            return Ok(());
        }
        self.prove_quiet(&found, None, strangers::SAMPLES).await?;
        let beside = format!("lk_restore_{}_{}_{}", self.name, work.token.generation.0, work.token.index.0);
        fits(&beside)?;
        let instance = found.primary.instance.clone();
        let server = Server::open(&instance, &found.login, Purpose::Restore).await?;
        self.sweep_scratch(&server.session, &work.cluster).await?;
        self.restore_as(&instance, &found.login, &set, &beside, &scratch_mark(&work.cluster)).await?;
        let content = read_content(&instance, &found.login, &beside).await;
        match content {
            Ok(content) if content == proof.content => {}
            Ok(content) => {
                drop_database(&server.session, &beside).await?;
                return Err(DatabaseCode::BackupDiffers.refuse(format!(
                    "restored as {beside}, set {} gives content {content}; it was proven to hold {}",
                    action.set, proof.content
                )));
            }
            Err(refusal) => {
                drop_database(&server.session, &beside).await?;
                return Err(refusal);
            }
        }
        drop(server);
        self.swap(work, action, found, &beside).await
    }

    /// The names change hands in one transaction, in which the ledger goes on with the restored database.
    async fn swap(&self, work: &Work, action: &DatabaseAction, found: Found, beside: &str) -> Answer<()> {
        let Found { primary, place, login, .. } = found;
        let primary = primary.into_ledger(&login).await?;
        let act = Act::begin(&primary, &place, &self.spec.name).await?;
        if act.rows.may_restore(&work.cluster, work.token)? == Standing::Again {
            return Ok(());
        }
        let door = act
            .rows
            .door(&work.cluster)
            .cloned()
            .ok_or_else(|| DatabaseCode::DoorNotShut.refuse("the door was never shut by this group"))?;
        let session = act.session();
        let kept = session.rows(KEPT, &[&self.spec.name]).await?;
        let Some([Some(limit), Some(comment)]) =
            kept.into_iter().next().and_then(|row| <[Option<String>; 2]>::try_from(row).ok())
        else {
            return Err(DatabaseCode::QueryShape.refuse("the live database does not say how it is limited"));
        };
        let failed = failed_name(session, &self.spec.name, &action.set).await?;
        let (live, aside) = (sql::name(&self.spec.name), sql::name(&failed));
        let about = format!(
            "failed upgrade of rollout {}, kept by lockkeeper; drop it after acceptance",
            work.rollout
        );
        for statement in [
            format!("alter database {live} rename to {aside}"),
            format!("alter database {} rename to {live}", sql::name(beside)),
            format!("alter database {live} connection limit {limit}"),
            format!("comment on database {live} is {}", sql::literal(&comment)),
            format!("alter database {aside} allow_connections false"),
            format!("comment on database {aside} is {}", sql::literal(&about)),
        ] {
            session.run(&statement).await?;
        }
        let row = DoorRow { token: work.token, state: DoorState::Shut, ..door };
        act.follow(&self.spec.name, &row).await?;
        act.commit(&audit(work, "restore-database", &format!("{failed} is kept"))).await
    }

    pub(super) async fn swap_postcheck(&self, work: &Work, action: &DatabaseAction) -> Answer<Postcheck> {
        let set = self.set_of(work, action)?;
        let proof = self.proof_of(work, &set)?;
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        if rows.may_restore(&work.cluster, work.token)? == Standing::New {
            return Ok(Postcheck::NotYet("the ledger does not say that the set is restored".to_owned()));
        }
        Ok(Postcheck::Proven(self.swap_proof(&found, &set, &proof).await?))
    }

    /// Reads the restored database once more, under its own name: while the door is shut it holds what the set holds.
    async fn swap_proof(&self, found: &Found, set: &BackupSet, proof: &Proof) -> Answer<Done> {
        let sorted = self.sorted(found, None).await?;
        no_leak(&sorted)?;
        let content = read_content(&found.primary.instance, &found.login, &self.spec.name).await?;
        if content != proof.content {
            return Err(DatabaseCode::BackupDiffers.refuse(format!(
                "{} holds content {content}; set {} was proven to hold {}",
                self.spec.name, set.manifest.set, proof.content
            )));
        }
        let like = format!("{}_failed_", self.spec.name);
        let kept = "select datname::text from pg_database where starts_with(datname::text, $1) order by 1";
        let kept = found.primary.session.column(kept, &[&like]).await?;
        Ok(evidence::done(format!(
            "{} is set {} of {}, content {content} as proven {}; kept and closed: {}",
            self.spec.name,
            set.manifest.set,
            set.manifest.taken_at,
            proof.proven_at,
            kept.join(", ")
        )))
    }

    /// The proof of this rollout, with what it found.
    fn proof_of(&self, work: &Work, set: &BackupSet) -> Answer<Proof> {
        let proof = set.proof()?.filter(|proof| proof.rollout == work.rollout && !proof.content.is_empty());
        proof.ok_or_else(|| {
            DatabaseCode::BackupUnproven.refuse(format!(
                "set {} has no proof of this rollout, so it is not restored",
                set.directory.display()
            ))
        })
    }
}

/// Catalog and rows of a database, as one text.
async fn read_content(instance: &Instance, login: &Login, name: &str) -> Answer<String> {
    let session = Session::open(instance, name, login, Purpose::ReadAll)
        .await?
        .ok_or_else(|| DatabaseCode::BackupDiffers.refuse(format!("{name} vanished while it was read")))?;
    let catalog = Description::read(&session).await?;
    let rows = Rows::read(&session).await?;
    Ok(digest::content(&catalog, &rows))
}

/// `NAME_failed_SET`, or with a number behind it when a set was restored before.
async fn failed_name(session: &Session, name: &str, set: &str) -> Answer<String> {
    let base = format!("{name}_failed_{set}");
    let mut failed = base.clone();
    let taken = "select count(*)::text from pg_database where datname = $1";
    let mut number = 1_u32;
    while session.value(taken, &[&failed]).await? != "0" {
        number += 1;
        failed = format!("{base}_{number}");
    }
    fits(&failed)?;
    Ok(failed)
}

fn fits(name: &str) -> Answer<()> {
    if name.len() > NAME_MAX {
        return Err(DatabaseCode::LoginName.refuse(format!("{name} is too long for a database's name")));
    }
    Ok(())
}
