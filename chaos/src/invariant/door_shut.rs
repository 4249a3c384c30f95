//! While a holder may come in, the door is shut on everybody else and nobody else has a session.
//!
//! Source: the database's settings and its session list, sampled after every tick. "May come in" is the minted login's
//! being there, not the group's opinion of the grant. Not stronger: between two ticks (a millisecond) nothing is seen.

use super::{Case, Invariant, Name};
use crate::world::{Login, Principal};

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the door stands open while {0} may come in")]
    Open(lockkeeper_core::ids::MemberName),
    #[error("{0:?} has a session while {1} may come in")]
    Inside(Principal, lockkeeper_core::ids::MemberName),
}

#[derive(Default)]
pub struct DoorShut;

impl Invariant for DoorShut {
    fn name(&self) -> Name {
        Name::DoorShut
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let database = &case.world.database;
        let Some((holder, token, _)) = &database.admitted else { return Ok(()) };
        if database.open {
            return Err(Broken::Open(holder.clone()).into());
        }
        let other = |login: &&Login| !matches!(login, Login::Grant { token: t, .. } if t == token);
        match database.writers().find(other) {
            Some(login) => Err(Broken::Inside(login.principal(), holder.clone()).into()),
            None => Ok(()),
        }
    }
}
