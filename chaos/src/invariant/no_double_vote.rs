//! A node never goes back on a vote: what it has shown is never followed by a lower one, also after its power was lost.
//! So no two candidates ever count the same node's vote for one claim to lead.
//!
//! Source: the votes each node showed while it had power, in order, over all its lives. Votes are ordered by term and
//! then by candidate (the library lets a higher candidate follow a lower one within a term), and a granted claim is
//! above the same one asked for. Not stronger: a vote whose sync failed was never given, so it is not counted.

use super::{Case, Invariant, Name};
use crate::watch::Seen;
use lockkeeper_core::ids::MemberName;
use std::collections::BTreeMap;

/// Term, candidate, whether a majority granted it.
type Vote = (u64, u64, bool);

#[derive(Debug, thiserror::Error)]
#[error("{who} showed vote {before:?} (term, candidate, granted) and then {after:?}")]
struct Broken {
    who: MemberName,
    before: Vote,
    after: Vote,
}

#[derive(Default)]
pub struct NoDoubleVote {
    votes: BTreeMap<MemberName, Vote>,
}

impl Invariant for NoDoubleVote {
    fn name(&self) -> Name {
        Name::NoDoubleVote
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        for observation in case.seen {
            let Seen::Vote { term, node, committed } = &observation.seen else { continue };
            let after = (*term, *node, *committed);
            if let Some(before) = self.votes.insert(observation.who.clone(), after)
                && (before.0, before.1) > (after.0, after.1)
            {
                return Err(Broken { who: observation.who.clone(), before, after }.into());
            }
        }
        Ok(())
    }
}
