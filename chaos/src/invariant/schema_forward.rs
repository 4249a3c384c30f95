//! The schema's version never falls, except by a recorded restore: of a proven set, behind a shut door, with nobody in
//! the database.
//!
//! Source: the database's version row, sampled after every tick. Not stronger: a transaction that was rolled back
//! never showed its version.

use super::{Case, Invariant, Name};
use crate::world::Fact;

#[derive(Debug, thiserror::Error)]
#[error("the schema went from {from} to {to}")]
struct Fell {
    from: u32,
    to: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("a set is restored while {0}")]
struct NotAlone(String);

/// At the moment of a restore nothing can reach the database but the restore.
fn alone(case: &Case<'_>) -> Result<(), NotAlone> {
    let database = &case.world.database;
    if database.open {
        return Err(NotAlone("the door is open".into()));
    }
    if let Some(login) = database.writers().next() {
        return Err(NotAlone(format!("{:?} has a session", login.principal())));
    }
    Ok(())
}

#[derive(Default)]
pub struct SchemaForward {
    last: u32,
}

impl Invariant for SchemaForward {
    fn name(&self) -> Name {
        Name::SchemaForward
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let (from, to) = (self.last, case.world.database.schema);
        self.last = to;
        let restored = case.lines.iter().any(|line| matches!(line.fact, Fact::Restored { .. }));
        if restored {
            alone(case)?;
        }
        if to < from && !restored { Err(Fell { from, to }.into()) } else { Ok(()) }
    }
}
