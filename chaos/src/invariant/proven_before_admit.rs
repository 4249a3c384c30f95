//! A member gets requests again only after it was proven since Lockkeeper last started it, and no user is answered by a
//! release that does not fit the schema.
//!
//! Source: the probes' record, the balancer's settings and the users' answers. Not stronger: an application that its
//! machine restarted by itself after the proof is left to the balancer's own checks.

use super::{Case, Invariant, Name};
use crate::world::{Admin, Fact};
use lockkeeper_core::ids::MemberName;
use std::collections::BTreeSet;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0} is admitted and was not proven since it was started")]
    Unproven(MemberName),
    #[error("{member} answered with {version}, schema {schema}")]
    Answer { member: MemberName, version: String, schema: u32 },
}

#[derive(Default)]
pub struct ProvenBeforeAdmit {
    /// Started by an effect and not proven since.
    open: BTreeSet<MemberName>,
}

impl Invariant for ProvenBeforeAdmit {
    fn name(&self) -> Name {
        Name::ProvenBeforeAdmit
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        for line in case.lines {
            let Some(member) = &line.site else { continue };
            match &line.fact {
                Fact::Starting { by_itself: false, .. } => drop(self.open.insert(member.clone())),
                Fact::Proved { .. } => drop(self.open.remove(member)),
                Fact::Admin { to: Admin::Ready, .. } if self.open.contains(member) => {
                    return Err(Broken::Unproven(member.clone()).into());
                }
                Fact::Answer { version, well: false } if !version.is_empty() => {
                    let (version, schema) = (version.clone(), case.world.database.schema);
                    return Err(Broken::Answer { member: member.clone(), version, schema }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}
