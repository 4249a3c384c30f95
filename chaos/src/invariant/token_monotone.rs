//! Tokens the database's ledger took never fall, and whoever holds an older one writes nothing after a newer one was
//! taken: a paused holder that wakes up after a takeover finds its login void.
//!
//! Source: the ledger's row over time and the audit rows of begin and write. Not stronger: an act that only shuts
//! further may come under an old token and changes no row of the ledger.

use super::{Case, Invariant, Name};
use crate::world::Fact;
use lockkeeper_core::ids::Token;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the ledger took {token} after {highest}")]
    Fell { token: Token, highest: Token },
    #[error("a login was made under {token} after the ledger had taken {highest}")]
    AdmittedLate { token: Token, highest: Token },
    #[error("a row was written under {token} after the ledger had taken {highest}")]
    WroteLate { token: Token, highest: Token },
}

#[derive(Default)]
pub struct TokenMonotone {
    highest: Option<Token>,
}

impl Invariant for TokenMonotone {
    fn name(&self) -> Name {
        Name::TokenMonotone
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        for line in case.lines {
            let above = |token: &Token| self.highest.filter(|highest| highest > token);
            match &line.fact {
                Fact::Ledger { token, .. } => {
                    if let Some(highest) = above(token) {
                        return Err(Broken::Fell { token: *token, highest }.into());
                    }
                    self.highest = Some(*token);
                }
                Fact::HolderAdmitted { token, .. } => {
                    if let Some(highest) = above(token) {
                        return Err(Broken::AdmittedLate { token: *token, highest }.into());
                    }
                }
                Fact::UpgradeBegan { token, .. } | Fact::UpgradeWrote { token } => {
                    if let Some(highest) = above(token) {
                        return Err(Broken::WroteLate { token: *token, highest }.into());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
