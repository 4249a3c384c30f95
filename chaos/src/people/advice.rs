//! What `status --why` tells a person to do, read from its JSON as a person or a script would.

use serde::Deserialize;
use serde_json::Value;

/// One thing that waits, as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What.
    pub subject: String,
    /// The word with a page.
    pub code: String,
    /// A sentence.
    pub text: String,
    /// Since when, unix ms.
    pub since: u64,
    /// Who can end it.
    pub owner: String,
    /// What to do.
    pub remedy: String,
}

/// What a status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// `running`, `halted` and so on; none without any rollout.
    pub state: Option<String>,
    /// The rollout's number.
    pub rollout: Option<u64>,
    /// Its plan's hash.
    pub plan: Option<String>,
    /// Everything that waits.
    pub waits: Vec<Wait>,
    /// Steps whose last attempt failed.
    pub failed: Vec<u32>,
}

/// Of a status what is looked at here; a whole night of statuses is read, and most of each is about steps that are done.
#[derive(Deserialize)]
struct Told {
    rollout: Option<ToldRollout>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToldRollout {
    id: Option<u64>,
    plan: Option<String>,
    state: Option<String>,
    why: Vec<ToldWait>,
    steps: Vec<ToldStep>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToldWait {
    subject: String,
    code: String,
    text: String,
    since: u64,
    owner: Value,
    remedy: String,
}

#[derive(Deserialize)]
struct ToldStep {
    id: u32,
    state: String,
}

/// What a person does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// `lockkeeper retry N`.
    Retry(u32),
    /// `lockkeeper resume`.
    Resume,
    /// `lockkeeper abort`.
    Abort,
    /// `lockkeeper takeover DATABASE`.
    Takeover(String),
    /// `lockkeeper restore`, with the loss it accepts.
    Restore(Option<u64>),
    /// Nothing is asked of a person.
    Nothing,
}

impl Advice {
    /// Reads `status --json`.
    pub fn read(json: &str) -> Option<Self> {
        let Told { rollout } = serde_json::from_str(json).ok()?;
        let rollout = rollout.unwrap_or_default();
        let wait = |wait: ToldWait| Wait {
            subject: wait.subject,
            code: wait.code,
            text: wait.text,
            since: wait.since,
            owner: match wait.owner {
                Value::String(word) => word,
                Value::Null => String::new(),
                other => other.to_string(),
            },
            remedy: wait.remedy,
        };
        let failed = rollout.steps.iter().filter(|step| step.state == "failed").map(|step| step.id);
        Some(Self {
            failed: failed.collect(),
            rollout: rollout.id,
            plan: rollout.plan,
            state: rollout.state,
            waits: rollout.why.into_iter().map(wait).collect(),
        })
    }

    /// The first thing that is asked of a person and that a person can do here.
    pub fn next(&self) -> Move {
        let asked = self.waits.iter().filter(|wait| wait.owner == "person");
        asked.map(|wait| self.remedy(wait)).find(|next| *next != Move::Nothing).unwrap_or(Move::Nothing)
    }

    fn remedy(&self, wait: &Wait) -> Move {
        if let Some((_, rest)) = wait.remedy.split_once("lockkeeper retry") {
            let step = rest.split_whitespace().next().and_then(|word| word.parse().ok());
            return step.or_else(|| self.failed.first().copied()).map_or(Move::Nothing, Move::Retry);
        }
        if let Some((_, rest)) = wait.remedy.split_once("lockkeeper takeover ") {
            return rest
                .split_whitespace()
                .next()
                .map_or(Move::Nothing, |name| Move::Takeover(name.to_owned()));
        }
        if wait.remedy.contains("lockkeeper restore") {
            let loss = wait.remedy.split_once("--accept-loss ").and_then(|(_, rows)| rows.parse().ok());
            return Move::Restore(loss);
        }
        if wait.remedy.contains("lockkeeper resume") {
            return Move::Resume;
        }
        if wait.remedy.contains("lockkeeper abort") { Move::Abort } else { Move::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(owner: &str, remedy: &str) -> Advice {
        let json = format!(
            r#"{{"rollout":{{"state":"halted","steps":[{{"id":7,"state":"failed"}}],"why":[
                {{"subject":"s","code":"c","text":"t","since":5,"owner":{owner},"remedy":"{remedy}"}}]}}}}"#
        );
        Advice::read(&json).unwrap()
    }

    #[test]
    fn remedies_are_read_as_they_are_told() {
        assert_eq!(status("\"person\"", "mend the cause, then lockkeeper retry 12").next(), Move::Retry(12));
        assert_eq!(
            status("\"person\"", "put it right by hand, then lockkeeper retry").next(),
            Move::Retry(7)
        );
        let both = "mend the cause, then lockkeeper retry 9 (or: lockkeeper takeover main --reason R)";
        assert_eq!(status("\"person\"", both).next(), Move::Retry(9));
        let takeover = "restore the set, then lockkeeper takeover main --reason R";
        assert_eq!(status("\"person\"", takeover).next(), Move::Takeover("main".into()));
        assert_eq!(status("\"person\"", "bring it back, then lockkeeper resume").next(), Move::Resume);
        assert_eq!(
            status("\"person\"", "lockkeeper restore --reason … (back to 1.0)").next(),
            Move::Restore(None)
        );
        assert_eq!(
            status("\"person\"", "lockkeeper restore --reason … --accept-loss 17").next(),
            Move::Restore(Some(17))
        );
        assert_eq!(status("{\"agent\":\"n1\"}", "lockkeeper resume").next(), Move::Nothing);
        assert_eq!(status("\"person\"", "bring its agent back").next(), Move::Nothing);
    }
}
