//! Whether another group under the same name acts here: asked of the databases' ledgers before every effect that others
//! could see, because a copy of all members finds nothing wrong in itself.
//!
//! An effect on a shared target is marked in the ledger first, and is not begun without. What this host does to itself is
//! only looked at: a start of the application must not wait for a ledger that this host has no login for.

use super::{SystemHost, engines::Engines};
use crate::database::{Answer, DatabaseAdapter, DatabaseCode, Refusal};
use futures::future::join_all;
use lockkeeper_agent::host::{Failure, Precheck, Work};
use lockkeeper_core::{
    cluster::{DatabaseSpec, Engine},
    ids::DatabaseName,
    plan::Action,
};
use std::{pin::Pin, sync::Arc, time::Duration};

/// How long a look that need not succeed may keep an action waiting.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// What an action owes the ledgers.
enum Duty {
    /// Nothing: nobody outside this host sees it.
    Nothing,
    /// No twin may be seen; what cannot be read does not count.
    Look(Vec<Arc<dyn DatabaseAdapter>>),
    /// As above, and it is marked where that can be done.
    Mark(Vec<Arc<dyn DatabaseAdapter>>),
    /// It is marked first, or it does not begin.
    Must(Vec<Arc<dyn DatabaseAdapter>>),
}

fn duty(engines: &Engines, work: &Work) -> Result<Duty, Failure> {
    let every = || engines.all(&work.targets).map(|all| all.into_values().collect());
    let of = |name: &DatabaseName| engines.of(&work.targets, name).map(|adapter| vec![adapter]);
    Ok(match &work.action {
        Action::StageRelease(_)
        | Action::SwitchRelease(_)
        | Action::StopService(_)
        | Action::Prove(_)
        | Action::JudgeSchema(_)
        | Action::MintCredential(_) => Duty::Nothing,
        Action::StartService(_) | Action::Run(_) => Duty::Look(every()?),
        // The holder may have no login but its own; its executor marked the admission.
        Action::UpgradeDatabase(step) => Duty::Mark(of(&step.database)?),
        Action::Drain(_) | Action::Admit(_) => {
            let worked = work.targets.databases.iter().filter(|(_, spec)| works_ledger(work, spec));
            Duty::Must(worked.map(|(name, spec)| engines.open(name, spec)).collect::<Result<_, _>>()?)
        }
        Action::ProveNoWriters(step)
        | Action::Backup(step)
        | Action::ProveBackup(step)
        | Action::ShutDoor(step)
        | Action::AdmitHolder(step)
        | Action::CloseGrant(step)
        | Action::OpenDoor(step)
        | Action::RestoreDatabase(step) => Duty::Must(of(&step.database)?),
    })
}

/// Whether this host may work the ledger beside a database: it may be its executor, and there is a login for it.
fn works_ledger(work: &Work, spec: &DatabaseSpec) -> bool {
    let login = match spec.engine {
        Engine::Postgres => spec.admin.is_some(),
        Engine::Sqlite => true,
    };
    login && (spec.executors.is_empty() || spec.executors.contains(&work.me))
}

impl SystemHost {
    /// What the look before an effect says, if the effect may not be done for the ledgers' sake.
    pub(super) async fn look_for_twin(&self, work: &Work) -> Option<Precheck> {
        let answer = match duty(&self.engines, work) {
            Ok(Duty::Nothing) => Ok(()),
            Ok(Duty::Look(adapters) | Duty::Mark(adapters)) => {
                lenient(adapters.iter().map(|a| a.look_group(work)).collect()).await
            }
            Ok(Duty::Must(adapters)) => all(adapters.iter().map(|a| a.look_group(work)).collect()).await,
            Err(failure) => return Some(Precheck::Unknown(failure.to_string())),
        };
        answer.err().map(Refusal::into_precheck)
    }

    /// Marks an effect in the ledgers before it is begun.
    pub(super) async fn mark_effect(&self, work: &Work) -> Result<(), Failure> {
        let answer = match duty(&self.engines, work)? {
            Duty::Nothing => Ok(()),
            Duty::Look(adapters) => lenient(adapters.iter().map(|a| a.look_group(work)).collect()).await,
            Duty::Mark(adapters) => lenient(adapters.iter().map(|a| a.mark_group(work)).collect()).await,
            Duty::Must(adapters) => all(adapters.iter().map(|a| a.mark_group(work)).collect()).await,
        };
        Ok(answer?)
    }
}

type Asked<'a> = Pin<Box<dyn Future<Output = Answer<()>> + Send + 'a>>;

async fn all(asked: Vec<Asked<'_>>) -> Answer<()> {
    join_all(asked).await.into_iter().collect()
}

/// Only a twin that was seen counts.
async fn lenient(asked: Vec<Asked<'_>>) -> Answer<()> {
    for answer in join_all(asked.into_iter().map(|ask| tokio::time::timeout(LOOK_WITHIN, ask))).await {
        match answer {
            Ok(Err(refusal)) if refusal.code == DatabaseCode::TwinGroup => return Err(refusal),
            Ok(Err(refusal)) => tracing::debug!(%refusal, "a ledger could not be looked at"),
            Ok(Ok(())) => {}
            Err(_) => tracing::debug!(within = ?LOOK_WITHIN, "a ledger did not answer"),
        }
    }
    Ok(())
}
