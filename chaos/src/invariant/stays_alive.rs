//! A process never ends by itself: whatever its peers, its clock and the outside do, and however its power was lost, it
//! opens its store and its journal again and goes on.
//!
//! Source: processes that ended without being killed. Not stronger: disks here lose and tear what was not synced; they
//! do not flip bits.

use super::{Case, Invariant, Name};
use crate::watch::Seen;
use lockkeeper_core::ids::MemberName;

#[derive(Debug, thiserror::Error)]
#[error("{who} ended: {why}")]
struct Broken {
    who: MemberName,
    why: String,
}

#[derive(Default)]
pub struct StaysAlive;

impl Invariant for StaysAlive {
    fn name(&self) -> Name {
        Name::StaysAlive
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        match case.seen.iter().find_map(|o| match &o.seen {
            Seen::Ended { why } => Some((o.who.clone(), why.clone())),
            _ => None,
        }) {
            Some((who, why)) => Err(Broken { who, why }.into()),
            None => Ok(()),
        }
    }
}
