//! Judging a schema as a step: a look and nothing else.
//!
//! A schema that somebody upgraded by hand is relied on only while it reads what the new version brings.

use super::SystemHost;
use crate::{HostCode, door::judge::Judgement};
use lockkeeper_agent::host::{Done, Failure, Postcheck, Work};
use lockkeeper_core::plan::action::JudgeSchema;

impl SystemHost {
    /// Proven by the expected value alone. Another value is no matter of time, so it is refuted at once; a database
    /// that cannot be asked may answer later.
    pub(super) async fn judge_schema(&self, work: &Work, step: &JudgeSchema) -> Postcheck {
        match self.judged(work, step).await {
            Ok((Judgement::Finished, value)) => Postcheck::Proven(Done {
                evidence: format!("{} reads {value}: its upgrade is finished", step.database),
                ..Done::default()
            }),
            Ok((Judgement::Untouched | Judgement::Touched, value)) => {
                Postcheck::Refuted(HostCode::SchemaNotFinished.failure(format!(
                    "{} reads {value:?}, and {:?} was expected: somebody changed it, or its upgrade never ended",
                    step.database, step.schema.after
                )))
            }
            Err(failure) => Postcheck::NotYet(failure.to_string()),
        }
    }

    async fn judged(&self, work: &Work, step: &JudgeSchema) -> Result<(Judgement, String), Failure> {
        // The tool's exit is not known, and does not matter where the value is.
        self.engines.of(&work.targets, &step.database)?.judge(&step.schema, false).await
    }
}
