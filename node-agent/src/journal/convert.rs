//! Between the journal's own words and its stored format: to bytes, and from bytes with a precise complaint.

use super::{
    frame::PAYLOAD_MAX,
    record::{Ending, Key, Record},
    v1::{EndingV1, KeyV1, RecordV1, TargetV1, UnitV1, VerdictV1},
};
use crate::host::{Done, Failure, Unit};
use lockkeeper_core::{
    ids::{
        Attempt, BalancerName, DatabaseName, Digest, Generation, LogIndex, MemberName, NameError, RolloutId,
        StepId, Token,
    },
    plan::{ActionKind, Target},
    rollout::command::Verdict,
};

/// Why a payload is no record, although its checksum is right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not the shape of any record of this format.
    #[error("not a record of this format")]
    Shape,
    /// A name inside is not a name.
    #[error("a {what} is not a name")]
    Name {
        /// Which name.
        what: &'static str,
        /// Why not.
        source: NameError,
    },
    /// An action that this build does not know.
    #[error("unknown action {0:?}")]
    Action(String),
}

/// A record that does not fit into a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record of {found} bytes; allowed: {PAYLOAD_MAX}")]
pub struct TooLong {
    /// Its length.
    pub found: usize,
}

/// The payload of `record`.
pub fn to_bytes(record: &Record) -> Result<Vec<u8>, TooLong> {
    // Plain data with known lengths: postcard can only fail for lack of room, and a vector has none to lack.
    let bytes = postcard::to_stdvec(&RecordV1::from(record)).map_err(|_| TooLong { found: usize::MAX })?;
    if bytes.len() > PAYLOAD_MAX { Err(TooLong { found: bytes.len() }) } else { Ok(bytes) }
}

/// The record in `payload`.
pub fn from_bytes(payload: &[u8]) -> Result<Record, Unreadable> {
    let (record, rest) = postcard::take_from_bytes::<RecordV1>(payload).map_err(|_| Unreadable::Shape)?;
    if rest.is_empty() { Record::try_from(record) } else { Err(Unreadable::Shape) }
}

impl From<&Record> for RecordV1 {
    fn from(record: &Record) -> Self {
        match record {
            Record::Origin { made_ms } => RecordV1::Origin { made_ms: *made_ms },
            Record::Begin { key, target, kind, action } => RecordV1::Begin {
                key: key.into(),
                target: target.into(),
                kind: kind.as_str().to_owned(),
                action: action.0.clone(),
            },
            Record::Captured { key, text } => RecordV1::Captured { key: key.into(), text: text.clone() },
            Record::Start { key } => RecordV1::Start { key: key.into() },
            Record::UnitStarted { key, unit } => RecordV1::UnitStarted { key: key.into(), unit: unit.into() },
            Record::End { key, ending } => RecordV1::End { key: key.into(), ending: ending.into() },
            Record::Reported { key } => RecordV1::Reported { key: key.into() },
            Record::HighestToken { target, token } => RecordV1::HighestToken {
                target: target.into(),
                generation: token.generation.0,
                index: token.index.0,
            },
            Record::TornTail { bytes } => RecordV1::TornTail { bytes: *bytes },
        }
    }
}

impl TryFrom<RecordV1> for Record {
    type Error = Unreadable;
    fn try_from(record: RecordV1) -> Result<Self, Unreadable> {
        Ok(match record {
            RecordV1::Origin { made_ms } => Record::Origin { made_ms },
            RecordV1::Begin { key, target, kind, action } => Record::Begin {
                key: key.into(),
                target: target.try_into()?,
                kind: ActionKind::ALL
                    .into_iter()
                    .find(|known| known.as_str() == kind)
                    .ok_or(Unreadable::Action(kind))?,
                action: Digest(action),
            },
            RecordV1::Captured { key, text } => Record::Captured { key: key.into(), text },
            RecordV1::Start { key } => Record::Start { key: key.into() },
            RecordV1::UnitStarted { key, unit } => Record::UnitStarted { key: key.into(), unit: unit.into() },
            RecordV1::End { key, ending } => Record::End { key: key.into(), ending: ending.into() },
            RecordV1::Reported { key } => Record::Reported { key: key.into() },
            RecordV1::HighestToken { target, generation, index } => Record::HighestToken {
                target: target.try_into()?,
                token: Token { generation: Generation(generation), index: LogIndex(index) },
            },
            RecordV1::TornTail { bytes } => Record::TornTail { bytes },
        })
    }
}

impl From<&Key> for KeyV1 {
    fn from(key: &Key) -> Self {
        Self {
            generation: key.token.generation.0,
            index: key.token.index.0,
            rollout: key.rollout.0,
            step: key.step.0,
            attempt: key.attempt.0,
        }
    }
}

impl From<KeyV1> for Key {
    fn from(key: KeyV1) -> Self {
        Self {
            token: Token { generation: Generation(key.generation), index: LogIndex(key.index) },
            rollout: RolloutId(key.rollout),
            step: StepId(key.step),
            attempt: Attempt(key.attempt),
        }
    }
}

impl From<&Target> for TargetV1 {
    fn from(target: &Target) -> Self {
        match target {
            Target::Member(member) => TargetV1::Member(member.as_str().to_owned()),
            Target::Balancer(balancer, member) => {
                TargetV1::Balancer(balancer.as_str().to_owned(), member.as_str().to_owned())
            }
            Target::Database(database) => TargetV1::Database(database.as_str().to_owned()),
        }
    }
}

impl TryFrom<TargetV1> for Target {
    type Error = Unreadable;
    fn try_from(target: TargetV1) -> Result<Self, Unreadable> {
        let wrong = |what| move |source| Unreadable::Name { what, source };
        Ok(match target {
            TargetV1::Member(member) => Target::Member(MemberName::new(member).map_err(wrong("member"))?),
            TargetV1::Balancer(balancer, member) => Target::Balancer(
                BalancerName::new(balancer).map_err(wrong("balancer"))?,
                MemberName::new(member).map_err(wrong("member"))?,
            ),
            TargetV1::Database(name) => Target::Database(DatabaseName::new(name).map_err(wrong("database"))?),
        })
    }
}

impl From<&Unit> for UnitV1 {
    fn from(unit: &Unit) -> Self {
        Self { name: unit.name.clone(), pid: unit.pid, started: unit.started, boot: unit.boot.clone() }
    }
}

impl From<UnitV1> for Unit {
    fn from(unit: UnitV1) -> Self {
        Self { name: unit.name, pid: unit.pid, started: unit.started, boot: unit.boot }
    }
}

impl From<&Ending> for EndingV1 {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Done(done) => EndingV1::Done {
                evidence: done.evidence.clone(),
                outputs: done.outputs.clone(),
                read_back: done.read_back.clone(),
                action_ms: done.action_ms,
            },
            Ending::Failed { failure, verdict } => EndingV1::Failed {
                code: failure.code.clone(),
                text: failure.text.clone(),
                verdict: verdict.map(|verdict| match verdict {
                    Verdict::Untouched => VerdictV1::Untouched,
                    Verdict::Finished => VerdictV1::Finished,
                    Verdict::Touched => VerdictV1::Touched,
                }),
            },
            Ending::Dropped => EndingV1::Dropped,
        }
    }
}

impl From<EndingV1> for Ending {
    fn from(ending: EndingV1) -> Self {
        match ending {
            EndingV1::Done { evidence, outputs, read_back, action_ms } => {
                Ending::Done(Done { evidence, outputs, read_back, action_ms })
            }
            EndingV1::Failed { code, text, verdict } => Ending::Failed {
                failure: Failure { code, text },
                verdict: verdict.map(|verdict| match verdict {
                    VerdictV1::Untouched => Verdict::Untouched,
                    VerdictV1::Finished => Verdict::Finished,
                    VerdictV1::Touched => Verdict::Touched,
                }),
            },
            EndingV1::Dropped => Ending::Dropped,
        }
    }
}
