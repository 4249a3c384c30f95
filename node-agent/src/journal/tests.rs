use super::*;
use crate::host::Done;
use lockkeeper_core::{
    ids::{Attempt, Digest, Generation, LogIndex, MemberName, RolloutId, StepId, Token},
    plan::{ActionKind, Target},
};

fn key(index: u64, step: u32, attempt: u32) -> Key {
    Key {
        token: Token { generation: Generation(1), index: LogIndex(index) },
        rollout: RolloutId(5),
        step: StepId(step),
        attempt: Attempt(attempt),
    }
}

fn target(name: &str) -> Target {
    Target::Member(MemberName::new(name).unwrap())
}

fn begin(key: Key, on: &str) -> Record {
    Record::Begin { key, target: target(on), kind: ActionKind::StopService, action: Digest("d".into()) }
}

fn done(key: Key) -> Record {
    Record::End { key, ending: Ending::Done(Done { evidence: "stopped".into(), ..Done::default() }) }
}

fn open(disk: &MemoryDisk) -> Result<Journal, JournalError> {
    Journal::open(Box::new(disk.clone()), 1)
}

/// A whole life of attempts on one target.
fn records() -> Vec<Record> {
    let (a, b) = (key(10, 1, 1), key(12, 2, 1));
    vec![
        begin(a, "n1"),
        Record::Captured { key: a, text: "enabled".into() },
        Record::Start { key: a },
        done(a),
        Record::Reported { key: a },
        begin(b, "n1"),
        Record::Start { key: b },
        done(b),
    ]
}

fn written() -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut journal = open(&disk).unwrap();
    for record in records() {
        journal.append(&record).unwrap();
    }
    disk
}

#[test]
fn what_was_written_is_there_after_a_crash() {
    let disk = written();
    disk.crash(0);
    let before = open(&written()).unwrap().ledger().clone();
    assert_eq!(open(&disk).unwrap().ledger(), &before);
    assert_eq!(before.open().count(), 1);
    assert_eq!(before.fence().highest(&target("n1")), Some(key(12, 2, 1).token));
}

#[test]
fn a_cut_at_every_byte_keeps_the_whole_records_and_says_so_once() {
    let bytes = written().durable().unwrap();
    let origin = frame::read(&bytes).unwrap().frames[0].payload.len() + frame::HEADER + 1;
    for cut in origin..=bytes.len() {
        let whole = frame::read(&bytes[..cut]).unwrap();
        let disk = MemoryDisk::holding(bytes[..cut].to_vec());
        let journal = open(&disk).unwrap();
        let mut expected = Ledger::default();
        for record in records().iter().take(whole.frames.len() - 1) {
            expected.apply(record).unwrap();
        }
        let torn = u64::from(whole.whole != cut);
        assert_eq!(journal.ledger().torn(), torn, "cut at {cut}");
        assert!(journal.ledger().attempts().eq(expected.attempts()), "cut at {cut}");
        assert_eq!(open(&disk).unwrap().ledger().torn(), torn, "opening again cuts nothing more");
    }
}

#[test]
fn a_cut_journal_goes_on() {
    let bytes = written().durable().unwrap();
    let disk = MemoryDisk::holding(bytes[..bytes.len() - 5].to_vec());
    open(&disk).unwrap().append(&done(key(12, 2, 1))).unwrap();
    assert_eq!(open(&disk).unwrap().ledger().open().count(), 1);
}

#[test]
fn damage_is_refused_and_changes_nothing() {
    let bytes = written().durable().unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        let disk = MemoryDisk::holding(changed.clone());
        let error = open(&disk).expect_err("damage must not pass");
        assert_eq!(error.code(), "LK6002", "byte {at}: {error}");
        assert_eq!(disk.durable(), Some(changed), "byte {at}: a damaged journal is left as it is");
    }
}

#[test]
fn a_file_without_its_origin_is_refused() {
    assert_eq!(open(&MemoryDisk::holding(Vec::new())).unwrap_err().code(), "LK6005");
    let stranger = frame::encode(1, &convert::to_bytes(&begin(key(10, 1, 1), "n1")).unwrap());
    assert_eq!(open(&MemoryDisk::holding(stranger)).unwrap_err().code(), "LK6005");
}

#[test]
fn a_file_beyond_the_bound_is_refused() {
    let huge = vec![0; usize::try_from(LENGTH_MAX).unwrap() + 1];
    assert_eq!(open(&MemoryDisk::holding(huge)).unwrap_err().code(), "LK6006");
}

#[test]
fn after_a_failed_sync_the_journal_stays_closed() {
    let disk = MemoryDisk::default();
    let mut journal = open(&disk).unwrap();
    disk.fail_sync_after(1);
    journal.append(&begin(key(10, 1, 1), "n1")).unwrap();
    let before = journal.ledger().clone();
    assert_eq!(journal.append(&Record::Start { key: key(10, 1, 1) }).unwrap_err().code(), "LK6007");
    assert_eq!(journal.ledger(), &before, "what may not be durable was not promised");
    disk.fail_sync_after(100);
    assert!(matches!(journal.append(&Record::Start { key: key(10, 1, 1) }), Err(JournalError::Closed)));
}

#[test]
fn a_lower_token_is_refused_across_restarts_and_compaction() {
    let disk = written();
    let late = begin(key(11, 9, 1), "n1");
    for _ in 0..2 {
        let mut journal = open(&disk).unwrap();
        let error = journal.append(&late).unwrap_err();
        assert!(matches!(error, JournalError::Disorder { source: Disorder::Stale(_), .. }), "{error}");
        journal.append(&begin(key(11, 9, 1), "n2")).expect("another target has its own tokens");
        journal.compact().unwrap();
    }
}

#[test]
fn one_token_starts_a_step_once() {
    let mut journal = open(&written()).unwrap();
    journal.append(&begin(key(12, 3, 1), "n1")).expect("another step of the same grant");
    assert!(journal.append(&begin(key(12, 2, 2), "n1")).is_err(), "a second attempt needs a new right");
    assert!(journal.append(&begin(key(12, 2, 1), "n1")).is_err(), "an attempt that ended is over");
    let drop = Record::End { key: key(12, 3, 1), ending: Ending::Dropped };
    journal.append(&drop).unwrap();
    journal.append(&begin(key(12, 3, 2), "n1")).expect("the first one was given back unstarted");
    journal.append(&begin(key(13, 2, 2), "n1")).expect("a new right");
    let overtaken = journal.append(&Record::Start { key: key(12, 3, 2) });
    assert!(overtaken.is_err(), "a right that was overtaken may not start");
}

/// Found by simulation: a close that failed was refused for ever after, and with it every end of the rollout.
#[test]
fn a_grant_may_be_closed_again_under_its_token() {
    let close = |attempt| Record::Begin {
        key: key(12, 5, attempt),
        target: target("main"),
        kind: ActionKind::CloseGrant,
        action: Digest("c".into()),
    };
    let disk = MemoryDisk::default();
    let mut journal = open(&disk).unwrap();
    journal.append(&close(1)).unwrap();
    journal.append(&Record::Start { key: key(12, 5, 1) }).unwrap();
    journal.append(&done(key(12, 5, 1))).unwrap();
    journal.append(&close(2)).expect("it only shuts further");
    journal.append(&Record::Start { key: key(12, 5, 2) }).expect("and may start");
    journal.compact().unwrap();
    open(&disk).expect("what may be written may be read");
}

#[test]
fn an_attempt_is_dropped_only_before_its_start() {
    let mut journal = open(&MemoryDisk::default()).unwrap();
    let (a, b) = (key(10, 1, 1), key(11, 1, 2));
    let drop = |key| Record::End { key, ending: Ending::Dropped };
    journal.append(&begin(a, "n1")).unwrap();
    journal.append(&begin(a, "n1")).expect("beginning again after a crash changes nothing");
    journal.append(&drop(a)).unwrap();
    assert!(journal.append(&begin(a, "n1")).is_err(), "what was given back comes back as another attempt");
    journal.append(&begin(b, "n1")).unwrap();
    journal.append(&Record::Start { key: b }).unwrap();
    assert!(journal.append(&drop(b)).is_err());
}

#[test]
fn a_captured_value_is_never_overwritten() {
    let mut journal = open(&MemoryDisk::default()).unwrap();
    let a = key(10, 1, 1);
    journal.append(&begin(a, "n1")).unwrap();
    journal.append(&Record::Captured { key: a, text: "enabled".into() }).unwrap();
    assert!(journal.append(&Record::Captured { key: a, text: "disabled".into() }).is_err());
}

#[test]
fn the_file_stays_bounded_and_keeps_what_matters() {
    let disk = MemoryDisk::default();
    let mut journal = open(&disk).unwrap();
    let kept = key(1, 1, 1);
    journal.append(&begin(kept, "quiet")).unwrap();
    let mut n = 0;
    let mut longest = 0;
    while n < 3000 {
        n += 1;
        let a = key(10 + n, 2, u32::try_from(n).unwrap());
        for record in [begin(a, "n1"), Record::Start { key: a }, done(a), Record::Reported { key: a }] {
            journal.append(&record).unwrap();
        }
        longest = longest.max(disk.durable().unwrap().len());
    }
    assert!(longest < usize::try_from(COMPACT_AT).unwrap() + 1000, "{longest}");
    let journal = open(&disk).unwrap();
    assert!(journal.ledger().entry(&kept).is_some_and(|entry| !entry.reported), "an open attempt is kept");
    assert_eq!(journal.ledger().fence().highest(&target("n1")), Some(key(10 + n, 2, 1).token));
}

#[test]
fn compaction_says_the_same() {
    let mut journal = open(&written()).unwrap();
    let before = journal.ledger().clone();
    journal.compact().unwrap();
    assert!(journal.ledger().open().eq(before.open()));
    assert_eq!(journal.ledger().fence(), before.fence());
}

#[test]
fn a_record_too_long_is_refused_and_leaves_the_journal_usable() {
    let mut journal = open(&MemoryDisk::default()).unwrap();
    let a = key(10, 1, 1);
    journal.append(&begin(a, "n1")).unwrap();
    let long = Record::Captured { key: a, text: "x".repeat(frame::PAYLOAD_MAX) };
    assert_eq!(journal.append(&long).unwrap_err().code(), "LK6008");
    journal.append(&Record::Start { key: a }).unwrap();
}
