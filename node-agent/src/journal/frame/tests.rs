use super::*;
use proptest::prelude::*;

fn journal(payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut ends = vec![0];
    for (n, payload) in payloads.iter().enumerate() {
        bytes.extend(encode(7 + n as u64, payload));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Zeros at the end of a payload are the case that a careless rule for torn ends gets wrong.
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::collection::vec(Just(0u8), 0..40),
        proptest::collection::vec(prop_oneof![Just(0u8), Just(END)], 0..40),
    ];
    proptest::collection::vec(payload, 1..5)
}

#[test]
fn the_first_frame_has_these_bytes() {
    let bytes = encode(1, b"ab");
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "4c4b4a5201000000020000006d48839e010000000000000021c362b06162a5");
}

#[test]
fn a_newer_format_is_named() {
    let mut bytes = encode(1, b"ab");
    bytes[4] = 2;
    let crc = crc32fast::hash(&bytes[..24]);
    bytes[24..28].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(read(&bytes), Err(Damage::Version { at: 0, found: 2 }));
}

#[test]
fn a_missing_record_in_the_middle_is_seen() {
    let bytes = [encode(1, b"a"), encode(3, b"c")].concat();
    assert_eq!(read(&bytes), Err(Damage::Sequence { at: 30, expected: 2, found: 3 }));
}

proptest! {
    #[test]
    fn every_cut_keeps_every_whole_record(payloads in payloads()) {
        let (bytes, ends) = journal(&payloads);
        for cut in 0..=bytes.len() {
            let reading = read(&bytes[..cut]).expect("a cut is never damage");
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            prop_assert_eq!(reading.frames.len(), whole);
            prop_assert_eq!(reading.whole, ends[whole]);
            for (frame, payload) in reading.frames.iter().zip(&payloads) {
                prop_assert_eq!(frame.payload, payload.as_slice());
            }
        }
    }

    #[test]
    fn a_cut_filled_with_zeros_up_to_the_promised_length_keeps_every_whole_record(payloads in payloads()) {
        let (bytes, ends) = journal(&payloads);
        let last = ends[ends.len() - 2];
        for cut in last + 1..bytes.len() - 1 {
            let mut torn = bytes[..cut].to_vec();
            torn.resize(bytes.len(), 0);
            match read(&torn) {
                Ok(reading) => prop_assert_eq!(reading.frames.len(), payloads.len() - 1),
                // Only when nothing but the end mark is missing it could also be damage to a promised record.
                Err(Damage::Bytes { what: "the end mark is gone", .. }) => {
                    prop_assert!(bytes[cut..bytes.len() - 1].iter().all(|b| *b == 0));
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }

    #[test]
    fn every_changed_byte_is_refused(payloads in payloads(), flip in 1..=255u8) {
        let (bytes, _) = journal(&payloads);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            prop_assert!(read(&changed).is_err(), "byte {} changed and nobody noticed", at);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn nothing_behind_a_whole_journal_passes_as_a_record(payloads in payloads(), tail in proptest::collection::vec(any::<u8>(), 1..60)) {
        let (mut bytes, _) = journal(&payloads);
        bytes.extend(tail);
        if let Ok(reading) = read(&bytes) {
            prop_assert_eq!(reading.frames.len(), payloads.len());
        }
    }
}
