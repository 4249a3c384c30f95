//! Closing a grant: no new session first, then the old ones, then the login itself; each can be repeated.

use super::{
    Found, Postgres,
    admit::{mark, role_of, same_timeline},
    ledger::{self, Act, Place, Server},
    shut::audit,
    sql,
    strangers::{self, Whom},
};
use crate::{
    database::{Answer, DatabaseCode, evidence, judged},
    door::ledger::{GrantRow, GrantState, LedgerRows, Standing},
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use std::collections::BTreeSet;
use tokio_postgres::error::SqlState;

impl Postgres {
    pub(super) async fn close_precheck(&self, work: &Work) -> Answer<Precheck> {
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        if rows.may_close(&work.cluster, work.token)? == Standing::Again {
            let done = self.close_proof(work, &found).await?;
            return Ok(Precheck::AlreadyDone(judged(self, &self.name, work, done).await));
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn close_perform(&self, work: &Work) -> Answer<()> {
        let login = self.login_of(work.token)?;
        // A dead instance must not keep the holder in; that all agree is proven afterwards.
        let (Found { primary, place, login: admin, .. }, silent) = self.find_answering().await?;
        for refusal in silent {
            tracing::warn!(database = %self.name, %refusal, "the grant is closed without this instance");
        }
        let primary = primary.into_ledger(&admin).await?;
        if !self.no_new_session(work, &primary, &place, &login).await? {
            return Ok(());
        }
        // The holder's sessions are judged by their login alone, so nobody needs to know who can write.
        let writers = BTreeSet::new();
        let judge = strangers::Judge {
            admin: &admin.user,
            holder: Some(&login),
            infrastructure: &self.spec.infrastructure,
            writers: &writers,
        };
        let ended =
            strangers::end(&primary.session, &self.spec.name, &judge, Whom::Holder, strangers::SAMPLES)
                .await?;
        for seen in &ended {
            tracing::info!(database = %self.name, session = %seen, "ended as the grant was closed");
        }
        strangers::none_prepared(&primary.session, &self.spec.name).await?;
        self.settle(work, &primary, &place, &login, ended.len()).await
    }

    pub(super) async fn close_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        if rows.may_close(&work.cluster, work.token)? == Standing::New {
            return Ok(Postcheck::NotYet("the ledger does not say that the grant is closed".to_owned()));
        }
        let done = self.close_proof(work, &found).await?;
        // The holder is out either way; that the primary changed meanwhile is for a person to judge.
        same_timeline(&rows, work, &found.place)?;
        Ok(Postcheck::Proven(judged(self, &self.name, work, done).await))
    }

    /// Disables the login and commits that. Answers whether there is anything left to do.
    async fn no_new_session(
        &self,
        work: &Work,
        primary: &Server,
        place: &Place,
        login: &str,
    ) -> Answer<bool> {
        let act = Act::begin(primary, place, &self.spec.name).await?;
        if act.rows.may_close(&work.cluster, work.token)? == Standing::Again {
            return Ok(false);
        }
        if let Some((_can_login, comment)) = role_of(act.session(), login).await?
            && comment == mark(&work.cluster)
        {
            act.session().run(&format!("alter role {} nologin", sql::name(login))).await?;
        }
        let row = row(&act.rows, work, place, GrantState::Closing);
        act.put_grant(&row, login).await?;
        act.commit(&audit(work, "close-grant", &format!("{login} may not log in any more"))).await?;
        Ok(true)
    }

    /// Drops the login, if it owns nothing, and writes that the grant is closed for good.
    async fn settle(
        &self,
        work: &Work,
        primary: &Server,
        place: &Place,
        login: &str,
        ended: usize,
    ) -> Answer<()> {
        let act = Act::begin(primary, place, &self.spec.name).await?;
        if act.rows.may_close(&work.cluster, work.token)? == Standing::Again {
            return Ok(());
        }
        let session = act.session();
        let ours = role_of(session, login).await?.is_some_and(|(_, comment)| comment == mark(&work.cluster));
        let kept = if ours {
            session.run("savepoint before_drop").await?;
            match session.try_run(&format!("drop role {}", sql::name(login))).await? {
                Ok(()) => "dropped",
                Err(code) if code == SqlState::DEPENDENT_OBJECTS_STILL_EXIST => {
                    session.run("rollback to savepoint before_drop").await?;
                    let owner = self.owner(session).await?;
                    session.run(&format!("revoke {} from {}", sql::name(&owner), sql::name(login))).await?;
                    "kept without log-in, as it owns objects or holds privileges"
                }
                Err(code) => {
                    return Err(DatabaseCode::Statement
                        .refuse(format!("cannot drop {login}: SQLSTATE {}", code.code())));
                }
            }
        } else {
            "never made"
        };
        let row = row(&act.rows, work, place, GrantState::Closed);
        act.put_grant(&row, login).await?;
        act.commit(&audit(work, "grant-closed", &format!("{login} {kept}, {ended} sessions ended"))).await
    }

    /// Reads back that the holder is out and stays out.
    async fn close_proof(&self, work: &Work, found: &Found) -> Answer<Done> {
        let login = self.login_of(work.token)?;
        let role = role_of(&found.primary.session, &login).await?;
        let kept = match role {
            None => "gone",
            Some((false, _comment)) => "kept, cannot log in",
            Some((true, comment)) if comment != mark(&work.cluster) => "somebody else's of the same name",
            Some((true, _ours)) => {
                return Err(DatabaseCode::DoorLeaks
                    .refuse(format!("{login} can log in although its grant is closed")));
            }
        };
        let reading = self.prove_quiet(found, None, 1).await?;
        Ok(evidence::done(format!(
            "{}: grant {} closed after {} readings without a session of {login}, which is {kept}; 0 prepared \
             transactions{}",
            self.spec.name,
            work.token,
            strangers::SAMPLES,
            super::quiet::told(&reading)
        )))
    }
}

/// The grant's row in a new state. A grant the ledger never saw gets one, so that it can never be opened.
fn row(rows: &LedgerRows, work: &Work, place: &Place, state: GrantState) -> GrantRow {
    match rows.grant(&work.cluster, work.token) {
        Some(row) => GrantRow { state, ..row.clone() },
        None => GrantRow {
            group: work.cluster.clone(),
            token: work.token,
            rollout: work.rollout,
            member: String::new(),
            state,
            timeline: place.timeline,
            file: String::new(),
        },
    }
}
