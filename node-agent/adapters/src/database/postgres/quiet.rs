//! Proving by the session list that nobody can write. Looks only; nothing is ever ended here.

use super::{
    Found, Postgres, ledger,
    strangers::{self, SAMPLE_GAP, SAMPLES},
};
use crate::database::{Answer, evidence};
use lockkeeper_agent::host::{Done, Postcheck, Precheck, Work};

impl Postgres {
    pub(super) async fn quiet_precheck(&self, work: &Work) -> Answer<Precheck> {
        // The proof is the whole step: what was seen is what is told.
        Ok(Precheck::AlreadyDone(self.prove_no_writers(work).await?))
    }

    pub(super) async fn quiet_postcheck(&self, work: &Work) -> Answer<Postcheck> {
        Ok(Postcheck::Proven(self.prove_no_writers(work).await?))
    }

    async fn prove_no_writers(&self, work: &Work) -> Answer<Done> {
        let found = self.find().await?;
        ledger::look(&found.primary, &found.place).await?;
        let reading = self.prove_quiet(&found, None, SAMPLES).await?;
        let loss = self.loss(work, &found).await?;
        let written = loss
            .as_ref()
            .map_or(String::new(), |(_, rows)| format!("; rows written since the door was reopened: {rows}"));
        let mut done = evidence::done(format!(
            "{}: in {} readings {} ms apart no session that can write and no prepared transaction{}{written}",
            self.spec.name,
            SAMPLES,
            SAMPLE_GAP.as_millis(),
            told(&reading)
        ));
        done.outputs.extend(loss);
        Ok(done)
    }

    /// Readings without a stranger, judged by one look at who can write: [`SAMPLES`] for a proof, one to fail early.
    pub(super) async fn prove_quiet(
        &self,
        found: &Found,
        holder: Option<&str>,
        samples: u32,
    ) -> Answer<strangers::Reading> {
        let writers = self.writers(found).await?;
        let judge = self.judge(found, &writers, holder);
        strangers::prove_quiet(&found.primary.session, &self.spec.name, &judge, samples).await
    }
}

/// Who else was there, for the evidence.
pub(super) fn told(reading: &strangers::Reading) -> String {
    let mut text = String::new();
    if !reading.tolerated.is_empty() {
        text.push_str("; declared: ");
        text.push_str(&reading.tolerated.join("; "));
    }
    if !reading.readers.is_empty() {
        let named: Vec<String> = reading.readers.iter().map(ToString::to_string).collect();
        text.push_str("; cannot write, ended when the door shuts: ");
        text.push_str(&named.join("; "));
    }
    text
}
