//! Every text of a plan with its place, whatever the plan's types are: what a serializer would write, seen while it
//! writes, without a copy of the plan.

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CharEscape, Formatter},
};
use std::{fmt, io};

/// Where a text stands: the keys and list indexes that lead to it.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The names of the keys, one behind the other.
    names: String,
    parts: Vec<Part>,
}

/// A piece of a place.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// An index of a list.
    Index(usize),
    /// A key: where it begins in the names. It ends where the next key begins.
    Key(usize),
}

impl Place {
    /// The part `above` the last one, if it is a key; else the empty text.
    pub(super) fn key(&self, above: usize) -> &str {
        let mut end = self.names.len();
        for (at, part) in self.parts.iter().rev().enumerate() {
            match *part {
                Part::Key(begin) if at == above => return self.names.get(begin..end).unwrap_or_default(),
                Part::Key(begin) => end = begin,
                Part::Index(_) if at == above => return "",
                Part::Index(_) => {}
            }
        }
        ""
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for above in (0..self.parts.len()).rev() {
            match self.parts.get(self.parts.len() - 1 - above) {
                Some(Part::Index(index)) => write!(f, "{index}")?,
                Some(Part::Key(_)) => f.write_str(self.key(above))?,
                None => {}
            }
            if above > 0 {
                f.write_str(".")?;
            }
        }
        Ok(())
    }
}

/// Shows every text of a value with its place. Keys are no texts.
pub(super) fn each<T: Serialize>(value: &T, see: impl FnMut(&Place, &str)) {
    let mut seer = Seer { place: Place::default(), text: String::new(), in_key: false, see };
    // A plan is plain data with keys that are texts, and the writer takes everything: it cannot fail. If it ever did,
    // its plan file could not be written either.
    let _ = value.serialize(&mut Serializer::with_formatter(io::sink(), &mut seer));
}

/// Looks on while a value is written to nowhere.
struct Seer<F> {
    place: Place,
    /// The text that is being written.
    text: String,
    in_key: bool,
    see: F,
}

impl<F: FnMut(&Place, &str)> Formatter for &mut Seer<F> {
    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text.clear();
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, _: &mut W, text: &str) -> io::Result<()> {
        self.text.push_str(text);
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        self.text.push(match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => '/',
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
        });
        Ok(())
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let seer = &mut **self;
        if seer.in_key {
            seer.place.parts.push(Part::Key(seer.place.names.len()));
            seer.place.names.push_str(&seer.text);
        } else {
            (seer.see)(&seer.place, &seer.text);
        }
        Ok(())
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W, _: bool) -> io::Result<()> {
        self.in_key = true;
        Ok(())
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_key = false;
        Ok(())
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        if let Some(Part::Key(begin)) = self.place.parts.pop() {
            self.place.names.truncate(begin);
        }
        Ok(())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.place.parts.push(Part::Index(0));
        Ok(())
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        if let Some(Part::Index(index)) = self.place.parts.last_mut() {
            *index += 1;
        }
        Ok(())
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.place.parts.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::each;
    use serde_json::json;

    #[test]
    fn every_text_is_seen_with_its_place() {
        let value = json!({
            "a": "one\n\"\u{1}é",
            "list": [1, "two", { "in": "three", "deep": [["four"]] }, [], {}, "five"],
            "z": { "": null, "k.y": { "x": "six" } },
        });
        let mut seen = Vec::new();
        each(&value, |place, text| seen.push((place.to_string(), place.key(1).to_owned(), text.to_owned())));
        let seen: Vec<(&str, &str, &str)> =
            seen.iter().map(|(place, above, text)| (place.as_str(), above.as_str(), text.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("a", "", "one\n\"\u{1}é"),
                ("list.1", "list", "two"),
                ("list.2.deep.0.0", "", "four"),
                ("list.2.in", "", "three"),
                ("list.5", "list", "five"),
                ("z.k.y.x", "k.y", "six"),
            ]
        );
    }
}
