//! Canonical JSON (RFC 8785) in one pass: keys in the order of their UTF-16 code units, no spaces, numbers as a double
//! is written.
//!
//! A plan of a thousand members has some 300,000 keys, so the text is made in one buffer, where the members of an object
//! are put in order when it ends. `serde_json_canonicalizer` says the same in seven times the time; a test compares the two,
//! and it still writes the numbers that a double does not hold exactly.

use serde::Serialize;
use serde_json::{
    Error, Serializer,
    ser::{CharEscape, Formatter},
};
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    io::{self, Write as _},
};

/// Whole numbers up to this one are doubles too, digit by digit.
const EXACT: u64 = 1 << 53;

/// A value's canonical text.
pub(super) fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    let mut sorted = Sorted::default();
    value.serialize(&mut Serializer::with_formatter(io::sink(), &mut sorted))?;
    String::from_utf8(sorted.out).map_err(|error| serde::ser::Error::custom(error.utf8_error()))
}

/// Writes into its own buffer, because what was written is put in order later; the serializer's writer gets nothing.
#[derive(Debug, Default)]
struct Sorted {
    out: Vec<u8>,
    /// Members of the objects that are not at their end yet, the innermost object's last.
    members: Vec<Member>,
    /// For each such object its place in `out` behind the brace, and its first of `members`.
    objects: Vec<(usize, usize)>,
    /// By the number of members, the order in which the last object of so many members was put.
    places: BTreeMap<usize, Vec<usize>>,
    /// What an object is put together in.
    spare: Vec<u8>,
}

/// Places of an object's member in `out`.
#[derive(Debug, Clone, Copy)]
struct Member {
    key: usize,
    colon: usize,
    end: usize,
    /// The beginning of a key whose bytes have the order of its UTF-16; none of one with escapes or beyond ASCII.
    head: Option<u64>,
}

impl Member {
    /// The key without its quotes.
    fn key(self, out: &[u8]) -> &[u8] {
        out.get(self.key + 1..self.colon.saturating_sub(1)).unwrap_or_default()
    }

    /// The order of two keys.
    fn order(self, other: Self, out: &[u8]) -> Ordering {
        let (a, b) = (self.key(out), other.key(out));
        match (self.head, other.head) {
            // A key has no zero byte, so a shorter one comes first.
            (Some(own), Some(others)) => own.cmp(&others).then_with(|| a.cmp(b)),
            (_, _) => units(a).cmp(&units(b)),
        }
    }
}

/// The first eight bytes of a written key, if its bytes have the order of its UTF-16.
fn head(key: &[u8]) -> Option<u64> {
    let plain = key.iter().all(|byte| byte.is_ascii() && *byte != b'\\');
    let bytes = key.iter().copied().chain(std::iter::repeat(0)).take(8);
    plain.then(|| bytes.fold(0, |head, byte| head << 8 | u64::from(byte)))
}

/// A written key's UTF-16 code units.
fn units(key: &[u8]) -> Vec<u16> {
    let quoted = [b"\"", key, b"\""].concat();
    // It was written by a JSON serializer just now, so it reads.
    serde_json::from_slice::<String>(&quoted).unwrap_or_default().encode_utf16().collect()
}

impl Sorted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn whole(&mut self, value: u64) -> io::Result<()> {
        if value > EXACT { self.number(&value) } else { write!(self.out, "{value}") }
    }

    fn signed(&mut self, value: i64) -> io::Result<()> {
        if value.unsigned_abs() > EXACT { self.number(&value) } else { write!(self.out, "{value}") }
    }

    /// Any number, as a double is written.
    fn number<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let text = serde_json_canonicalizer::to_string(value).map_err(io::Error::from)?;
        self.write(text.as_bytes())
    }

    /// Puts the members of the object that ends in order.
    fn sort(&mut self) -> io::Result<()> {
        let Some((begin, first)) = self.objects.pop() else { return Err(io::ErrorKind::InvalidData.into()) };
        let (out, members) = (&self.out, self.members.get(first..).unwrap_or_default());
        let rising = |pair: &[Member]| match pair {
            [a, b] => a.order(*b, out) == Ordering::Less,
            _ => true,
        };
        if !members.windows(2).all(rising) {
            // Objects of one type come with their keys in one order, so the last order found mostly fits.
            let places = self.places.entry(members.len()).or_default();
            let at = |place: &usize| members.get(*place).copied();
            let fits = places.len() == members.len()
                && places.windows(2).all(|pair| match pair {
                    [a, b] => at(a).zip(at(b)).is_some_and(|(a, b)| a.order(b, out) == Ordering::Less),
                    _ => true,
                });
            if !fits {
                *places = (0..members.len()).collect();
                places.sort_by(|a, b| at(a).zip(at(b)).map_or(Ordering::Equal, |(a, b)| a.order(b, out)));
            }
            self.spare.clear();
            let mut last: Option<Member> = None;
            for member in places.iter().filter_map(at) {
                if let Some(last) = last {
                    if last.key(out) == member.key(out) {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "an object has a key twice"));
                    }
                    self.spare.push(b',');
                }
                self.spare.extend_from_slice(out.get(member.key..member.end).unwrap_or_default());
                last = Some(member);
            }
            self.out.truncate(begin);
            self.out.append(&mut self.spare);
        }
        self.members.truncate(first);
        self.write(b"}")
    }
}

/// The writer that gets nothing.
macro_rules! writes {
    ($($method:ident($($name:ident: $kind:ty)?) => $what:expr;)*) => {$(
        fn $method<W: ?Sized + io::Write>(&mut self, _: &mut W $(, $name: $kind)?) -> io::Result<()> {
            #[allow(clippy::redundant_closure_call, reason = "a macro cannot name `self` of the method it makes")]
            ($what)(&mut **self $(, $name)?)
        }
    )*};
}

impl Formatter for &mut Sorted {
    writes! {
        write_null() => |s: &mut Sorted| s.write(b"null");
        write_bool(value: bool) => |s: &mut Sorted, value: bool| s.write(if value { b"true" } else { b"false" });
        write_i8(value: i8) => |s: &mut Sorted, value| s.signed(i64::from(value));
        write_i16(value: i16) => |s: &mut Sorted, value| s.signed(i64::from(value));
        write_i32(value: i32) => |s: &mut Sorted, value| s.signed(i64::from(value));
        write_i64(value: i64) => |s: &mut Sorted, value| s.signed(value);
        write_i128(value: i128) => |s: &mut Sorted, value| s.number(&value);
        write_u8(value: u8) => |s: &mut Sorted, value| s.whole(u64::from(value));
        write_u16(value: u16) => |s: &mut Sorted, value| s.whole(u64::from(value));
        write_u32(value: u32) => |s: &mut Sorted, value| s.whole(u64::from(value));
        write_u64(value: u64) => |s: &mut Sorted, value| s.whole(value);
        write_u128(value: u128) => |s: &mut Sorted, value| s.number(&value);
        write_f32(value: f32) => |s: &mut Sorted, value| s.number(&value);
        write_f64(value: f64) => |s: &mut Sorted, value| s.number(&value);
        write_number_str(value: &str) => |s: &mut Sorted, value: &str| {
            let number: f64 = value.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            s.number(&number)
        };
        begin_string() => |s: &mut Sorted| s.write(b"\"");
        end_string() => |s: &mut Sorted| s.write(b"\"");
        write_string_fragment(text: &str) => |s: &mut Sorted, text: &str| s.write(text.as_bytes());
        write_raw_fragment(text: &str) => |s: &mut Sorted, text: &str| s.write(text.as_bytes());
        begin_array() => |s: &mut Sorted| s.write(b"[");
        end_array() => |s: &mut Sorted| s.write(b"]");
        begin_array_value(first: bool) => |s: &mut Sorted, first| if first { Ok(()) } else { s.write(b",") };
        begin_object() => |s: &mut Sorted| {
            s.write(b"{")?;
            s.objects.push((s.out.len(), s.members.len()));
            Ok(())
        };
        begin_object_key(first: bool) => |s: &mut Sorted, first: bool| {
            if !first {
                s.write(b",")?;
            }
            let key = s.out.len();
            s.members.push(Member { key, colon: key, end: key, head: None });
            Ok(())
        };
        begin_object_value() => |s: &mut Sorted| {
            let colon = s.out.len();
            if let Some(member) = s.members.last_mut() {
                member.colon = colon;
                member.head = head(member.key(&s.out));
            }
            s.write(b":")
        };
        end_object_value() => |s: &mut Sorted| {
            let end = s.out.len();
            if let Some(member) = s.members.last_mut() {
                member.end = end;
            }
            Ok(())
        };
        end_object() => |s: &mut Sorted| s.sort();
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Quote => self.write(b"\\\""),
            CharEscape::ReverseSolidus => self.write(b"\\\\"),
            // RFC 8785 leaves it as it is.
            CharEscape::Solidus => self.write(b"/"),
            CharEscape::Backspace => self.write(b"\\b"),
            CharEscape::FormFeed => self.write(b"\\f"),
            CharEscape::LineFeed => self.write(b"\\n"),
            CharEscape::CarriageReturn => self.write(b"\\r"),
            CharEscape::Tab => self.write(b"\\t"),
            CharEscape::AsciiControl(byte) => self.write(format!("\\u{byte:04x}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn value() -> impl Strategy<Value = Value> {
        let text =
            prop_oneof![any::<String>(), "[a-c]{0,2}", Just("\u{1}\u{8}\t\n\u{c}\r\"\\/\u{7f}".to_owned())];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-9i64..9).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 60, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The independent canonicaliser says the same of any value.
        #[test]
        fn it_writes_what_another_canonicaliser_writes(value in value()) {
            prop_assert_eq!(canonical(&value).unwrap(), serde_json_canonicalizer::to_string(&value).unwrap());
        }
    }

    /// Keys that come out of order (a derived struct's do) are put in order; one that comes twice is refused.
    #[test]
    fn members_that_come_out_of_order_are_put_in_order() {
        struct Members(&'static [(&'static str, u64)]);
        impl serde::Serialize for Members {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(
                    self.0.iter().map(|(key, n)| (key, json!({ "z": n, "a": [n, { "y": 1, "b": 2 }] }))),
                )
            }
        }
        for members in [
            &[("b", 1), ("a", 2), ("", 3), ("a!", 4), ("a\"", 5)][..],
            // The order of UTF-16: what is written as a surrogate pair comes before U+E000 and above.
            &[
                ("\u{e000}", 1),
                ("\u{10000}", 2),
                ("\u{fb33}", 3),
                ("\r", 4),
                ("1", 5),
                ("\u{80}", 6),
                ("é", 7),
            ],
            &[("other", 2), ("large", 9_007_199_254_740_993)],
        ] {
            let members = Members(members);
            assert_eq!(canonical(&members).unwrap(), serde_json_canonicalizer::to_string(&members).unwrap());
        }
        for twice in [&[("same", 1), ("other", 2), ("same", 3)][..], &[("same", 1), ("same", 2)]] {
            assert!(canonical(&Members(twice)).is_err());
        }
    }
}
