//! Frames: how one record lies in the file, and how a torn end is told from damage.
//!
//! ```text
//! magic 4 | version 1 | zero 3 | length 4 | payload crc 4 | sequence 8 | header crc 4 || payload || end mark 1
//! ```
//!
//! Numbers are little-endian, both checksums CRC-32 (IEEE). Sequence numbers rise by one, so that a missing frame is
//! seen. Knows bytes only; what a payload means is in [`super::v1`].

/// The first bytes of every frame.
pub const MAGIC: [u8; 4] = *b"LKJR";

/// The format of header and payload. A later format gets the next number and structs of its own.
pub const VERSION: u8 = 1;

/// Bytes before the payload.
pub const HEADER: usize = 28;

/// The longest payload. The largest record is an ending with [`super::record::TEXT_MAX`] bytes of evidence, the same
/// of read-back and 16 outputs; 64 KiB leaves room and keeps a bad length from asking for memory.
pub const PAYLOAD_MAX: usize = 64 * 1024;

/// The last byte of a frame. Not zero, so that a frame whose end was never written (and reads as zeros) differs from
/// one that was written whole and damaged later.
const END: u8 = 0xA5;

/// One whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its number.
    pub sequence: u64,
    /// The record.
    pub payload: &'a [u8],
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<'a> {
    /// Whole frames in order.
    pub frames: Vec<Frame<'a>>,
    /// Bytes they take; what lies behind is torn.
    pub whole: usize,
}

/// Why a file cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A frame's bytes differ from what was written.
    #[error("at byte {at}: {what}")]
    Bytes {
        /// Where the frame begins.
        at: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A frame is missing or there twice.
    #[error("at byte {at}: record {found} where {expected} was expected")]
    Sequence {
        /// Where the frame begins.
        at: usize,
        /// The number it should have.
        expected: u64,
        /// The number it has.
        found: u64,
    },
    /// The frame was written by a newer build.
    #[error("at byte {at}: format {found}; this build reads format {VERSION}")]
    Version {
        /// Where the frame begins.
        at: usize,
        /// Its format.
        found: u8,
    },
}

/// The frame of `payload`, which is at most [`PAYLOAD_MAX`] bytes long (the caller has checked; a longer one would be
/// refused when read).
pub fn encode(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + payload.len() + 1);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    let header = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&header.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(END);
    bytes
}

/// Reads every whole frame. An interrupted append leaves a prefix of one frame, perhaps filled up with zeros; exactly
/// that, at the very end, counts as torn. Everything else that is not a frame is damage, because a record that was
/// once promised may not silently disappear.
pub fn read(bytes: &[u8]) -> Result<Reading<'_>, Damage> {
    let mut reading = Reading { frames: Vec::new(), whole: 0 };
    let mut next = None;
    while reading.whole < bytes.len() {
        let at = reading.whole;
        let rest = bytes.get(at..).unwrap_or_default();
        match frame(rest) {
            Shape::Whole(frame, length) => {
                match next {
                    Some(expected) if frame.sequence != expected => {
                        return Err(Damage::Sequence { at, expected, found: frame.sequence });
                    }
                    Some(_) | None => {}
                }
                next = frame.sequence.checked_add(1);
                reading.frames.push(frame);
                reading.whole += length;
            }
            Shape::Torn => break,
            Shape::Newer(found) => return Err(Damage::Version { at, found }),
            Shape::Damaged(what) => return Err(Damage::Bytes { at, what }),
        }
    }
    Ok(reading)
}

enum Shape<'a> {
    Whole(Frame<'a>, usize),
    Torn,
    Newer(u8),
    Damaged(&'static str),
}

struct Header {
    version: u8,
    length: usize,
    payload: u32,
    sequence: u64,
}

fn frame(rest: &[u8]) -> Shape<'_> {
    let written = rest.len() - rest.iter().rev().take_while(|byte| **byte == 0).count();
    let Some(header) = header(rest) else {
        let begun = rest.get(..written.min(MAGIC.len())).unwrap_or_default();
        let torn = written < HEADER && rest.len() <= HEADER + PAYLOAD_MAX + 1 && MAGIC.starts_with(begun);
        return if torn { Shape::Torn } else { Shape::Damaged("not the header of a record") };
    };
    if header.version != VERSION {
        return Shape::Newer(header.version);
    }
    if header.length > PAYLOAD_MAX {
        return Shape::Damaged("longer than a record may be");
    }
    let length = HEADER + header.length + 1;
    let payload = rest.get(HEADER..HEADER + header.length);
    let sound = payload.filter(|payload| crc32fast::hash(payload) == header.payload);
    match (sound, rest.get(length - 1)) {
        (Some(payload), Some(&END)) => Shape::Whole(Frame { sequence: header.sequence, payload }, length),
        (Some(_), Some(_)) => Shape::Damaged("the end mark is gone"),
        (Some(_) | None, None) => Shape::Torn,
        // The whole length is there, but the end still reads as the zeros of a file that was only made longer.
        (None, Some(_)) if rest.len() == length && written < length => Shape::Torn,
        (None, Some(_)) => Shape::Damaged("checksum differs"),
    }
}

fn header(rest: &[u8]) -> Option<Header> {
    let bytes: &[u8; HEADER] = rest.first_chunk()?;
    let [
        m0,
        m1,
        m2,
        m3,
        version,
        _,
        _,
        _,
        l0,
        l1,
        l2,
        l3,
        p0,
        p1,
        p2,
        p3,
        s0,
        s1,
        s2,
        s3,
        s4,
        s5,
        s6,
        s7,
        h0,
        h1,
        h2,
        h3,
    ] = *bytes;
    let (covered, _) = bytes.split_at(HEADER - 4);
    let sound = [m0, m1, m2, m3] == MAGIC && crc32fast::hash(covered) == u32::from_le_bytes([h0, h1, h2, h3]);
    sound.then(|| Header {
        version,
        length: usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX),
        payload: u32::from_le_bytes([p0, p1, p2, p3]),
        sequence: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
    })
}

#[cfg(test)]
mod tests;
