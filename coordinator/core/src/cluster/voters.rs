//! Which agents vote.

use super::spec::{ClusterSpec, MemberSpec, Voters};
use crate::ids::MemberName;

/// More voters make every commit slower and survive no fault that people plan for (two of five may be lost).
pub const VOTERS_MAX: usize = 5;

impl ClusterSpec {
    /// Members and witnesses: everything that runs an agent.
    pub fn agents(&self) -> impl Iterator<Item = (&MemberName, &MemberSpec)> {
        self.members.iter().chain(&self.witnesses)
    }

    /// The agents that vote. `auto` takes the largest odd number up to five; witnesses first, because voting is
    /// what they are there for, then members by name.
    pub fn voter_names(&self) -> Vec<MemberName> {
        match &self.voters {
            Voters::List(names) => names.clone(),
            Voters::Auto => {
                let all = self.members.len() + self.witnesses.len();
                let odd = all.min(VOTERS_MAX);
                let count = if odd.is_multiple_of(2) { odd.saturating_sub(1) } else { odd };
                self.witnesses.keys().chain(self.members.keys()).take(count).cloned().collect()
            }
        }
    }
}
