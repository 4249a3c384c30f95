//! Members that have applied the same entries hold the same state, also after a restart or a snapshot.
//!
//! Source: a digest of the whole state at every index a member showed, made here and not by the product. Not stronger:
//! a member that applies several entries at once shows the last only.

use super::{Case, Invariant, Name};
use crate::watch::Seen;
use lockkeeper_core::ids::{LogIndex, MemberName};
use std::collections::BTreeMap;

#[derive(Debug, thiserror::Error)]
#[error("at entry {index} {one} holds {a}, {other} holds {b}")]
struct Broken {
    index: LogIndex,
    one: MemberName,
    a: String,
    other: MemberName,
    b: String,
}

#[derive(Default)]
pub struct SameLogSameState {
    states: BTreeMap<LogIndex, (MemberName, String)>,
}

impl Invariant for SameLogSameState {
    fn name(&self) -> Name {
        Name::SameLogSameState
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        for observation in case.seen {
            let Seen::State { index, digest } = &observation.seen else { continue };
            let known =
                self.states.entry(*index).or_insert_with(|| (observation.who.clone(), digest.clone()));
            if known.1 != *digest {
                let ((one, a), other) = (known.clone(), observation.who.clone());
                return Err(Broken { index: *index, one, a, other, b: digest.clone() }.into());
            }
        }
        Ok(())
    }
}
