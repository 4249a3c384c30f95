//! A member is stopped only when the balancer has it out and counts no session on it, or ended them at the deadline.
//!
//! Source: the balancer's own setting and counter at the moment the stop lands. Not stronger: a user who connects past
//! the balancer is nobody's to count.

use super::{Case, Invariant, Name};
use crate::world::{Admin, Fact};
use lockkeeper_core::ids::MemberName;
use std::collections::BTreeMap;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{member} is stopped while the balancer sends it requests")]
    In { member: MemberName },
    #[error("{member} is stopped with {sessions} sessions")]
    Sessions { member: MemberName, sessions: u32 },
}

#[derive(Default)]
pub struct DrainedBeforeStop {
    /// What the balancer was told last; ready before the first word.
    admin: BTreeMap<MemberName, Admin>,
}

impl Invariant for DrainedBeforeStop {
    fn name(&self) -> Name {
        Name::DrainedBeforeStop
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        if self.admin.is_empty() {
            let before = |line: &crate::world::Line| match &line.fact {
                Fact::Admin { from, .. } => line.site.clone().map(|site| (site, *from)),
                _ => None,
            };
            let now =
                case.world.balancer.servers.iter().map(|(member, server)| (member.clone(), server.admin));
            self.admin = now.collect();
            self.admin.extend(case.lines.iter().rev().filter_map(before));
        }
        for line in case.lines {
            let Some(member) = &line.site else { continue };
            match &line.fact {
                Fact::Admin { to, .. } => drop(self.admin.insert(member.clone(), *to)),
                Fact::Stopping { sessions } => {
                    if self.admin.get(member) == Some(&Admin::Ready) {
                        return Err(Broken::In { member: member.clone() }.into());
                    }
                    if *sessions > 0 {
                        return Err(Broken::Sessions { member: member.clone(), sessions: *sessions }.into());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
