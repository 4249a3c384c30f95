//! PostgreSQL 13 and later: door `login`, grant ledger in a database of its own, dump and restore beside.
//!
//! Roles are changed in the ledger's database only, in one transaction with the ledger's rows. In the target nothing
//! but reading is done by the administrator; changes there belong to the login of the grant.

mod admit;
mod backup;
mod capable;
mod catalog;
mod close;
mod digest;
mod dump;
mod foreign;
mod ledger;
mod loss;
mod open;
mod principals;
mod quiet;
mod restore;
mod session;
mod shut;
pub(crate) mod sql;
mod strangers;
mod swap;
mod tls;

use super::{Answer, BeforeStart, DatabaseAdapter, DatabaseCode, Means, Refusal, Step, evidence};
use crate::door::{login::login_name, mint::GrantSecrets};
use async_trait::async_trait;
use ledger::{Place, Server};
use lockkeeper_agent::host::{DatabaseFacts, Done, Failure, Postcheck, Precheck, Work};
use lockkeeper_core::{
    cluster::DatabaseSpec,
    ids::{DatabaseName, Token},
    observe::ForeignLocks,
    plan::action::DatabaseAction,
};
use secrecy::SecretString;
use session::{Instance, Login, Purpose, Session};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use strangers::Judge;

/// One PostgreSQL database.
pub struct Postgres {
    name: DatabaseName,
    spec: DatabaseSpec,
    means: Means,
    secrets: GrantSecrets,
}

/// The servers of a database as they were found, with one session on each.
struct Found {
    /// The one that takes writes.
    primary: Server,
    /// Those that replay it.
    standbys: Vec<Server>,
    /// Which database it is.
    place: Place,
    /// Who logged in.
    login: Login,
}

impl Postgres {
    /// An adapter for the database called `name` in the cluster file.
    pub fn new(name: DatabaseName, spec: DatabaseSpec, means: Means) -> Self {
        let secrets = GrantSecrets::new(&means.data);
        Self { name, spec, means, secrets }
    }

    async fn login(&self) -> Answer<Login> {
        let admin = self.spec.admin.as_ref().ok_or_else(|| {
            DatabaseCode::Admin.refuse(format!("database {} has no `admin` in the cluster file", self.name))
        })?;
        let password = self.means.secrets.resolve(&admin.password).await.map_err(|why| {
            DatabaseCode::Secret.refuse(format!("the password of {} cannot be had: {why}", admin.user))
        })?;
        Ok(Login { user: admin.user.clone(), password })
    }

    fn instances(&self) -> Answer<Vec<Instance>> {
        if self.spec.name == ledger::LEDGER {
            return Err(DatabaseCode::Unsupported
                .refuse(format!("a database called {} is the ledger's own", ledger::LEDGER)));
        }
        let tls = self.spec.tls.as_ref().map(|tls| PathBuf::from(&tls.ca));
        let instance = |text: &String| Ok(Instance { tls: tls.clone(), ..Instance::parse(text)? });
        self.spec.instances.iter().map(instance).collect()
    }

    /// Looks at every instance: all must answer, exactly one must take writes.
    async fn find(&self) -> Answer<Found> {
        let (found, silent) = self.find_answering().await?;
        match silent.into_iter().next() {
            None => Ok(found),
            Some(refusal) => Err(refusal),
        }
    }

    /// Looks at every instance that answers, exactly one of which must take writes; with those that do not answer.
    /// Enough to shut somebody out; what opens or proves needs them all.
    async fn find_answering(&self) -> Answer<(Found, Vec<Refusal>)> {
        let login = self.login().await?;
        let instances = self.instances()?;
        let (mut primaries, mut standbys, mut silent) = (Vec::new(), Vec::new(), Vec::new());
        for instance in &instances {
            match Server::open(instance, &login, Purpose::Ledger).await {
                Ok(server) if server.standby => standbys.push(server),
                Ok(server) => primaries.push(server),
                Err(refusal) if refusal.code == DatabaseCode::Unreachable => silent.push(refusal),
                Err(refusal) => return Err(refusal),
            }
        }
        let named: Vec<String> = primaries.iter().map(|server| server.instance.to_string()).collect();
        let primary = match (<[Server; 1]>::try_from(primaries), silent.first()) {
            (Ok([primary]), _) => primary,
            (Err(none), Some(refusal)) if none.is_empty() => return Err(refusal.clone()),
            (Err(_), _) => {
                return Err(DatabaseCode::Primary.refuse(format!(
                    "exactly one instance must take writes, found {} [{}] and {} that replay",
                    named.len(),
                    named.join(", "),
                    standbys.len()
                )));
            }
        };
        let place = primary.place(&self.spec.name, &instances).await?;
        Ok((Found { primary, standbys, place, login }, silent))
    }

    /// A session in the target.
    async fn target(&self, instance: &Instance, login: &Login, purpose: Purpose) -> Answer<Session> {
        Session::open(instance, &self.spec.name, login, purpose).await?.ok_or_else(|| {
            DatabaseCode::Statement.refuse(format!("{instance} has no database {}", self.spec.name))
        })
    }

    /// Roles that can write in the target.
    async fn writers(&self, found: &Found) -> Answer<BTreeSet<String>> {
        let target = self.target(&found.primary.instance, &found.login, Purpose::Inspect).await?;
        principals::writers(&target).await
    }

    fn judge<'a>(
        &'a self,
        found: &'a Found,
        writers: &'a BTreeSet<String>,
        holder: Option<&'a str>,
    ) -> Judge<'a> {
        Judge { admin: &found.login.user, holder, infrastructure: &self.spec.infrastructure, writers }
    }

    fn login_of(&self, token: Token) -> Answer<String> {
        login_name(&self.name, token)
    }

    async fn look(&self, work: &Work) -> Answer<Precheck> {
        match Step::of(&work.action)? {
            Step::ProveNoWriters => self.quiet_precheck(work).await,
            Step::Backup(action) => self.backup_precheck(work, action).await,
            Step::ProveBackup(action) => self.prove_precheck(work, action).await,
            Step::ShutDoor => self.shut_precheck(work).await,
            Step::MintCredential => self.mint_precheck(work),
            Step::AdmitHolder => self.admit_precheck(work).await,
            Step::CloseGrant => self.close_precheck(work).await,
            Step::OpenDoor => self.open_precheck(work).await,
            Step::RestoreDatabase(action) => self.swap_precheck(work, action).await,
        }
    }

    async fn act(&self, work: &Work) -> Answer<()> {
        match Step::of(&work.action)? {
            Step::ProveNoWriters => Ok(()),
            Step::Backup(action) => self.backup_perform(work, action).await,
            Step::ProveBackup(action) => self.prove_perform(work, action).await,
            Step::ShutDoor => self.shut_perform(work).await,
            Step::MintCredential => self.secrets.mint(&self.name, work.token).map(drop),
            Step::AdmitHolder => self.admit_perform(work).await,
            Step::CloseGrant => self.close_perform(work).await,
            Step::OpenDoor => self.open_perform(work).await,
            Step::RestoreDatabase(action) => self.swap_perform(work, action).await,
        }
    }

    async fn look_after(&self, work: &Work) -> Answer<Postcheck> {
        match Step::of(&work.action)? {
            Step::ProveNoWriters => self.quiet_postcheck(work).await,
            Step::Backup(action) => self.backup_postcheck(work, action).await,
            Step::ProveBackup(action) => self.prove_postcheck(work, action).await,
            Step::ShutDoor => self.shut_postcheck(work).await,
            Step::MintCredential => Ok(match self.minted(work.token)? {
                Some(done) => Postcheck::Proven(done),
                None => Postcheck::NotYet("no secret was made".to_owned()),
            }),
            Step::AdmitHolder => self.admit_postcheck(work).await,
            Step::CloseGrant => self.close_postcheck(work).await,
            Step::OpenDoor => self.open_postcheck(work).await,
            Step::RestoreDatabase(action) => self.swap_postcheck(work, action).await,
        }
    }

    fn mint_precheck(&self, work: &Work) -> Answer<Precheck> {
        self.login_of(work.token)?;
        Ok(match self.minted(work.token)? {
            Some(done) => Precheck::AlreadyDone(done),
            None => Precheck::Ready { captured: String::new() },
        })
    }

    fn minted(&self, token: Token) -> Answer<Option<Done>> {
        let Some(verifier) = self.secrets.verifier(&self.name, token)? else { return Ok(None) };
        let login = self.login_of(token)?;
        Ok(Some(evidence::done_with(
            format!("secret for login {login} made and kept on this host; its verifier is the output"),
            [
                (format!("grant.{}.verifier", self.name), verifier),
                (format!("grant.{}.login", self.name), login),
            ],
        )))
    }

    /// The database's own backup directory on this host.
    fn backups(&self) -> Answer<PathBuf> {
        if self.spec.backups.is_empty() {
            return Err(DatabaseCode::BackupPlace
                .refuse(format!("database {} names no directory for `backups`", self.name)));
        }
        Ok(PathBuf::from(&self.spec.backups))
    }

    fn set_directory(&self, action: &DatabaseAction) -> Answer<PathBuf> {
        Ok(self.backups()?.join(&action.set))
    }
}

#[async_trait]
impl DatabaseAdapter for Postgres {
    async fn precheck(&self, work: &Work) -> Precheck {
        self.look(work).await.unwrap_or_else(Refusal::into_precheck)
    }

    async fn perform(&self, work: &Work) -> Result<(), Failure> {
        Ok(self.act(work).await?)
    }

    async fn postcheck(&self, work: &Work) -> Postcheck {
        self.look_after(work).await.unwrap_or_else(Refusal::into_postcheck)
    }

    async fn capabilities(&self) -> Vec<(&'static str, Result<String, Failure>)> {
        self.try_out().await
    }

    async fn holder_values(&self, work: &Work) -> Result<BTreeMap<String, SecretString>, Failure> {
        let login = Login {
            user: self.login_of(work.token)?,
            password: self.secrets.secret(&self.name, work.token)?,
        };
        let instance = self.instance_for(&login).await?;
        let value = |text: String| SecretString::from(text);
        Ok(BTreeMap::from([
            ("credential.user".to_owned(), value(login.user)),
            ("credential.password".to_owned(), login.password),
            ("credential.host".to_owned(), value(instance.host)),
            ("credential.port".to_owned(), value(instance.port.to_string())),
            ("credential.database".to_owned(), value(self.spec.name.clone())),
        ]))
    }

    async fn query_value(&self, sql: &str) -> Result<String, Failure> {
        let found = self.find().await?;
        let target = self.target(&found.primary.instance, &found.login, Purpose::Value).await?;
        Ok(target.operators_value(sql).await?)
    }

    async fn facts(&self, schema: &str) -> Result<DatabaseFacts, Failure> {
        let found = self.find().await?;
        let target = self.target(&found.primary.instance, &found.login, Purpose::Value).await?;
        let schema = target.operators_value(schema).await?;
        Ok(DatabaseFacts { identity: identity(&found.place), schema })
    }

    async fn foreign_locks(&self) -> Result<ForeignLocks, Failure> {
        Ok(self.foreign().await?)
    }

    async fn look_group(&self, work: &Work) -> Answer<()> {
        let (found, _) = self.find_answering().await?;
        let rows = ledger::look(&found.primary, &found.place).await?;
        rows.may_act(&work.cluster, &self.name, &work.marks, work.token).map(drop)
    }

    async fn mark_group(&self, work: &Work) -> Answer<()> {
        if work.marks.newest(&self.name).is_none() {
            return self.look_group(work).await;
        }
        let (found, _) = self.find_answering().await?;
        let server = found.primary.into_ledger(&found.login).await?;
        let act = ledger::Act::begin(&server, &found.place, &self.spec.name).await?;
        match act.rows.may_act(&work.cluster, &self.name, &work.marks, work.token)? {
            Some(mark) => act.mark(&work.cluster, work.me.as_str(), mark).await,
            // Ending the session ends the act.
            None => Ok(()),
        }
    }

    async fn before_start(&self, schema: &str) -> Result<BeforeStart, Failure> {
        let (login, instances) = (self.login().await?, self.instances()?);
        let mut silent = None;
        for instance in &instances {
            let server = match Server::open(instance, &login, Purpose::Inspect).await {
                Ok(server) if server.standby => continue,
                Ok(server) => server,
                Err(refusal) if refusal.code == DatabaseCode::Unreachable => {
                    silent = Some(refusal);
                    continue;
                }
                Err(refusal) => return Err(refusal.into()),
            };
            let place = server.place(&self.spec.name, &instances).await?;
            let busy = ledger::look(&server, &place).await?.busy();
            let schema = if schema.is_empty() {
                None
            } else {
                Some(self.target(instance, &login, Purpose::Value).await?.operators_value(schema).await?)
            };
            return Ok(BeforeStart { busy, schema });
        }
        Err(silent.unwrap_or_else(|| DatabaseCode::Primary.refuse("no instance takes writes")).into())
    }
}

impl Postgres {
    /// The instance that takes writes, found by the holder with nothing but its own login.
    async fn instance_for(&self, login: &Login) -> Answer<Instance> {
        let instances = self.instances()?;
        if let [only] = instances.as_slice() {
            return Ok(only.clone());
        }
        for instance in instances {
            let session = self.target(&instance, login, Purpose::Inspect).await?;
            if session.value("select pg_is_in_recovery()::text", &[]).await? != "true" {
                return Ok(instance);
            }
        }
        Err(DatabaseCode::Primary.refuse("no instance takes writes"))
    }
}

/// How a database is told from every other: `system identifier/database oid`.
fn identity(place: &Place) -> String {
    format!("{}/{}", place.system, place.database)
}
