//! UpgradeDatabase as a step: the one run of the vendor's tool that a grant allows, judged by the schema it leaves.
//!
//! The tool runs in a unit; the login minted for it reaches it through its environment or a 0600 file that is removed as
//! soon as the tool has ended. Its exit status alone proves nothing in either direction.

use super::{SystemHost, run::what};
use crate::{
    HostCode,
    door::judge::Judgement,
    exec::{Job, RunResult, spool::private_dirs, unit::Known},
    template::Values,
};
use lockkeeper_agent::host::{Done, Failure, Postcheck, Precheck, Unit, Work};
use lockkeeper_core::plan::action::{Action, CredentialDelivery, UpgradeDatabase};
use secrecy::ExposeSecret;
use std::{
    fs::OpenOptions,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

/// The longest credential template, in bytes: a whole configuration file of a product fits.
const TEMPLATE_MAX: u64 = 256 * 1024;

/// Names the member that runs the tool, in the tool's environment.
const MEMBER_VARIABLE: &str = "LOCKKEEPER_MEMBER";

/// The one value of the adapter's list that nobody may see.
const SECRET_VALUE: &str = "credential.password";

impl SystemHost {
    /// Named like its template, because many tools tell a file's format by its ending.
    fn credential_file(&self, work: &Work) -> PathBuf {
        let ending = match &work.action {
            Action::UpgradeDatabase(step) => match &step.credential {
                CredentialDelivery::FileTemplate { template } => template_ending(template),
                CredentialDelivery::None | CredentialDelivery::Environment { .. } => None,
            },
            _ => None,
        };
        self.attempt(work)
            .file(&ending.map_or_else(|| "credential".to_owned(), |e| format!("credential.{e}")))
    }

    /// Removes the credential's file, if there is one.
    pub(super) fn forget_credential(&self, work: &Work) {
        let path = self.credential_file(work);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %path.display(), "the credential's file could not be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }

    pub(super) async fn look_upgraded(
        &self,
        work: &Work,
        step: &UpgradeDatabase,
    ) -> Result<Precheck, Failure> {
        if let Known::Begun(unit) = self.units.known(&self.attempt(work).name)? {
            return Ok(Precheck::Running(unit));
        }
        let (judgement, value) =
            self.engines.of(&work.targets, &step.database)?.judge(&step.schema, false).await?;
        Ok(match judgement {
            Judgement::Finished => {
                let evidence = format!("schema {value}, as it shall be, before this attempt did anything");
                Precheck::AlreadyDone(Done { evidence, ..Done::default() })
            }
            Judgement::Untouched => Precheck::Ready { captured: String::new() },
            // Without a value before there is no untouched; the plan that has none says so on its first page.
            Judgement::Touched if step.resumes || step.schema.before.is_empty() => {
                Precheck::Ready { captured: String::new() }
            }
            Judgement::Touched => Precheck::Mismatch {
                expected: format!("schema {}, untouched", step.schema.before),
                found: format!("schema {value}, and the tool does not resume"),
            },
        })
    }

    async fn upgrade_values(&self, work: &Work, step: &UpgradeDatabase) -> Result<Values, Failure> {
        let mut values = self.values(work);
        let held = self.engines.of(&work.targets, &step.database)?.holder_values(work).await?;
        for (name, value) in held {
            if name == SECRET_VALUE {
                values.secret(name, value);
            } else {
                values.plain(name, value.expose_secret());
            }
        }
        Ok(values)
    }

    pub(super) async fn upgrade(
        &self,
        work: &Work,
        step: &UpgradeDatabase,
        started: &(dyn Fn(Unit) + Send + Sync),
    ) -> Result<(), Failure> {
        let attempt = self.attempt(work);
        let mut values = self.upgrade_values(work, step).await?;
        let mut command = step.command.clone();
        // The command is the same on every member that may be elected; which one was is told here.
        command.env.entry(MEMBER_VARIABLE.to_owned()).or_insert_with(|| work.me.to_string());
        match &step.credential {
            CredentialDelivery::None => {}
            CredentialDelivery::Environment { variables } => command.env.extend(variables.clone()),
            CredentialDelivery::FileTemplate { template } => {
                let path = self.credential_file(work);
                write_credential(&path, &values.private(&read_template(template)?)?)?;
                values.plain("credential.file", path.display().to_string());
            }
        }
        let job = Job::new(&values.command(&command)?, values.secrets());
        attempt
            .noting(async {
                let result = self.units.run(&attempt.name, job, started).await;
                self.forget_credential(work);
                self.upgraded(work, step, &result?).await
            })
            .await
    }

    /// What the tool's end means: a failure is one only if the schema is not what it shall be.
    pub(super) async fn upgraded(
        &self,
        work: &Work,
        step: &UpgradeDatabase,
        result: &RunResult,
    ) -> Result<String, Failure> {
        self.forget_credential(work);
        let failure = match result.judge(&what(&step.command), &step.command.success) {
            Ok(()) => return Ok(format!("{} ended with {:?}", what(&step.command), result.end)),
            Err(failure) => failure,
        };
        match self.engines.of(&work.targets, &step.database)?.judge(&step.schema, false).await {
            Ok((Judgement::Finished, value)) => {
                Ok(format!("{}, although {}", format_args!("schema {value} as it shall be"), failure.text))
            }
            Ok((judgement @ (Judgement::Untouched | Judgement::Touched), value)) => Err(Failure {
                text: format!("{}; the database is {} (schema {value})", failure.text, judgement.as_str()),
                ..failure
            }),
            Err(unread) => Err(Failure {
                text: format!("{}; the schema could not be read: {unread}", failure.text),
                ..failure
            }),
        }
    }

    pub(super) async fn prove_upgraded(
        &self,
        work: &Work,
        step: &UpgradeDatabase,
    ) -> Result<Postcheck, Failure> {
        let attempt = self.attempt(work);
        // A note is left only when the tool ended well, or its failure was outweighed by the schema.
        let ended_well = attempt.note()?.is_some();
        let (judgement, value) =
            self.engines.of(&work.targets, &step.database)?.judge(&step.schema, ended_well).await?;
        let before = if step.schema.before.is_empty() { "unknown" } else { &step.schema.before };
        Ok(match judgement {
            Judgement::Finished => {
                let evidence = format!("schema {before} -> {value}, judged {}", judgement.as_str());
                Postcheck::Proven(attempt.done(evidence)?)
            }
            Judgement::Untouched | Judgement::Touched => {
                Postcheck::Refuted(HostCode::CommandFailed.failure(format!(
                    "{} ended, but the database is {} (schema {value}, expected {})",
                    what(&step.command),
                    judgement.as_str(),
                    if step.schema.after.is_empty() {
                        "another value above the one before"
                    } else {
                        &step.schema.after
                    }
                )))
            }
        })
    }
}

fn read_template(path: &str) -> Result<String, Failure> {
    let failed =
        |e: std::io::Error| HostCode::Files.failure(format!("reading the credential's template {path}: {e}"));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(TEMPLATE_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > TEMPLATE_MAX {
        return Err(HostCode::Files.failure(format!("{path} is larger than {TEMPLATE_MAX} bytes")));
    }
    Ok(text)
}

/// `kinto.ini.template` and `kinto.ini` both end in `ini`.
fn template_ending(template: &str) -> Option<&str> {
    let path = std::path::Path::new(template);
    let path = match path.extension().and_then(|e| e.to_str()) {
        Some("template" | "tmpl" | "tpl" | "in") => std::path::Path::new(path.file_stem()?),
        Some(_) | None => path,
    };
    path.extension()?.to_str()
}

/// The file is the vendor tool's to read for as long as it runs, so it cannot be a pipe; the directory is 0700.
fn write_credential(path: &std::path::Path, text: &str) -> Result<(), Failure> {
    let failed = |e: std::io::Error| HostCode::Files.failure(format!("writing {}: {e}", path.display()));
    private_dirs(path.parent().unwrap_or(std::path::Path::new("/")))?;
    // Left by an earlier life of this attempt that did not come to start the tool.
    let _earlier = std::fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::template_ending;

    #[test]
    fn the_ending_is_that_of_the_file_the_template_makes() {
        assert_eq!(template_ending("/etc/app/app.ini.template"), Some("ini"));
        assert_eq!(template_ending("/etc/app/app.properties"), Some("properties"));
        assert_eq!(template_ending("/etc/app/secret.template"), None);
        assert_eq!(template_ending("/etc/app.d/secret"), None);
    }
}
