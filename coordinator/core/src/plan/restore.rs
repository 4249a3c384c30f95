//! The stages of the restore: the way back after the point of no return.
//!
//! Its order is fixed and no profile can change it: everybody is taken out and stopped, nobody is proven to write, the
//! door is shut, and only then the restored database takes the place of the failed one. What follows is the profile's
//! own `[[undo]]`: the door opens, the old release is started, proven and admitted.

use super::action::ActionKind;
use crate::profile::{
    Profile,
    model::{Condition, On, Stage, StepTemplate, Wait, With},
};

/// The stages; none when the profile upgrades no database, because then nothing is irreversible.
pub(super) fn stages(profile: &Profile) -> Vec<Stage> {
    let upgrades = templates(profile, ActionKind::UpgradeDatabase).next().is_some();
    if !upgrades {
        return Vec::new();
    }
    let of = |kind: ActionKind| templates(profile, kind).map(plain).collect::<Vec<_>>();
    let mut database = of(ActionKind::ProveNoWriters);
    database.extend(of(ActionKind::ShutDoor));
    database.push(restore());
    let made = [
        stage("take everybody out", Wait::All, of(ActionKind::Drain)),
        stage("stop everybody", Wait::Own, of(ActionKind::StopService)),
        stage("restore the set", Wait::All, database),
        stage("switch back", Wait::All, of(ActionKind::SwitchRelease)),
    ];
    made.into_iter().filter(|stage| !stage.steps.is_empty()).chain(profile.undo.iter().cloned()).collect()
}

fn templates(profile: &Profile, kind: ActionKind) -> impl Iterator<Item = &StepTemplate> {
    profile.stages.iter().flat_map(|stage| &stage.steps).filter(move |step| step.kind == kind)
}

/// A step of the way forward, done once more: with its limits, without what is said about undoing it.
fn plain(step: &StepTemplate) -> StepTemplate {
    StepTemplate { undo: String::new(), ..step.clone() }
}

fn restore() -> StepTemplate {
    StepTemplate {
        kind: ActionKind::RestoreDatabase,
        on: On::Database,
        when: Condition::Always,
        with: With::Nothing,
        prove: None,
        undo: String::new(),
        facts: Vec::new(),
        soft: None,
        hard: None,
        estimate: None,
    }
}

fn stage(name: &str, wait: Wait, steps: Vec<StepTemplate>) -> Stage {
    Stage {
        name: name.to_owned(),
        about: String::new(),
        wait,
        serial: false,
        first_upgrader: false,
        phase: None,
        steps,
    }
}
