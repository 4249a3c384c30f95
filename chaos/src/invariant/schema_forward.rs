//! The schema's version never falls. There is no restore in the simulated plans, so there is no exception.
//!
//! Source: the database's version row, sampled after every tick. Not stronger: a transaction that was rolled back
//! never showed its version.

use super::{Case, Invariant, Name};

#[derive(Debug, thiserror::Error)]
#[error("the schema went from {from} to {to}")]
struct Fell {
    from: u32,
    to: u32,
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
        if to < from { Err(Fell { from, to }.into()) } else { Ok(()) }
    }
}
