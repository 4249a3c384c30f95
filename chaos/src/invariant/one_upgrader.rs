//! At most one upgrade runs on a database at a time, each token begins at most one, and at most one succeeds.
//!
//! Source: the database's audit rows of begin and end, and the ends of its sessions. A run whose session was ended
//! counts as out even if its process lives: it can write nothing any more, and `token_monotone` watches that.
//! Not stronger, because a process without a login is the holder's own affair.

use super::{Case, Invariant, Name};
use crate::world::{Fact, Principal};
use lockkeeper_core::ids::{MemberName, Token};
use std::collections::BTreeSet;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{holder} begins under {token} while {other} is upgrading")]
    Beside { holder: MemberName, token: Token, other: Token },
    #[error("{holder} begins a second time under {token}")]
    Again { holder: MemberName, token: Token },
    #[error("{holder} begins under {token} although the database is upgraded")]
    AfterSuccess { holder: MemberName, token: Token },
}

#[derive(Default)]
pub struct OneUpgrader {
    running: Option<Token>,
    begun: BTreeSet<Token>,
    succeeded: bool,
}

impl Invariant for OneUpgrader {
    fn name(&self) -> Name {
        Name::OneUpgrader
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        for line in case.lines {
            match &line.fact {
                Fact::UpgradeBegan { token, holder } => {
                    let (holder, token) = (holder.clone(), *token);
                    if let Some(other) = self.running.replace(token) {
                        return Err(Broken::Beside { holder, token, other }.into());
                    }
                    if !self.begun.insert(token) {
                        return Err(Broken::Again { holder, token }.into());
                    }
                    if self.succeeded {
                        return Err(Broken::AfterSuccess { holder, token }.into());
                    }
                }
                Fact::UpgradeEnded { token, well, .. } if self.running == Some(*token) => {
                    self.running = None;
                    self.succeeded |= well;
                }
                Fact::Disconnected { who: Principal::Holder(_, token) } if self.running == Some(*token) => {
                    self.running = None;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
