use super::super::marker::{Marker, StoreMarker};
use super::*;
use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, LogIndex, MemberName, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

fn log_id(index: u64) -> wire::LogId {
    wire::LogId { term: wire::Term(300), node: NodeId(2), index: LogIndex(index) }
}

fn membership() -> wire::Membership {
    let seat = wire::Seat {
        name: MemberName::new("alpha").unwrap(),
        address: "10.0.0.1:7440".into(),
        incarnation: Incarnation(4),
    };
    wire::Membership {
        configs: vec![BTreeSet::from([NodeId(1)]), BTreeSet::from([NodeId(1), NodeId(2)])],
        nodes: BTreeMap::from([(NodeId(1), seat)]),
    }
}

fn golden<T: Record + Clone + PartialEq + Debug>(value: T, hex: &str) {
    let record = value.clone().to_record().unwrap();
    let written: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, hex, "the stored form of {value:?} has changed: that needs a new version");
    assert_eq!(T::from_record(&record), Ok(value));
}

#[test]
fn the_stored_bytes_of_version_1_never_change() {
    golden(
        Marker {
            cluster: ClusterId("c-1".into()),
            generation: Generation(1),
            node: NodeId(7),
            incarnation: Incarnation(2),
            store: StoreMarker(uuid::Uuid::from_u128(0x0123)),
        },
        "011630248603632d3101070200000000000000000000000000000123",
    );
    golden(wire::Vote { term: wire::Term(300), node: NodeId(2), committed: true }, "01dbff4c60ac020201");
    golden(log_id(1), "01dbff4c60ac020201");
    golden(wire::Entry { id: log_id(1), payload: wire::Payload::Blank }, "012ea863c3ac02020100");
    golden(
        wire::Entry { id: log_id(2), payload: wire::Payload::Command(bytes::Bytes::from_static(b"go")) },
        "014afcde74ac0202020102676f",
    );
    golden(
        wire::Entry { id: log_id(3), payload: wire::Payload::Membership(membership()) },
        "012cd330dfac02020302020101020102010105616c7068610d31302e302e302e313a3734343004",
    );
    golden(
        SnapshotRecord {
            id: 5,
            meta: wire::SnapshotMeta {
                last_log: Some(log_id(9)),
                membership_log: Some(log_id(3)),
                membership: membership(),
            },
            size: 1000,
            digest: [0xab; 32],
        },
        "0146d472810501ac02020901ac020203020101020102010105616c7068610d31302e302e302e313a3734343004e807abababababababababababababababababababababababababababababababab",
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let entry = wire::Entry { id: log_id(3), payload: wire::Payload::Membership(membership()) };
    let record = entry.to_record().unwrap();
    for position in 0..record.len() * 8 {
        let mut damaged = record.clone();
        damaged[position / 8] ^= 1 << (position % 8);
        assert!(wire::Entry::from_record(&damaged).is_err(), "bit {position} was flipped unnoticed");
    }
    for length in 0..record.len() {
        assert!(wire::Entry::from_record(&record[..length]).is_err(), "cut to {length} unnoticed");
    }
}

#[test]
fn a_newer_record_is_refused_by_version() {
    let mut record = log_id(1).to_record().unwrap();
    record[0] = RECORD_VERSION + 1;
    assert_eq!(wire::LogId::from_record(&record), Err(RecordError::Version { found: RECORD_VERSION + 1 }));
}
