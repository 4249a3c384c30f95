//! Makes actions from a profile's templates, filled in for one member or database.

use super::{
    action::{
        Action, ActionKind, CommandSpec, CredentialDelivery, DatabaseAction, JudgeSchema, OnAgentLoss, Probe,
        Prove, RunCommand, SchemaJudge, ServiceAction, ServiceSpec, StageRelease, SwitchRelease,
        UpgradeDatabase,
    },
    expand::Problem,
    observed::PlanInput,
};
use crate::{
    fault::{Fault, FaultCode},
    ids::{DatabaseName, Digest, MemberName},
    profile::{
        command_spec,
        model::{CredentialTemplate, ProbeTemplate, ProofTemplate, ServiceTemplate, StepTemplate, With},
        resolve::{Scope, Unfilled, Versions},
    },
    version::Version,
};

/// Makes actions of one way.
#[derive(Clone, Copy)]
pub(super) struct Build<'a> {
    input: &'a PlanInput<'a>,
    versions: Versions<'a>,
    /// Hash of the tree every member's staged release must have, if one was staged before.
    tree: Option<&'a Digest>,
}

impl<'a> Build<'a> {
    /// `version` is the one the steps are about: the new one on the way forward, the old one on the way back.
    pub(super) fn new(
        input: &'a PlanInput<'a>,
        from: &'a Version,
        version: &'a Version,
        tree: Option<&'a Digest>,
    ) -> Self {
        Self { input, versions: Versions { from, to: input.to, version }, tree }
    }

    /// What templates are filled in with.
    pub(super) fn scope(&self) -> Scope<'a> {
        Scope::new(self.input.profile, self.input.cluster).with_versions(self.versions)
    }

    /// A member's own action.
    pub(super) fn member_action(
        &self,
        step: &StepTemplate,
        member: &'a MemberName,
    ) -> Result<Action, Problem> {
        let scope = self.scope().of_member(member);
        let version = self.versions.version.clone();
        match step.kind {
            ActionKind::StageRelease => Ok(Action::StageRelease(StageRelease {
                source: scope.text(&self.input.profile.release.source)?,
                directory: scope.release_directory()?,
                version,
                tree: self.tree.map(|digest| digest.0.clone()).unwrap_or_default(),
            })),
            ActionKind::SwitchRelease => Ok(Action::SwitchRelease(SwitchRelease {
                link: scope.release_link()?,
                directory: scope.release_directory()?,
                version,
            })),
            ActionKind::StopService => {
                Ok(Action::StopService(self.service(&scope, member, self.versions.from)?))
            }
            ActionKind::StartService => Ok(Action::StartService(self.service(&scope, member, &version)?)),
            ActionKind::Prove => match &step.prove {
                Some(proof) => Ok(Action::Prove(self.prove(proof, member)?)),
                None => Err(misplaced(step.kind)),
            },
            ActionKind::Run => match (&step.with, &step.prove) {
                (With::Run { command }, Some(proof)) => Ok(Action::Run(RunCommand {
                    command: command_spec(&scope, command, OnAgentLoss::Kill)?,
                    done: self.probes(proof, member)?,
                })),
                (With::Nothing | With::Upgrade { .. } | With::Run { .. }, _) => Err(misplaced(step.kind)),
            },
            ActionKind::Drain
            | ActionKind::Admit
            | ActionKind::ProveNoWriters
            | ActionKind::Backup
            | ActionKind::ProveBackup
            | ActionKind::ShutDoor
            | ActionKind::MintCredential
            | ActionKind::AdmitHolder
            | ActionKind::UpgradeDatabase
            | ActionKind::CloseGrant
            | ActionKind::OpenDoor
            | ActionKind::RestoreDatabase
            | ActionKind::JudgeSchema => Err(misplaced(step.kind)),
        }
    }

    fn service(
        &self,
        scope: &Scope<'_>,
        member: &MemberName,
        version: &Version,
    ) -> Result<ServiceAction, Problem> {
        let service = match scope.choose(&self.input.profile.service) {
            None => return Err(problem("no [[service]] of the profile applies")),
            Some(ServiceTemplate::Process { command, log, stop_wait }) => ServiceSpec::Process {
                // The application outlives its agent.
                command: command_spec(scope, command, OnAgentLoss::Finish)?,
                log: scope.text(log)?,
                stop_wait: scope.duration(stop_wait)?,
            },
            Some(ServiceTemplate::Command { start, stop, status }) => ServiceSpec::Command {
                start: command_spec(scope, start, OnAgentLoss::Kill)?,
                stop: command_spec(scope, stop, OnAgentLoss::Kill)?,
                status: command_spec(scope, status, OnAgentLoss::Kill)?,
            },
        };
        Ok(ServiceAction { member: member.clone(), service, version: version.clone() })
    }

    /// An action of a database's executor.
    pub(super) fn database_action(
        &self,
        kind: ActionKind,
        database: &DatabaseName,
    ) -> Result<Action, Problem> {
        let action = DatabaseAction { database: database.clone(), set: self.set(database) };
        match kind {
            ActionKind::ProveNoWriters => Ok(Action::ProveNoWriters(action)),
            ActionKind::Backup => Ok(Action::Backup(action)),
            ActionKind::ProveBackup => Ok(Action::ProveBackup(action)),
            ActionKind::ShutDoor => Ok(Action::ShutDoor(action)),
            ActionKind::MintCredential => Ok(Action::MintCredential(action)),
            ActionKind::AdmitHolder => Ok(Action::AdmitHolder(action)),
            ActionKind::CloseGrant => Ok(Action::CloseGrant(action)),
            ActionKind::OpenDoor => Ok(Action::OpenDoor(action)),
            ActionKind::RestoreDatabase => Ok(Action::RestoreDatabase(action)),
            ActionKind::JudgeSchema => Ok(Action::JudgeSchema(JudgeSchema {
                database: database.clone(),
                schema: self.finished(database)?,
            })),
            ActionKind::StageRelease
            | ActionKind::SwitchRelease
            | ActionKind::Drain
            | ActionKind::Admit
            | ActionKind::StopService
            | ActionKind::StartService
            | ActionKind::UpgradeDatabase
            | ActionKind::Prove
            | ActionKind::Run => Err(misplaced(kind)),
        }
    }

    /// What a finished schema reads; empty if the profile does not say it.
    pub(super) fn finished(&self, database: &DatabaseName) -> Result<SchemaJudge, Unfilled> {
        let scope = self.scope().of_database(database);
        let Some(schema) = &self.input.profile.schema else {
            return Ok(SchemaJudge { query: String::new(), before: String::new(), after: String::new() });
        };
        Ok(SchemaJudge {
            query: scope.text(&schema.query)?,
            before: String::new(),
            after: scope.text(&schema.after)?,
        })
    }

    /// Name of the backup set: unique, because no two plans rest on facts of one moment for one target.
    fn set(&self, database: &DatabaseName) -> String {
        let seed = format!(
            "{}\n{database}\n{}\n{}\n{}",
            self.input.cluster_id, self.versions.from, self.input.to, self.input.observed.at.0
        );
        let digest = Digest::of(seed.as_bytes());
        format!("lk-{database}-{}", digest.0.get(..10).unwrap_or_default())
    }

    /// The upgrade of a database. It is done by the elected member, so its texts must be the same for all that may
    /// be elected: a plan leaves nothing open but who.
    pub(super) fn upgrade(
        &self,
        step: &StepTemplate,
        database: &'a DatabaseName,
        may: &'a [MemberName],
    ) -> Result<UpgradeDatabase, Problem> {
        let With::Upgrade { command, resumes } = &step.with else { return Err(misplaced(step.kind)) };
        let mut made: Option<(&MemberName, CommandSpec, CredentialDelivery)> = None;
        for member in may {
            let scope = self.scope().of_member(member).of_database(database);
            let command = command_spec(&scope, command, OnAgentLoss::Finish)?;
            let credential = self.credential(&scope)?;
            match &made {
                None => made = Some((member, command, credential)),
                Some((_, c, d)) if *c == command && *d == credential => {}
                Some((other, c, _)) => {
                    return Err(Problem::Fault(Box::new(
                        Fault::new(
                            FaultCode::DependsOnElection,
                            format!("the upgrade of {database} would differ between {other} and {member}"),
                        )
                        .found(format!("{:?} and {:?}", c.argv, command.argv))
                        .allowed("the same command on every member that may be elected")
                        .help("use a path that is the same everywhere instead of {member.…} or {release}"),
                    )));
                }
            }
        }
        let Some((_, command, credential)) = made else { return Err(problem("nobody may upgrade it")) };
        let scope = self.scope().of_database(database);
        let (query, after) = match &self.input.profile.schema {
            Some(schema) => (scope.text(&schema.query)?, scope.text(&schema.after)?),
            None => (String::new(), String::new()),
        };
        let before =
            self.input.observed.databases.get(database).map(|d| d.schema.clone()).unwrap_or_default();
        Ok(UpgradeDatabase {
            database: database.clone(),
            command,
            credential,
            schema: SchemaJudge { query, before, after },
            resumes: scope.flag(resumes)?,
        })
    }

    fn credential(&self, scope: &Scope<'_>) -> Result<CredentialDelivery, Unfilled> {
        Ok(match scope.choose(&self.input.profile.credential) {
            None => CredentialDelivery::None,
            Some(CredentialTemplate::Environment(table)) => {
                CredentialDelivery::Environment { variables: scope.table(table)? }
            }
            Some(CredentialTemplate::FileTemplate(file)) => {
                CredentialDelivery::FileTemplate { template: scope.text(file)? }
            }
        })
    }

    /// A member's proof.
    pub(super) fn prove(&self, proof: &ProofTemplate, member: &'a MemberName) -> Result<Prove, Problem> {
        let scope = self.scope();
        Ok(Prove {
            member: member.clone(),
            probes: self.probes(proof, member)?,
            settle: scope.duration(&proof.settle)?,
            interval: scope.duration(&proof.interval)?,
        })
    }

    fn probes(&self, proof: &ProofTemplate, member: &'a MemberName) -> Result<Vec<Probe>, Problem> {
        let scope = self.scope().of_member(member);
        let mut probes = Vec::new();
        for probe in proof.probes.iter().filter(|p| scope.holds(&p.when)).map(|p| &p.what) {
            probes.extend(self.probe(&scope, probe)?);
        }
        // Silence is never success: a proof without a probe proves nothing.
        if probes.is_empty() {
            return Err(problem("no probe is set, so nothing would be proven"));
        }
        Ok(probes)
    }

    fn probe(&self, scope: &Scope<'a>, probe: &ProbeTemplate) -> Result<Vec<Probe>, Unfilled> {
        Ok(match probe {
            ProbeTemplate::Http { url, status, contains, headers, json, timeout } => vec![Probe::Http {
                url: scope.text(url)?,
                status: scope.number(status)?,
                contains: scope.text(contains)?,
                headers: scope.table(headers)?,
                json: scope.table(json)?,
                timeout: scope.duration(timeout)?,
            }],
            ProbeTemplate::Tcp { address, timeout } => {
                vec![Probe::Tcp { address: scope.text(address)?, timeout: scope.duration(timeout)? }]
            }
            ProbeTemplate::Sql { query, equals } => {
                let mut probes = Vec::new();
                for database in self.input.cluster.databases.keys() {
                    let scope = scope.of_database(database);
                    let (query, equals) = (scope.text(query)?, scope.text(equals)?);
                    probes.push(Probe::Sql { database: database.clone(), query, equals });
                }
                probes
            }
            ProbeTemplate::Command { command, contains } => vec![Probe::Command {
                command: command_spec(scope, command, OnAgentLoss::Kill)?,
                contains: scope.text(contains)?,
            }],
            ProbeTemplate::Log { file, must, must_not } => vec![Probe::Log {
                file: scope.text(file)?,
                must: scope.list(must)?,
                must_not: scope.list(must_not)?,
            }],
        })
    }
}

fn problem(text: &'static str) -> Problem {
    Problem::Fault(Box::new(
        Fault::new(FaultCode::Unfilled, text)
            .help("see [parameters] of the cluster file and lockkeeper profile show"),
    ))
}

/// The profile reader lets no step through that has no meaning at its place.
fn misplaced(kind: ActionKind) -> Problem {
    Problem::Fault(Box::new(Fault::new(FaultCode::BadStep, format!("the step {kind} has no meaning here"))))
}
