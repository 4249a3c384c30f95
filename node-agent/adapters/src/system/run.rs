//! Run as a step: a command of the profile in a unit of its own, with probes that say whether it was done.

use super::{SystemHost, attempt::logs};
use crate::{
    HostCode,
    exec::{Job, unit::Known},
    probe::{
        Surroundings,
        settle::{Finding, Pace, Progress, pursue},
    },
};
use lockkeeper_agent::host::{Done, Failure, Postcheck, Precheck, Unit, Work};
use lockkeeper_core::{
    plan::action::{CommandSpec, Probe, RunCommand},
    time::Millis,
};
use std::collections::BTreeMap;

/// How often a command's probes are tried after it.
const INTERVAL: Millis = Millis(200);

/// A command as failures and evidence name it: as the plan has it, no placeholder filled.
pub(super) fn what(command: &CommandSpec) -> String {
    command.argv.join(" ")
}

impl SystemHost {
    pub(super) async fn look_run(&self, work: &Work, step: &RunCommand) -> Result<Precheck, Failure> {
        if let Known::Begun(unit) = self.units.known(&self.attempt(work).name)? {
            return Ok(Precheck::Running(unit));
        }
        // One round: what is there already holds by itself. Logs have no mark yet and so prove nothing here.
        if let (false, Finding::Settled(evidence)) = (
            step.done.is_empty(),
            self.one_round(work, &step.done, &BTreeMap::new(), &mut Progress::default()).await,
        ) {
            return Ok(Precheck::AlreadyDone(Done { evidence, ..Done::default() }));
        }
        Ok(Precheck::Ready { captured: String::new() })
    }

    async fn one_round(
        &self,
        work: &Work,
        probes: &[Probe],
        marks: &BTreeMap<String, crate::probe::log::Mark>,
        progress: &mut Progress,
    ) -> Finding {
        let databases = match self.engines.all(&work.targets) {
            Ok(databases) => databases,
            Err(failure) => return Finding::Invalid(failure),
        };
        let values = self.values(work);
        let around = Surroundings { values: &values, databases: &databases, marks };
        pursue(probes, Pace { settle: Millis(0), interval: INTERVAL }, &around, progress).await
    }

    pub(super) async fn run_command(
        &self,
        work: &Work,
        step: &RunCommand,
        started: &(dyn Fn(Unit) + Send + Sync),
    ) -> Result<(), Failure> {
        let (attempt, values) = (self.attempt(work), self.values(work));
        let logs: Vec<String> =
            logs(&step.done).into_iter().map(|l| values.public(l)).collect::<Result<_, _>>()?;
        attempt.mark_logs(&logs, &BTreeMap::new())?;
        let job = Job::new(&values.command(&step.command)?, values.secrets());
        attempt
            .noting(async {
                let result = self.units.run(&attempt.name, job, started).await?;
                result.judge(&what(&step.command), &step.command.success).map(|()| String::new())
            })
            .await
    }

    pub(super) async fn prove_run(&self, work: &Work, step: &RunCommand) -> Result<Postcheck, Failure> {
        let attempt = self.attempt(work);
        if step.done.is_empty() {
            // The note is written only after the command ended well.
            return Ok(match attempt.note()? {
                Some(_) => Postcheck::Proven(attempt.done(format!("{} ended well", what(&step.command)))?),
                None => Postcheck::Refuted(
                    HostCode::CommandFailed.failure(format!("{} has not ended well", what(&step.command))),
                ),
            });
        }
        let marks = attempt.marks()?;
        Ok(match self.one_round(work, &step.done, &marks, &mut Progress::default()).await {
            Finding::Settled(evidence) => Postcheck::Proven(attempt.done(evidence)?),
            Finding::NotYet(why) => Postcheck::NotYet(why),
            Finding::Invalid(failure) => Postcheck::Refuted(failure),
        })
    }
}
