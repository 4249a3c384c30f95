//! StageRelease and SwitchRelease as steps.

use super::{SystemHost, blocking, reading_back};
use crate::{
    HostCode,
    files::{
        stage::{self, Staged},
        switch as link,
    },
};
use lockkeeper_agent::host::{Done, Failure, Postcheck, Precheck, Work};
use lockkeeper_core::plan::action::{StageRelease, SwitchRelease};
use std::path::Path;

async fn look(step: &StageRelease) -> Result<Staged, Failure> {
    let step = step.clone();
    blocking(move || stage::look(&step)).await
}

fn staged(step: &StageRelease, hash: &str) -> String {
    format!("{} holds release {} with tree hash {hash}", step.directory, step.version)
}

pub(super) async fn look_staged(step: &StageRelease) -> Result<Precheck, Failure> {
    Ok(match look(step).await? {
        Staged::Same(hash) => {
            Precheck::AlreadyDone(Done { evidence: staged(step, &hash), ..Done::default() })
        }
        Staged::Absent if step.source.is_empty() => Precheck::Mismatch {
            expected: format!("{} staged by the operator", step.directory),
            found: "nothing, or an empty directory".to_owned(),
        },
        Staged::Absent => Precheck::Ready { captured: String::new() },
        Staged::Different { expected, found } => Precheck::Mismatch {
            expected: format!("nothing in {}, or tree hash {expected}", step.directory),
            found: format!("tree hash {found}"),
        },
    })
}

pub(super) async fn stage(step: &StageRelease) -> Result<String, Failure> {
    let owned = step.clone();
    blocking(move || stage::stage(&owned)).await?;
    Ok(format!("copied from {}", step.source))
}

/// What the link shall say: the captured target when the step gives it back, else the plan's directory.
fn wanted<'a>(work: &'a Work, step: &'a SwitchRelease) -> &'a str {
    work.captured.as_deref().unwrap_or(&step.directory)
}

/// Whether the link says it. A captured target is compared word for word, a directory by where it leads.
fn is_switched(work: &Work, step: &SwitchRelease) -> Result<bool, Failure> {
    let path = Path::new(&step.link);
    match &work.captured {
        Some(captured) => Ok(link::target(path)?.unwrap_or_default() == *captured),
        None => link::names(path, Path::new(&step.directory)),
    }
}

fn done(work: &Work, step: &SwitchRelease, done: Done) -> Result<Done, Failure> {
    let target = link::target(Path::new(&step.link))?.unwrap_or_default();
    Ok(reading_back(work, done, &target))
}

fn evidence(step: &SwitchRelease) -> Result<String, Failure> {
    let target = link::target(Path::new(&step.link))?;
    Ok(format!("{} -> {}", step.link, target.as_deref().unwrap_or("nothing")))
}

pub(super) fn look_switched(work: &Work, step: &SwitchRelease) -> Result<Precheck, Failure> {
    let path = Path::new(&step.link);
    if is_switched(work, step)? {
        let found = Done { evidence: evidence(step)?, ..Done::default() };
        return Ok(Precheck::AlreadyDone(done(work, step, found)?));
    }
    let wanted = wanted(work, step);
    let directory = path.parent().unwrap_or(Path::new("/")).join(wanted);
    if !wanted.is_empty() && !directory.is_dir() {
        return Ok(Precheck::Mismatch {
            expected: format!("release directory {}", directory.display()),
            found: "nothing there".to_owned(),
        });
    }
    Ok(Precheck::Ready { captured: link::target(path)?.unwrap_or_default() })
}

pub(super) fn switch(work: &Work, step: &SwitchRelease) -> Result<String, Failure> {
    let before = evidence(step)?;
    match wanted(work, step) {
        "" => link::unlink(Path::new(&step.link))?,
        directory => link::switch(Path::new(&step.link), directory)?,
    }
    Ok(format!("before: {before}"))
}

impl SystemHost {
    pub(super) async fn prove_staged(&self, work: &Work, step: &StageRelease) -> Result<Postcheck, Failure> {
        Ok(match look(step).await? {
            Staged::Same(hash) => Postcheck::Proven(self.attempt(work).done(staged(step, &hash))?),
            Staged::Absent => Postcheck::Refuted(
                HostCode::ReleaseDiffers
                    .failure(format!("{} is not there after it was staged", step.directory)),
            ),
            Staged::Different { expected, found } => Postcheck::Refuted(HostCode::ReleaseDiffers.failure(
                format!("{} has tree hash {found} after it was staged, expected {expected}", step.directory),
            )),
        })
    }

    pub(super) fn prove_switched(&self, work: &Work, step: &SwitchRelease) -> Result<Postcheck, Failure> {
        let found = self.attempt(work).done(evidence(step)?)?;
        Ok(if is_switched(work, step)? {
            Postcheck::Proven(done(work, step, found)?)
        } else {
            Postcheck::Refuted(HostCode::ReleaseDiffers.failure(format!(
                "the link was switched, but reads {}; expected {}",
                evidence(step)?,
                wanted(work, step)
            )))
        })
    }
}
