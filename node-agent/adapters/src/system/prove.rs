//! Prove as a step: the effect only marks where logs stand, all the looking is the post-check.

use super::{SystemHost, attempt::logs};
use crate::{
    probe::{
        Surroundings,
        log::Mark,
        settle::{Finding, Pace, pursue},
    },
    service::process::ProcessService,
};
use lockkeeper_agent::host::{Failure, Postcheck, Work};
use lockkeeper_core::plan::action::{Probe, Prove};
use std::collections::BTreeMap;

impl SystemHost {
    pub(super) fn begin_proof(&self, work: &Work, probes: &[Probe]) -> Result<(), Failure> {
        let values = self.values(work);
        let logs: Vec<String> =
            logs(probes).into_iter().map(|l| values.public(l)).collect::<Result<_, _>>()?;
        self.attempt(work).mark_logs(&logs, &self.service_mark()?)?;
        Ok(())
    }

    /// Where the application's own log stood at its last start.
    fn service_mark(&self) -> Result<BTreeMap<String, Mark>, Failure> {
        let service =
            ProcessService::new(&self.settings.program, &self.settings.data_dir, &self.settings.member)
                .record()?;
        Ok(service.into_iter().filter_map(|r| r.about.log_mark.map(|mark| (r.log, mark))).collect())
    }

    pub(super) async fn prove(&self, work: &Work, step: &Prove) -> Postcheck {
        let attempt = self.attempt(work);
        let marks = match attempt.marks() {
            Ok(marks) => marks,
            Err(error) => return Postcheck::Refuted(error.into()),
        };
        let databases = match self.engines.all(&work.targets) {
            Ok(databases) => databases,
            Err(failure) => return Postcheck::Refuted(failure),
        };
        let values = self.values(work);
        let around = Surroundings { values: &values, databases: &databases, marks: &marks };
        let mut progress = self.take_progress(&attempt.name);
        let pace = Pace { settle: step.settle, interval: step.interval };
        let finding = pursue(&step.probes, pace, &around, &mut progress).await;
        match finding {
            Finding::Settled(evidence) => match attempt.done(evidence) {
                Ok(done) => Postcheck::Proven(done),
                Err(error) => Postcheck::Refuted(error.into()),
            },
            Finding::NotYet(why) => {
                self.put_progress(&attempt.name, progress);
                Postcheck::NotYet(why)
            }
            Finding::Invalid(failure) => Postcheck::Refuted(failure),
        }
    }
}
