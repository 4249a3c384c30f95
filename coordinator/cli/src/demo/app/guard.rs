//! The schema guard: which version may work on which schema. It looks at every start and again at every request.

use super::journal::Who;
use super::release::AppVersion;
use super::store;
use rusqlite::{Connection, OptionalExtension as _};

/// What the database looks like to a version of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// This version may work here.
    Fits,
    /// The schema is another version's.
    Schema {
        /// What was found; none if the version row is missing.
        found: Option<i64>,
    },
    /// A migration is open: nobody may serve.
    UpgradeOpen {
        /// Who has it open.
        by: String,
    },
}

/// The application refuses to run.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Compares the database with `version`.
pub fn look(connection: &Connection, version: AppVersion) -> rusqlite::Result<Fit> {
    let open = connection
        .query_row("select member || ' (pid ' || pid || ')' from upgrade", [], |row| row.get(0))
        .optional()?;
    if let Some(by) = open {
        return Ok(Fit::UpgradeOpen { by });
    }
    let found = store::schema_version(connection)?;
    Ok(if found == Some(version.schema()) { Fit::Fits } else { Fit::Schema { found } })
}

impl Fit {
    /// A sentence for people; none if all is well.
    pub fn complaint(&self, who: &Who) -> Option<String> {
        let (version, wanted) = (who.version, who.version.schema());
        match self {
            Fit::Fits => None,
            Fit::Schema { found: Some(found) } => Some(format!(
                "schema mismatch: version {version} needs schema {wanted}, found schema {found}"
            )),
            Fit::Schema { found: None } => Some(format!(
                "schema mismatch: version {version} needs schema {wanted}, found no version row"
            )),
            Fit::UpgradeOpen { by } => Some(format!("upgrade open: the schema is being changed by {by}")),
        }
    }
}
