//! StopService and StartService as steps, for both kinds of service.

use super::{SystemHost, reading_back};
use crate::{
    HostCode,
    exec::{Job, RunResult, end::Ended, unit::Known},
    service::{
        ServiceState, command,
        process::{ProcessService, Start, digest},
    },
};
use lockkeeper_agent::host::{Done, Failure, Postcheck, Precheck, Unit, Work};
use lockkeeper_core::{
    ids::Digest,
    plan::{
        Action,
        action::{CommandSpec, ServiceAction, ServiceSpec},
    },
};

/// The captured words.
const RUNNING: &str = "running";
const STOPPED: &str = "stopped";

/// The verdict on a start or stop command's end.
pub(super) fn judge(action: &Action, service: &ServiceSpec, result: &RunResult) -> Result<String, Failure> {
    let ServiceSpec::Command { start, stop, .. } = service else {
        return Err(HostCode::SpoolDamaged.failure("a service of kind process never runs in a unit"));
    };
    let command = if matches!(action, Action::StopService(_)) { stop } else { start };
    result.judge(&super::run::what(command), &command.success).map(|()| String::new())
}

impl SystemHost {
    fn process_service(&self, action: &ServiceAction) -> ProcessService {
        ProcessService::new(&self.settings.program, &self.settings.data_dir, &action.member)
    }

    fn filled(&self, work: &Work, command: &CommandSpec) -> Result<CommandSpec, Failure> {
        self.values(work).command(command)
    }

    /// What makes an application this one and no other: its command, without the token, which each attempt has anew.
    fn configuration(&self, work: &Work, command: &CommandSpec) -> Result<Digest, Failure> {
        let mut values = self.values(work);
        values.plain("token", "{token}");
        Ok(digest(&values.command(command)?))
    }

    async fn state(&self, work: &Work, action: &ServiceAction) -> Result<ServiceState, Failure> {
        Ok(match &action.service {
            // A stop must work although nobody says any more where the database was.
            ServiceSpec::Process { command, .. } => {
                self.process_service(action).state(self.filled(work, command).ok().as_ref())
            }
            ServiceSpec::Command { status, .. } => {
                command::state(&Job::new(&self.filled(work, status)?, Vec::new())).await
            }
        })
    }

    fn unit_of(&self, work: &Work) -> Result<Option<Precheck>, Failure> {
        Ok(match self.units.known(&self.attempt(work).name)? {
            Known::Begun(unit) => Some(Precheck::Running(unit)),
            Known::Nothing => None,
        })
    }

    pub(super) async fn look_stopped(
        &self,
        work: &Work,
        action: &ServiceAction,
    ) -> Result<Precheck, Failure> {
        if let Some(running) = self.unit_of(work)? {
            return Ok(running);
        }
        Ok(match self.state(work, action).await? {
            ServiceState::Stopped { evidence } => Precheck::AlreadyDone(Done { evidence, ..Done::default() }),
            ServiceState::Running { .. } | ServiceState::Leftovers { .. } => {
                Precheck::Ready { captured: RUNNING.to_owned() }
            }
            ServiceState::Unknown { code, why } => Precheck::Unknown(code.failure(why).to_string()),
        })
    }

    pub(super) async fn stop_service(
        &self,
        work: &Work,
        action: &ServiceAction,
        started: &(dyn Fn(Unit) + Send + Sync),
    ) -> Result<String, Failure> {
        match &action.service {
            ServiceSpec::Process { stop_wait, .. } => {
                let ended = self.process_service(action).stop((*stop_wait).into()).await?;
                Ok(match ended {
                    Ended::WasGone => "nothing was running".to_owned(),
                    Ended::Terminated => "it went after SIGTERM".to_owned(),
                    Ended::Killed => format!("it did not go within {stop_wait} after SIGTERM and was killed"),
                })
            }
            ServiceSpec::Command { stop, .. } => {
                let job = Job::new(&self.filled(work, stop)?, Vec::new());
                let result = self.units.run(&self.attempt(work).name, job, started).await?;
                judge(&work.action, &action.service, &result)
            }
        }
    }

    pub(super) async fn prove_stopped(
        &self,
        work: &Work,
        action: &ServiceAction,
    ) -> Result<Postcheck, Failure> {
        Ok(match self.state(work, action).await? {
            ServiceState::Stopped { evidence } => {
                Postcheck::Proven(reading_back(work, self.attempt(work).done(evidence)?, STOPPED))
            }
            ServiceState::Unknown { code, why } => Postcheck::NotYet(code.failure(why).to_string()),
            state @ (ServiceState::Running { .. } | ServiceState::Leftovers { .. }) => {
                Postcheck::NotYet(state.to_string())
            }
        })
    }

    /// Why the running application is not the one that this step starts; `None` if it is.
    fn differs(
        &self,
        work: &Work,
        action: &ServiceAction,
        version: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let ServiceSpec::Process { command, .. } = &action.service else {
            return Ok(Some("running, but nothing tells as which version".to_owned()));
        };
        if version != Some(action.version.as_str()) {
            return Ok(Some(format!("running version {}", version.unwrap_or("unknown"))));
        }
        let same = self
            .process_service(action)
            .record()?
            .is_some_and(|r| self.configuration(work, command).is_ok_and(|wanted| r.about.digest == wanted));
        Ok((!same).then(|| format!("running version {} with another command or environment", action.version)))
    }

    pub(super) async fn look_started(
        &self,
        work: &Work,
        action: &ServiceAction,
    ) -> Result<Precheck, Failure> {
        if let Some(running) = self.unit_of(work)? {
            return Ok(running);
        }
        let stays_stopped = work.captured.as_deref() == Some(STOPPED);
        Ok(match self.state(work, action).await? {
            ServiceState::Stopped { evidence } if stays_stopped => {
                let evidence = format!("{evidence}; it was stopped before this rollout, so it stays stopped");
                Precheck::AlreadyDone(reading_back(work, Done { evidence, ..Done::default() }, STOPPED))
            }
            ServiceState::Stopped { .. } => Precheck::Ready { captured: STOPPED.to_owned() },
            ServiceState::Running { version, evidence } => {
                match self.differs(work, action, version.as_deref())? {
                    None if !stays_stopped => Precheck::AlreadyDone(reading_back(
                        work,
                        Done { evidence, ..Done::default() },
                        RUNNING,
                    )),
                    None => Precheck::Mismatch { expected: STOPPED.to_owned(), found: evidence },
                    Some(found) => Precheck::Mismatch {
                        expected: format!("stopped, or running {}", action.version),
                        found,
                    },
                }
            }
            state @ ServiceState::Leftovers { .. } => Precheck::Mismatch {
                expected: "stopped, with nothing left".to_owned(),
                found: state.to_string(),
            },
            ServiceState::Unknown { code, why } => Precheck::Unknown(code.failure(why).to_string()),
        })
    }

    pub(super) async fn start_service(
        &self,
        work: &Work,
        action: &ServiceAction,
        started: &(dyn Fn(Unit) + Send + Sync),
    ) -> Result<String, Failure> {
        let attempt = self.attempt(work);
        match &action.service {
            ServiceSpec::Process { command, log, .. } => {
                let filled = self.filled(work, command)?;
                let configuration = self.configuration(work, command)?;
                let start = Start {
                    filled: &filled,
                    digest: &configuration,
                    written: command,
                    log,
                    version: &action.version,
                    attempt: &attempt.name,
                };
                self.process_service(action).start(start).await?;
            }
            ServiceSpec::Command { start, .. } => {
                // Its output goes to files: what it leaves in the background may go on writing there.
                let job = Job::new(&self.filled(work, start)?, Vec::new()).spooling();
                let result = self.units.run(&attempt.name, job, started).await?;
                judge(&work.action, &action.service, &result)?;
            }
        }
        Ok(String::new())
    }

    pub(super) async fn prove_started(
        &self,
        work: &Work,
        action: &ServiceAction,
    ) -> Result<Postcheck, Failure> {
        let attempt = self.attempt(work);
        Ok(match (self.state(work, action).await?, &action.service) {
            (ServiceState::Running { version, evidence }, ServiceSpec::Process { .. }) => {
                match self.differs(work, action, version.as_deref())? {
                    None => Postcheck::Proven(reading_back(work, attempt.done(evidence)?, RUNNING)),
                    Some(found) => Postcheck::Refuted(HostCode::ServiceState.failure(found)),
                }
            }
            (ServiceState::Running { evidence, .. }, ServiceSpec::Command { .. }) => {
                Postcheck::Proven(reading_back(work, attempt.done(evidence)?, RUNNING))
            }
            (
                state @ (ServiceState::Stopped { .. } | ServiceState::Leftovers { .. }),
                ServiceSpec::Process { log, .. },
            ) => {
                let log = if log.is_empty() { String::new() } else { format!("; its log is {log}") };
                Postcheck::Refuted(
                    HostCode::ServiceNotStarted.failure(format!("it began, but is {state}{log}")),
                )
            }
            // A status command may need a moment to see what the start command made.
            (
                state @ (ServiceState::Stopped { .. } | ServiceState::Leftovers { .. }),
                ServiceSpec::Command { .. },
            ) => Postcheck::NotYet(state.to_string()),
            (ServiceState::Unknown { code, why }, _) => Postcheck::NotYet(code.failure(why).to_string()),
        })
    }
}
