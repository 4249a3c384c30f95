use crate::host::{Done, Failure, Unit};
use crate::journal::{
    convert::{from_bytes, to_bytes},
    record::{Ending, Key, Record},
};
use lockkeeper_core::{
    ids::{
        Attempt, BalancerName, DatabaseName, Digest, Generation, LogIndex, MemberName, RolloutId, StepId,
        Token,
    },
    plan::{ActionKind, Target},
    rollout::command::Verdict,
};
use proptest::prelude::*;

fn key() -> Key {
    Key {
        token: Token { generation: Generation(2), index: LogIndex(300) },
        rollout: RolloutId(200),
        step: StepId(7),
        attempt: Attempt(1),
    }
}

fn every_record() -> Vec<Record> {
    let (key, member) = (key(), MemberName::new("n1").unwrap());
    let begin = |target| Record::Begin { key, target, kind: ActionKind::Drain, action: Digest("d1".into()) };
    let done = Done {
        evidence: "maint".into(),
        outputs: [("backup.db.set".to_owned(), "s1".to_owned())].into(),
        read_back: Some("ready".into()),
        action_ms: Some((5, 1000)),
    };
    let failed =
        |verdict| Ending::Failed { failure: Failure { code: "c".into(), text: "t".into() }, verdict };
    let end = |ending| Record::End { key, ending };
    vec![
        Record::Origin { made_ms: 1_795_000_000_000 },
        begin(Target::Member(member.clone())),
        begin(Target::Balancer(BalancerName::new("front").unwrap(), member)),
        begin(Target::Database(DatabaseName::new("db").unwrap())),
        Record::Captured { key, text: "ready".into() },
        Record::Start { key },
        Record::UnitStarted {
            key,
            unit: Unit { name: "u".into(), pid: 4000, started: 99_999, boot: "b".into() },
        },
        end(Ending::Done(done)),
        end(Ending::Done(Done::default())),
        end(failed(None)),
        end(failed(Some(Verdict::Untouched))),
        end(failed(Some(Verdict::Finished))),
        end(failed(Some(Verdict::Touched))),
        end(Ending::Dropped),
        Record::Reported { key },
        Record::HighestToken { target: Target::Database(DatabaseName::new("db").unwrap()), token: key.token },
        Record::TornTail { bytes: 300 },
    ]
}

/// The stored bytes of format 1. A difference here is a change of what released agents have on their disks: never
/// edit this list, add a format.
const GOLDEN: &[&str] = &[
    "0080bcd9f29e34",
    "0102ac02c801070100026e3105647261696e026431",
    "0102ac02c8010701010566726f6e74026e3105647261696e026431",
    "0102ac02c80107010202646205647261696e026431",
    "0202ac02c8010701057265616479",
    "0302ac02c8010701",
    "0402ac02c80107010175a01f9f8d060162",
    "0502ac02c801070100056d61696e74010d6261636b75702e64622e736574027331010572656164790105e807",
    "0502ac02c80107010000000000",
    "0502ac02c8010701010163017400",
    "0502ac02c801070101016301740100",
    "0502ac02c801070101016301740101",
    "0502ac02c801070101016301740102",
    "0502ac02c801070102",
    "0602ac02c8010701",
    "070202646202ac02",
    "08ac02",
];

#[test]
fn stored_bytes_never_change() {
    let found: Vec<String> = every_record()
        .iter()
        .map(|record| to_bytes(record).unwrap().iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(found, GOLDEN);
}

#[test]
fn every_record_comes_back_as_it_was() {
    for record in every_record() {
        assert_eq!(from_bytes(&to_bytes(&record).unwrap()), Ok(record));
    }
}

#[test]
fn bytes_behind_a_record_are_refused() {
    for record in every_record() {
        let mut bytes = to_bytes(&record).unwrap();
        bytes.push(0);
        assert!(from_bytes(&bytes).is_err(), "{record:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = from_bytes(&bytes);
    }

    #[test]
    fn a_changed_record_is_refused_or_a_record(n in 0..17usize, at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut bytes = to_bytes(&every_record()[n]).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(record) = from_bytes(&bytes) {
            // What was accepted has one meaning: written again, it reads as the same record.
            prop_assert_eq!(from_bytes(&to_bytes(&record).unwrap()).unwrap(), record);
        }
    }
}
