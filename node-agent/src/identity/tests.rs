use super::*;
use crate::journal::MemoryDisk;
use proptest::prelude::*;

fn signals() -> Signals {
    Signals {
        machine_id: Some("m-1".into()),
        smbios: Some("s-1".into()),
        cloud: None,
        vm_generation: None,
        macs: ["02:00:00:00:00:01".to_owned()].into(),
    }
}

fn identity(signals: &Signals) -> Identity {
    let cluster = ClusterId("c-1".into());
    Identity {
        fingerprint: Fingerprint::seal(&cluster, signals),
        cluster,
        name: name("n1"),
        node: NodeId(1),
        incarnation: Incarnation(2),
        generation: Generation(3),
        store: Uuid::from_u128(7),
    }
}

fn name(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

#[test]
fn it_reads_back_and_is_made_once() {
    let mut disk = MemoryDisk::default();
    let identity = identity(&signals());
    assert_eq!(Identity::load(&mut disk).unwrap_err().code(), "LK6204");
    identity.create(&mut disk).unwrap();
    assert_eq!(Identity::load(&mut disk).unwrap(), identity);
    assert_eq!(identity.create(&mut disk).unwrap_err().code(), "LK6205");
    assert_eq!(identity.check(&name("n1"), &signals(), &Source::ALL.into()).unwrap().strength, Strength::Strong);
}

#[test]
fn the_stored_bytes_never_change() {
    let plain = Signals { macs: Default::default(), machine_id: None, smbios: None, ..Signals::default() };
    let bytes = stored::to_bytes(&identity(&plain)).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "4c4b4944010000001c000000cdc59d8303632d31026e31010203000000000000000000000000000000070000"
    );
}

#[test]
fn another_name_is_refused() {
    let error = identity(&signals()).check(&name("n2"), &signals(), &Source::ALL.into()).unwrap_err();
    assert_eq!(error.code(), "LK6206");
}

#[test]
fn a_copied_disk_in_another_machine_is_refused() {
    let other = Signals { smbios: Some("s-2".into()), ..signals() };
    let error = identity(&signals()).check(&name("n1"), &other, &Source::ALL.into()).unwrap_err();
    assert_eq!(error.code(), "LK6207");
    assert!(error.to_string().contains("SMBIOS UUID differs"), "{error}");
    assert!(!error.to_string().contains("s-2"), "values are nobody's business: {error}");
}

#[test]
fn a_strong_identity_survives_a_new_network_card_and_a_weak_one_does_not() {
    let card = |signals: Signals| Signals { macs: ["02:00:00:00:00:02".to_owned()].into(), ..signals };
    let checked = identity(&signals()).check(&name("n1"), &card(signals()), &Source::ALL.into()).unwrap();
    assert!(checked.changes.is_some());
    let weak = Signals { smbios: None, ..signals() };
    assert_eq!(identity(&weak).check(&name("n1"), &weak, &Source::ALL.into()).unwrap().strength, Strength::Weak);
    assert_eq!(identity(&weak).check(&name("n1"), &card(weak.clone()), &Source::ALL.into()).unwrap_err().code(), "LK6212");
}

#[test]
fn a_signal_that_cannot_be_read_any_more_proves_nothing() {
    let unread = Signals { smbios: None, ..signals() };
    let error = identity(&signals()).check(&name("n1"), &unread, &Source::ALL.into()).unwrap_err();
    assert_eq!(error.code(), "LK6212", "a copied disk on a machine without SMBIOS would look the same");
    assert!(error.is_suspicion());
    let only_id = Signals { machine_id: None, ..unread.clone() };
    assert_eq!(identity(&unread).check(&name("n1"), &only_id, &Source::ALL.into()).unwrap_err().code(), "LK6212");
}

#[test]
fn a_newer_file_is_named() {
    let mut bytes = stored::to_bytes(&identity(&signals())).unwrap();
    bytes[4] = 2;
    assert_eq!(stored::from_bytes(&bytes).unwrap_err().code(), "LK6203");
}

proptest! {
    #[test]
    fn every_changed_byte_is_refused(at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut bytes = stored::to_bytes(&identity(&signals())).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(stored::from_bytes(&bytes).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = stored::from_bytes(&bytes);
    }
}
