//! Shutting the door: every login that could enter is disabled in one transaction, then its sessions are ended.

use super::{
    Found, Postgres,
    ledger::{self, Act, Audit, Server},
    principals::{self, Sorted},
    quiet, sql,
    strangers::{self, Whom},
};
use crate::{
    database::{Answer, DatabaseCode, Refusal, evidence},
    door::{
        captured::CapturedLogins,
        ledger::{DoorRow, DoorState, LedgerRows, Standing},
    },
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use std::collections::BTreeSet;

impl Postgres {
    pub(super) async fn shut_precheck(&self, work: &Work) -> Answer<Precheck> {
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        let standing = rows.may_shut(&work.cluster, work.token)?;
        if standing == Standing::Again
            && let Ok(done) = self.shut_proof(work, &found, &rows).await
        {
            return Ok(Precheck::AlreadyDone(done));
        }
        let shut = rows.door(&work.cluster).is_some_and(|door| door.state == DoorState::Shut);
        let holder = self.holder_login(work, &rows)?;
        if !shut {
            // Strangers are named before anything is touched; afterwards whoever appears is ended.
            self.prove_quiet(&found, holder.as_deref(), 1).await?;
        }
        let sorted = self.sorted(&found, holder.as_deref()).await?;
        no_superusers(&sorted)?;
        let captured = taken(work, &rows, sorted.disable)?;
        Ok(Precheck::Ready { captured: captured.to_text()? })
    }

    pub(super) async fn shut_perform(&self, work: &Work) -> Answer<()> {
        let found = self.find().await?;
        let writers = self.writers(&found).await?;
        let Found { primary, place, login, .. } = found;
        let primary = primary.into_ledger(&login).await?;
        let act = Act::begin(&primary, &place, &self.spec.name).await?;
        act.rows.may_shut(&work.cluster, work.token)?;
        let holder = self.holder_login(work, &act.rows)?;
        let ours = ours(&login.user, holder.as_deref());
        let connectors = principals::connectors(act.session(), &self.spec.name).await?;
        let sorted = principals::sort(connectors, &writers, &self.spec.infrastructure, &ours);
        no_superusers(&sorted)?;
        for role in &sorted.disable {
            act.session().run(&format!("alter role {} nologin", sql::name(role))).await?;
        }
        let detail = format!("disabled {:?}", sorted.disable);
        let captured = taken(work, &act.rows, sorted.disable)?.to_text()?;
        act.put_door(&DoorRow {
            group: work.cluster.clone(),
            token: work.token,
            state: DoorState::Shut,
            captured,
            live: String::new(),
        })
        .await?;
        act.commit(&audit(work, "shut-door", &detail)).await?;
        let judge = strangers::Judge {
            admin: &login.user,
            holder: holder.as_deref(),
            infrastructure: &self.spec.infrastructure,
            writers: &writers,
        };
        let ended = strangers::end(&primary.session, &self.spec.name, &judge, Whom::AllButHolder, 1).await?;
        for seen in ended {
            tracing::info!(database = %self.name, session = %seen, "ended after the door was shut");
        }
        Ok(())
    }

    pub(super) async fn shut_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        if rows.may_shut(&work.cluster, work.token)? == Standing::New {
            return Ok(Postcheck::NotYet("the ledger does not say that the door is shut".to_owned()));
        }
        Ok(Postcheck::Proven(self.shut_proof(work, &found, &rows).await?))
    }

    /// Reads back that the door is shut: no login can enter, nobody is in, nothing is prepared, and nothing was
    /// written since the backup this rollout took before.
    async fn shut_proof(&self, work: &Work, found: &Found, rows: &LedgerRows) -> Answer<Done> {
        let holder = self.holder_login(work, rows)?;
        let sorted = self.sorted(found, holder.as_deref()).await?;
        no_superusers(&sorted)?;
        no_leak(&sorted)?;
        for standby in &found.standbys {
            // Roles reach a standby with the log; a login still enabled there would enter after a fail-over.
            let there = self.sorted_on(standby, found, holder.as_deref()).await?;
            if let Some(role) = there.disable.first() {
                return Err(DatabaseCode::Primary
                    .refuse(format!("{} has not yet replayed that {role} is disabled", standby.instance)));
            }
        }
        let reading =
            self.prove_quiet(found, holder.as_deref(), strangers::SAMPLES).await.map_err(after_shut)?;
        let backup = if rows.granted_in(&work.cluster, work.rollout) {
            "a grant of this rollout was open since the backup".to_owned()
        } else {
            self.written_since(work, found).await?
        };
        let captured = rows.door(&work.cluster).map(|door| door.captured.clone()).unwrap_or_default();
        let kept = if sorted.keep.is_empty() { "none".to_owned() } else { sorted.keep.join(", ") };
        Ok(evidence::done(format!(
            "door of {} shut with token {} on {} (timeline {}): logins taken {captured}; kept: {kept}; 0 sessions in {} readings, \
             0 prepared transactions{}; {backup}",
            self.spec.name,
            work.token,
            found.primary.instance,
            found.place.timeline,
            strangers::SAMPLES,
            quiet::told(&reading)
        )))
    }

    /// Everybody who could enter now, sorted.
    pub(super) async fn sorted(&self, found: &Found, holder: Option<&str>) -> Answer<Sorted> {
        self.sorted_on(&found.primary, found, holder).await
    }

    async fn sorted_on(&self, server: &Server, found: &Found, holder: Option<&str>) -> Answer<Sorted> {
        let writers = self.writers(found).await?;
        let connectors = principals::connectors(&server.session, &self.spec.name).await?;
        let ours = ours(&found.login.user, holder);
        Ok(principals::sort(connectors, &writers, &self.spec.infrastructure, &ours))
    }

    /// The login of this group's grant that is not closed, if there is one.
    pub(super) fn holder_login(&self, work: &Work, rows: &LedgerRows) -> Answer<Option<String>> {
        let open = rows.grants.iter().find(|row| row.group == work.cluster && row.is_not_closed());
        open.map(|row| self.login_of(row.token)).transpose()
    }
}

/// Who is never disabled by us: the administrator and the holder of an open grant.
pub(super) fn ours(admin: &str, holder: Option<&str>) -> BTreeSet<String> {
    [Some(admin), holder].into_iter().flatten().map(str::to_owned).collect()
}

/// The same finding has another name once the door is shut: it should have been impossible.
fn after_shut(refusal: Refusal) -> Refusal {
    if refusal.code == DatabaseCode::ForgottenNode {
        return DatabaseCode::StrangerAfterShut.refuse(refusal.text);
    }
    refusal
}

/// What the group has taken in all: what an earlier act took and is not given back, and what is taken now.
fn taken(work: &Work, rows: &LedgerRows, now: BTreeSet<String>) -> Answer<CapturedLogins> {
    let mut captured = match rows.door(&work.cluster) {
        Some(door) if door.state != DoorState::Open => CapturedLogins::parse(&door.captured)?,
        Some(_) | None => CapturedLogins::default(),
    };
    captured.logins.extend(now);
    Ok(captured)
}

fn no_superusers(sorted: &Sorted) -> Answer<()> {
    if sorted.undeclared_superusers.is_empty() {
        return Ok(());
    }
    Err(DatabaseCode::Superuser.refuse(format!(
        "superusers {} could enter whatever the door does",
        sorted.undeclared_superusers.join(", ")
    )))
}

/// Refuses when somebody could log in although the door is shut.
pub(super) fn no_leak(sorted: &Sorted) -> Answer<()> {
    if sorted.disable.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = sorted.disable.iter().map(String::as_str).collect();
    Err(DatabaseCode::DoorLeaks.refuse(format!("{} can log in although the door is shut", named.join(", "))))
}

/// The audit line of a work.
pub(super) fn audit<'a>(work: &'a Work, act: &'a str, detail: &'a str) -> Audit<'a> {
    Audit {
        group: &work.cluster,
        token: work.token,
        rollout: work.rollout,
        member: work.me.as_str(),
        act,
        detail,
    }
}
