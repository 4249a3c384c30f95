//! At most one member is between its start and its proof.
//!
//! Source: the processes' starts and ends, and the probes' record. A start that failed or was lost is over. Not
//! stronger: starts of a machine by itself (its power came back) are not Lockkeeper's.

use super::{Case, Invariant, Name};
use crate::world::Fact;
use lockkeeper_core::ids::MemberName;

#[derive(Debug, thiserror::Error)]
#[error("{member} is started while {other} is started and not proven")]
struct Broken {
    member: MemberName,
    other: MemberName,
}

#[derive(Default)]
pub struct SerialStart {
    inside: Option<MemberName>,
}

impl Invariant for SerialStart {
    fn name(&self) -> Name {
        Name::SerialStart
    }

    fn look(&mut self, case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
        for line in case.lines {
            let Some(member) = &line.site else { continue };
            match &line.fact {
                Fact::Starting { by_itself: false, .. } => match self.inside.replace(member.clone()) {
                    Some(other) if other != *member => {
                        return Err(Broken { member: member.clone(), other }.into());
                    }
                    Some(_) | None => {}
                },
                Fact::Proved { .. } | Fact::Refused { .. } | Fact::Ended | Fact::Power { .. }
                    if self.inside.as_ref() == Some(member) =>
                {
                    self.inside = None;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
