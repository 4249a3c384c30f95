//! No upgrade begins without a backup that was proven by restoring it and holds everything the application wrote.
//!
//! Source: the set's rows against the rows in the database when the upgrade begins. Not stronger: what a set holds is a
//! count here; that a restore gives the same data is shown with real databases.

use super::{Case, Invariant, Name};
use crate::world::Fact;

#[derive(Debug, thiserror::Error)]
#[error("an upgrade begins with {rows} rows in the database and {backed_up} in the newest proven set")]
struct Broken {
    rows: u64,
    backed_up: u64,
}

#[derive(Default)]
pub struct BackupBefore;

impl Invariant for BackupBefore {
    fn name(&self) -> Name {
        Name::BackupBefore
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let database = &case.world.database;
        let begins = case.lines.iter().any(|line| matches!(line.fact, Fact::UpgradeBegan { .. }));
        let proven = database.proven.iter().filter_map(|set| database.sets.get(set)).max();
        let backed_up = proven.copied().unwrap_or(0);
        if begins && backed_up != database.rows {
            return Err(Broken { rows: database.rows, backed_up }.into());
        }
        Ok(())
    }
}
