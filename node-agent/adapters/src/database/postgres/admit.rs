//! Letting the holder in: one login, made for this token alone, in the same transaction as the grant's row.

use super::{
    Found, Postgres,
    ledger::{self, Act, Place},
    principals,
    session::Session,
    shut::{audit, no_leak, ours},
    sql,
    strangers::{self, Whom},
};
use crate::{
    database::{Answer, DatabaseCode, evidence, grant_holder},
    door::{
        ledger::{GrantRow, GrantState, LedgerRows, Standing},
        scram,
    },
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use lockkeeper_core::ids::ClusterId;

/// How many sessions the holder may have at once: an upgrade tool with a pool of ten and a few of its helpers. The
/// limit bounds what must be ended when the grant is closed.
const HOLDER_CONNECTIONS: u32 = 16;

/// A role by its name: whether it may log in, and the comment that says whose it is.
const ROLE: &str = "
    select r.rolcanlogin::text, coalesce(shobj_description(r.oid, 'pg_authid'), '')
    from pg_roles r where r.rolname = $1";

/// The owner role, by name or as the database's owner, with what would let it open the door itself.
const OWNER: &str = "
    select r.rolname::text, r.rolsuper::text, r.rolcreaterole::text from pg_roles r
    where r.rolname = coalesce(nullif($2, ''), (select pg_get_userbyid(datdba)::text from pg_database where datname = $1))";

impl Postgres {
    pub(super) async fn admit_precheck(&self, work: &Work) -> Answer<Precheck> {
        self.verifier(work)?;
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        self.not_holder(work)?;
        let standing = rows.may_admit(&work.cluster, work.token)?;
        same_timeline(&rows, work, &found.place)?;
        self.owner(&found.primary.session).await?;
        if standing == Standing::Again
            && let Ok(done) = self.admit_proof(work, &found, &rows).await
        {
            return Ok(Precheck::AlreadyDone(done));
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn admit_perform(&self, work: &Work) -> Answer<()> {
        let verifier = self.verifier(work)?;
        let holder = self.not_holder(work)?;
        let login = self.login_of(work.token)?;
        let found = self.find().await?;
        let writers = self.writers(&found).await?;
        self.nobody_appeared(&found, &writers, &login).await?;
        let Found { primary, place, login: admin, .. } = found;
        let primary = primary.into_ledger(&admin).await?;
        let act = Act::begin(&primary, &place, &self.spec.name).await?;
        act.rows.may_admit(&work.cluster, work.token)?;
        same_timeline(&act.rows, work, &place)?;
        let owner = self.owner(act.session()).await?;
        let connectors = principals::connectors(act.session(), &self.spec.name).await?;
        no_leak(&principals::sort(
            connectors,
            &writers,
            &self.spec.infrastructure,
            &ours(&admin.user, Some(&login)),
        ))?;
        let role = sql::name(&login);
        let mark = mark(&work.cluster);
        match role_of(act.session(), &login).await? {
            None => {
                act.session()
                    .run(&format!("create role {role}; comment on role {role} is {}", sql::literal(&mark)))
                    .await?
            }
            Some((_can_login, comment)) if comment == mark => {}
            Some((_can_login, comment)) => {
                return Err(DatabaseCode::LoginName.refuse(format!(
                    "the server has a role {login} that is not ours (its comment is {comment:?})"
                )));
            }
        }
        act.session()
            .run(&format!(
                "alter role {role} login connection limit {HOLDER_CONNECTIONS} password {};
                 grant {owner} to {role};
                 alter role {role} in database {database} set role {owner}",
                sql::literal(verifier),
                owner = sql::name(&owner),
                database = sql::name(&self.spec.name),
            ))
            .await?;
        act.put_grant(
            &GrantRow {
                group: work.cluster.clone(),
                token: work.token,
                rollout: work.rollout,
                member: holder.clone(),
                state: GrantState::Open,
                timeline: place.timeline,
                file: String::new(),
            },
            &login,
        )
        .await?;
        act.commit(&audit(work, "admit-holder", &format!("{login} of {holder}, acts as {owner}"))).await
    }

    pub(super) async fn admit_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        if rows.may_admit(&work.cluster, work.token)? == Standing::New {
            return Ok(Postcheck::NotYet("the ledger does not say that the grant is open".to_owned()));
        }
        same_timeline(&rows, work, &found.place)?;
        Ok(Postcheck::Proven(self.admit_proof(work, &found, &rows).await?))
    }

    /// Reads back that the holder may log in, and nobody else.
    async fn admit_proof(&self, work: &Work, found: &Found, rows: &LedgerRows) -> Answer<Done> {
        let login = self.login_of(work.token)?;
        match role_of(&found.primary.session, &login).await? {
            Some((true, _comment)) => {}
            Some((false, _)) | None => {
                return Err(DatabaseCode::NotReturned.refuse(format!("{login} cannot log in")));
            }
        }
        let sorted = self.sorted(found, Some(&login)).await?;
        no_leak(&sorted)?;
        let member = rows.grant(&work.cluster, work.token).map(|row| row.member.clone()).unwrap_or_default();
        Ok(evidence::done(format!(
            "{}: grant {} of {member} open on {} (timeline {}); {login} may log in, at most {HOLDER_CONNECTIONS} sessions, no other \
             login can enter{}",
            self.spec.name,
            work.token,
            found.primary.instance,
            found.place.timeline,
            if sorted.keep.is_empty() { String::new() } else { format!(" but {}", sorted.keep.join(", ")) }
        )))
    }

    /// A session that appeared after the door was shut is ended, and the attempt fails: a person looks why.
    async fn nobody_appeared(
        &self,
        found: &Found,
        writers: &std::collections::BTreeSet<String>,
        holder: &str,
    ) -> Answer<()> {
        let session = &found.primary.session;
        let judge = self.judge(found, writers, Some(holder));
        let reading = strangers::read(session, &self.spec.name, &judge).await?;
        if reading.strangers.is_empty() && reading.readers.is_empty() {
            return strangers::none_prepared(session, &self.spec.name).await;
        }
        let ended = strangers::end(session, &self.spec.name, &judge, Whom::AllButHolder, 1).await?;
        let named: Vec<String> = ended.iter().map(ToString::to_string).collect();
        Err(DatabaseCode::StrangerAfterShut.refuse(format!(
            "{} had sessions although its door is shut; they were ended: {}",
            self.spec.name,
            named.join("; ")
        )))
    }

    fn verifier<'w>(&self, work: &'w Work) -> Answer<&'w str> {
        let key = format!("grant.{}.verifier", self.name);
        let text = work.inputs.get(&key).ok_or_else(|| {
            DatabaseCode::Verifier.refuse(format!("the step has no input {key}; the holder mints it before"))
        })?;
        scram::check(text)
    }

    /// The holder's name; the executor must be somebody else, so that a frozen holder can be shut out.
    fn not_holder(&self, work: &Work) -> Answer<String> {
        let holder = grant_holder(&self.name, work)?;
        if holder == work.me {
            return Err(DatabaseCode::ExecutorIsHolder
                .refuse(format!("{holder} holds the grant of {} and cannot work its door", self.name)));
        }
        Ok(holder.to_string())
    }

    /// The role whose objects the upgrade changes. It must not be able to open the door by itself.
    pub(super) async fn owner(&self, session: &Session) -> Answer<String> {
        let rows = session.rows(OWNER, &[&self.spec.name, &self.spec.owner]).await?;
        let Some([Some(owner), superuser, createrole]) =
            rows.into_iter().next().and_then(|row| <[Option<String>; 3]>::try_from(row).ok())
        else {
            return Err(DatabaseCode::Statement.refuse(format!(
                "the owner role {:?} of {} does not exist",
                self.spec.owner, self.spec.name
            )));
        };
        if superuser.as_deref() == Some("true") || createrole.as_deref() == Some("true") {
            return Err(DatabaseCode::MightyOwner.refuse(format!(
                "{owner}, which owns {}, is superuser or CREATEROLE: a login that acts as it could open the door",
                self.spec.name
            )));
        }
        Ok(owner)
    }
}

/// Whether a role exists, may log in, and whose it is.
pub(super) async fn role_of(session: &Session, role: &str) -> Answer<Option<(bool, String)>> {
    let rows = session.rows(ROLE, &[&role]).await?;
    Ok(rows
        .into_iter()
        .next()
        .and_then(|row| <[Option<String>; 2]>::try_from(row).ok())
        .map(|[can_login, comment]| (can_login.as_deref() == Some("true"), comment.unwrap_or_default())))
}

/// What our roles say of themselves.
pub(super) fn mark(group: &ClusterId) -> String {
    format!("made by lockkeeper for group {group}")
}

/// A grant lives on one timeline; after a fail-over a person judges what the new primary has.
pub(super) fn same_timeline(rows: &LedgerRows, work: &Work, place: &Place) -> Answer<()> {
    match rows.grant(&work.cluster, work.token) {
        Some(row) if row.timeline != place.timeline => Err(DatabaseCode::PrimaryChanged.refuse(format!(
            "grant {} was opened on timeline {}, the primary is now on {}",
            work.token, row.timeline, place.timeline
        ))),
        Some(_) | None => Ok(()),
    }
}
