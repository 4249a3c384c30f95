//! The remembered tokens: what was once done for a target under one token is never done under a lower one.
//!
//! Knows targets and tokens. Lives inside the journal's ledger, so it outlives restarts. Does not know what an effect
//! is, and guards this host only: shared targets have a fence of their own, or one executor.

use crate::journal::record::Key;
use lockkeeper_core::{
    ids::{Attempt, StepId, Token},
    plan::Target,
};
use std::collections::BTreeMap;

/// The highest token seen for every target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fence {
    highest: BTreeMap<Target, Token>,
}

/// An attempt whose right has passed to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// The target has seen a higher token.
    #[error("token {found} for {target} is below {highest}, which was seen before")]
    Lower {
        /// On what.
        target: Target,
        /// The token that came.
        found: Token,
        /// The highest seen.
        highest: Token,
    },
    /// The step was started under this token before; trying it again needs a new one.
    #[error("token {token} for {target} was used for attempt {used} at step {step}, not for attempt {found}")]
    Reused {
        /// On what.
        target: Target,
        /// The token.
        token: Token,
        /// The step.
        step: StepId,
        /// The attempt that used it.
        used: Attempt,
        /// The attempt that came.
        found: Attempt,
    },
}

impl Fence {
    /// The highest token seen for `target`.
    pub fn highest(&self, target: &Target) -> Option<Token> {
        self.highest.get(target).copied()
    }

    /// All targets with their highest tokens.
    pub fn tokens(&self) -> impl Iterator<Item = (&Target, Token)> {
        self.highest.iter().map(|(target, token)| (target, *token))
    }

    /// Remembers a token; a lower one than before changes nothing.
    pub fn remember(&mut self, target: &Target, token: Token) {
        let highest = self.highest.entry(target.clone()).or_insert(token);
        *highest = (*highest).max(token);
    }

    /// Whether `key` may act on `target`. `started` are the attempts on it whose effect may have begun.
    ///
    /// All steps of a grant carry the grant's token, so an equal token passes for another step; for the same attempt
    /// at the same step, after a crash; and for the next attempt at a step whose earlier one never started. A step
    /// that was started once under a token needs a new right to be tried again.
    pub fn admits<'a>(
        &self,
        target: &Target,
        key: &Key,
        mut started: impl Iterator<Item = &'a Key>,
    ) -> Result<(), Stale> {
        let Some(highest) = self.highest(target) else { return Ok(()) };
        if key.token < highest {
            return Err(Stale::Lower { target: target.clone(), found: key.token, highest });
        }
        let same =
            |other: &Key| other.token == key.token && other.rollout == key.rollout && other.step == key.step;
        match started.find(|other| same(other) && other.attempt != key.attempt) {
            None => Ok(()),
            Some(used) => Err(Stale::Reused {
                target: target.clone(),
                token: key.token,
                step: key.step,
                used: used.attempt,
                found: key.attempt,
            }),
        }
    }
}
