//! What was done to a target under one token is never followed by an effect under a lower one: a stale executor, plan,
//! duplicate or reordered message moves nothing.
//!
//! Source: the log of effects where they land, over all hosts. Each agent has such a fence of its own; this one is over
//! all of them. Not stronger: an act that only shuts a door further is allowed under its grant's token by design, and
//! that is the newest token of the database then.

use super::{Case, Invariant, Name};
use crate::world::{EffectId, Fact};
use lockkeeper_core::{ids::Token, plan::Target};
use std::collections::BTreeMap;

#[derive(Debug, thiserror::Error)]
#[error("{by} lands after an effect under {highest}")]
struct Broken {
    by: EffectId,
    highest: Token,
}

#[derive(Default)]
pub struct StaleRefused {
    highest: BTreeMap<Target, Token>,
}

impl Invariant for StaleRefused {
    fn name(&self) -> Name {
        Name::StaleRefused
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        for line in case.lines {
            let (Some(by), Fact::Effect { changed: true }) = (&line.by, &line.fact) else { continue };
            let highest = self.highest.entry(by.target.clone()).or_insert(by.token);
            if by.token < *highest {
                return Err(Broken { by: by.clone(), highest: *highest }.into());
            }
            *highest = by.token;
        }
        Ok(())
    }
}
