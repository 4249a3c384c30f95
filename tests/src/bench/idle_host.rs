//! A host on which every step is done at once, so that what is left is coordination.

use lockkeeper_agent::host::{Done, FactsQuery, Failure, Host, HostFacts, Postcheck, Precheck, Unit, Work};
use lockkeeper_core::plan::Action;

/// Looks, acts and proves in no time.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdleHost;

#[tonic::async_trait]
impl Host for IdleHost {
    async fn precheck(&self, _: &Work) -> Precheck {
        Precheck::Ready { captured: "as it was".to_owned() }
    }

    async fn perform(&self, _: &Work, _: &(dyn Fn(Unit) + Send + Sync)) -> Result<(), Failure> {
        Ok(())
    }

    async fn adopt(&self, _: &Work, _: &Unit) -> Result<(), Failure> {
        Ok(())
    }

    async fn kill(&self, _: &Work, _: &Unit) -> Result<(), Failure> {
        Ok(())
    }

    async fn postcheck(&self, work: &Work) -> Postcheck {
        let mut done = Done {
            evidence: format!("{} seen", work.action.kind()),
            read_back: work.captured.clone(),
            ..Done::default()
        };
        if let Action::CloseGrant(step) = &work.action {
            done.outputs.insert(format!("judge.{}", step.database), super::planning::SCHEMA_AFTER.to_owned());
        }
        Postcheck::Proven(done)
    }

    async fn facts(&self, _: &FactsQuery) -> HostFacts {
        HostFacts::default()
    }
}
