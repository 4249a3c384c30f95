//! Positive proofs: one look at one thing, with what was seen. Knows nothing about how long a proof must hold.

pub mod http;
pub mod log;
pub mod settle;
pub mod tcp;

use crate::{
    database::DatabaseAdapter,
    exec::{Job, direct},
    template::Values,
};
use lockkeeper_agent::host::Failure;
use lockkeeper_core::{ids::DatabaseName, plan::action::Probe};
use std::{collections::BTreeMap, sync::Arc};

/// What one look saw. Only `Passed` is a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// As it shall be.
    Passed(String),
    /// Something else, or nothing.
    Missed(String),
    /// It can never be tried: the probe itself is wrong.
    Invalid(Failure),
}

/// What probes need beside themselves.
pub struct Surroundings<'a> {
    /// Fills placeholders.
    pub values: &'a Values,
    /// Databases by name.
    pub databases: &'a BTreeMap<DatabaseName, Arc<dyn DatabaseAdapter>>,
    /// Where each log stood when the attempt (or its application) began.
    pub marks: &'a BTreeMap<String, log::Mark>,
}

/// Looks once.
pub async fn look(probe: &Probe, around: &Surroundings<'_>) -> Sight {
    match sight(probe, around).await {
        Ok(sight) => sight,
        Err(failure) => Sight::Invalid(failure),
    }
}

async fn sight(probe: &Probe, around: &Surroundings<'_>) -> Result<Sight, Failure> {
    let values = around.values;
    Ok(match probe {
        Probe::Http { url, status, contains, headers, json, timeout } => {
            let wanted = http::Wanted { status: *status, contains, headers, json, timeout: *timeout };
            http::look(&values.public(url)?, &wanted).await
        }
        Probe::Tcp { address, timeout } => tcp::look(&values.public(address)?, *timeout).await,
        Probe::Sql { database, query, equals } => match around.databases.get(database) {
            None => Sight::Invalid(
                crate::HostCode::TargetMissing
                    .failure(format!("the plan has no connection to database {database}")),
            ),
            Some(adapter) => match adapter.query_value(query).await {
                Err(failure) => Sight::Missed(format!("{database}: {failure}")),
                Ok(found) if found == *equals => Sight::Passed(format!("{database}: {query} = {found}")),
                Ok(found) => {
                    Sight::Missed(format!("{database}: {query}: expected {equals:?}, found {found:?}"))
                }
            },
        },
        Probe::Command { command, contains } => {
            let filled = values.command(command)?;
            let what = command.argv.first().cloned().unwrap_or_default();
            let result = direct::run(&Job::new(&filled, values.secrets())).await;
            match result.and_then(|result| result.judge(&what, &filled.success).map(|()| result)) {
                Err(failure) => Sight::Missed(failure.text),
                Ok(result) if result.stdout.contains(contains.as_str()) => {
                    Sight::Passed(format!("{what}: {:?}{}", result.end, found(contains)))
                }
                Ok(result) => {
                    let said: String = result.stdout.trim().chars().take(200).collect();
                    Sight::Missed(format!("{what}: expected {contains:?} in its output, found {said:?}"))
                }
            }
        }
        Probe::Log { file, must, must_not } => {
            let file = values.public(file)?;
            log::look(&file, around.marks.get(&file), must, must_not)
        }
    })
}

fn found(contains: &str) -> String {
    if contains.is_empty() { String::new() } else { format!(", says {contains:?}") }
}
