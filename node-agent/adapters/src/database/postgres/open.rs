//! Opening the door: exactly what was taken is given back, and read back.

use super::{
    Found, Postgres,
    ledger::{self, Act},
    session::Session,
    shut::audit,
    sql,
};
use crate::{
    database::{Answer, DatabaseCode, evidence},
    door::{
        captured::CapturedLogins,
        ledger::{DoorRow, DoorState, LedgerRows, Standing},
    },
};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};
use std::collections::BTreeSet;

/// Roles that may log in.
const CAN_LOG_IN: &str = "select rolname::text from pg_roles where rolcanlogin order by 1";

impl Postgres {
    pub(super) async fn open_precheck(&self, work: &Work) -> Answer<Precheck> {
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        let standing = rows.may_open(&work.cluster, work.token)?;
        let wanted = wanted(work, &rows)?;
        let missing = missing(&found.primary.session, &wanted).await?;
        let shut = is_shut(work, &rows);
        if missing.is_empty() && standing == Standing::Again {
            return Ok(Precheck::AlreadyDone(self.open_proof(work, &found, &rows).await?));
        }
        // A door found open is not enough: a statement that shuts it may still be under way. The ledger is shown this
        // token, so that the late one is refused.
        if !shut && !missing.is_empty() {
            // What somebody else disabled is not ours to enable.
            return Ok(Precheck::Mismatch {
                expected: format!("a door kept shut by this group, or logins {wanted:?} enabled"),
                found: format!("a door this group does not keep shut, and {missing:?} disabled"),
            });
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    pub(super) async fn open_perform(&self, work: &Work) -> Answer<()> {
        let Found { primary, place, login, .. } = self.find().await?;
        let primary = primary.into_ledger(&login).await?;
        let act = Act::begin(&primary, &place, &self.spec.name).await?;
        if act.rows.may_open(&work.cluster, work.token)? == Standing::Again {
            return Ok(());
        }
        let wanted = wanted(work, &act.rows)?;
        let missing = missing(act.session(), &wanted).await?;
        if !is_shut(work, &act.rows) && !missing.is_empty() {
            return Err(DatabaseCode::DoorNotShut
                .refuse("this group does not keep the door shut, so nothing is given back"));
        }
        for role in &missing {
            act.session().run(&format!("alter role {} login", sql::name(role))).await?;
        }
        let detail = format!("enabled {missing:?} of {wanted:?}");
        act.put_door(&DoorRow {
            group: work.cluster.clone(),
            token: work.token,
            state: DoorState::Open,
            captured: CapturedLogins { logins: wanted }.to_text()?,
            live: String::new(),
        })
        .await?;
        act.commit(&audit(work, "open-door", &detail)).await
    }

    pub(super) async fn open_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        let found = self.find().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        if rows.may_open(&work.cluster, work.token)? == Standing::New {
            return Ok(Postcheck::NotYet("the ledger does not say that the door is open".to_owned()));
        }
        Ok(Postcheck::Proven(self.open_proof(work, &found, &rows).await?))
    }

    async fn open_proof(&self, work: &Work, found: &Found, rows: &LedgerRows) -> Answer<Done> {
        let wanted = wanted(work, rows)?;
        let missing = missing(&found.primary.session, &wanted).await?;
        if !missing.is_empty() {
            return Err(DatabaseCode::NotReturned.refuse(format!("{missing:?} still cannot log in")));
        }
        // What is read back is about the captured value; what the ledger holds beyond it is in the evidence.
        let enabled: BTreeSet<String> =
            found.primary.session.column(CAN_LOG_IN, &[]).await?.into_iter().collect();
        let captured = match &work.captured {
            Some(text) => CapturedLogins::parse(text)?.logins,
            None => wanted.clone(),
        };
        let read_back = CapturedLogins { logins: captured.intersection(&enabled).cloned().collect() };
        let done = evidence::done(format!(
            "door of {} open with token {}: {} logins given back and read back: {wanted:?}",
            self.spec.name,
            work.token,
            wanted.len()
        ));
        let outputs = [self.opened_mark(found).await?].into();
        Ok(Done { read_back: Some(read_back.to_text()?), outputs, ..done })
    }
}

/// Whether the group keeps the door shut now.
fn is_shut(work: &Work, rows: &LedgerRows) -> bool {
    rows.door(&work.cluster).is_some_and(|door| door.state != DoorState::Open)
}

/// What is to be given back: what the ledger says is taken, of which the step's captured value must be a part. When
/// nothing is taken, because the door was never shut or an earlier act opened it, the captured value itself.
fn wanted(work: &Work, rows: &LedgerRows) -> Answer<BTreeSet<String>> {
    let captured = CapturedLogins::parse(work.captured.as_deref().unwrap_or_default())?.logins;
    let taken = match rows.door(&work.cluster) {
        Some(door) if door.state != DoorState::Open || door.token == work.token => {
            CapturedLogins::parse(&door.captured)?.logins
        }
        Some(_) | None => return Ok(captured),
    };
    match captured.difference(&taken).next() {
        None => Ok(taken),
        Some(foreign) => Err(DatabaseCode::NotReturned.refuse(format!(
            "the captured value names {foreign}, which the ledger does not know as taken by this group"
        ))),
    }
}

/// Those of `wanted` that cannot log in.
async fn missing(session: &Session, wanted: &BTreeSet<String>) -> Answer<BTreeSet<String>> {
    let enabled: BTreeSet<String> = session.column(CAN_LOG_IN, &[]).await?.into_iter().collect();
    Ok(wanted.difference(&enabled).cloned().collect())
}
