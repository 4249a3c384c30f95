//! The stages of the restore: the way back after the point of no return.
//!
//! Its order is fixed and no profile can change it: everybody is taken out and stopped, nobody is proven to write, the
//! door is shut, and only then the restored database takes the place of the failed one. What follows is the profile's
//! own `[[undo]]`: the door opens, the old release is started, proven and admitted.

use super::action::ActionKind;
use crate::profile::{
    Profile,
    model::{On, Stage, StepTemplate, Wait},
};

/// The stages; none when the profile upgrades no database, because then nothing is irreversible.
pub(super) fn stages(profile: &Profile) -> Vec<Stage> {
    let upgrades = profile.steps_of(ActionKind::UpgradeDatabase).next().is_some();
    if !upgrades {
        return Vec::new();
    }
    let of = |kind: ActionKind| profile.steps_of(kind).map(plain).collect::<Vec<_>>();
    let mut database = of(ActionKind::ProveNoWriters);
    database.extend(of(ActionKind::ShutDoor));
    database.push(StepTemplate::new(ActionKind::RestoreDatabase, On::Database));
    let made = [
        Stage::new("take everybody out", Wait::All, of(ActionKind::Drain)),
        Stage::new("stop everybody", Wait::Own, of(ActionKind::StopService)),
        Stage::new("restore the set", Wait::All, database),
        Stage::new("switch back", Wait::All, of(ActionKind::SwitchRelease)),
    ];
    made.into_iter().filter(|stage| !stage.steps.is_empty()).chain(profile.undo.iter().cloned()).collect()
}

/// A step of the way forward, done once more: with its limits, without what is said about undoing it.
fn plain(step: &StepTemplate) -> StepTemplate {
    StepTemplate { undo: String::new(), ..step.clone() }
}
