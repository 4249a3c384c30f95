//! One value of a document, asked for by type. Each question answers `None` after it recorded the fault.

use super::{Document, Section, closest};
use crate::{
    fault::{Fault, FaultCode},
    ids::NameError,
    time::Millis,
};
use std::ops::{Range, RangeInclusive};
use toml::{Spanned, de::DeValue};

/// A value with its place.
#[derive(Clone)]
pub struct Item<'d> {
    document: &'d Document<'d>,
    path: String,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Item<'d> {
    pub(super) fn new(document: &'d Document<'_>, path: String, value: &'d Spanned<DeValue<'_>>) -> Self {
        Self { document, path, value }
    }

    /// Dotted path from the top.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Bytes of the text.
    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// The bare value, for readers that take several types.
    pub fn value(&self) -> &'d DeValue<'d> {
        self.value.get_ref()
    }

    /// Records a fault at this value.
    pub fn fault(&self, fault: Fault) {
        self.document.at(self.span(), fault);
    }

    /// Hides this value, or everything in it, from excerpts.
    pub fn hide(&self) {
        fn leaves(document: &Document<'_>, value: &Spanned<DeValue<'_>>) {
            match value.get_ref() {
                DeValue::Table(table) => table.values().for_each(|inner| leaves(document, inner)),
                DeValue::Array(array) => array.iter().for_each(|inner| leaves(document, inner)),
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => document.hide(value.span()),
            }
        }
        leaves(self.document, self.value);
    }

    /// Records that another type was expected.
    pub fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        self.fault(
            Fault::new(FaultCode::WrongType, format!("{:?} is of the wrong type", self.path))
                .found(self.value.get_ref().type_str())
                .allowed(wanted)
                .help("see the sample file"),
        );
        None
    }

    /// A text.
    pub fn text(&self) -> Option<&'d str> {
        self.value.get_ref().as_str().or_else(|| self.wrong_type("text in quotes"))
    }

    /// A text that says something.
    pub fn filled(&self) -> Option<&'d str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.fault(
                Fault::new(FaultCode::BadText, format!("{:?} is empty", self.path))
                    .allowed("a text that is not empty"),
            );
            return None;
        }
        Some(text)
    }

    /// Yes or no.
    pub fn flag(&self) -> Option<bool> {
        self.value.get_ref().as_bool().or_else(|| self.wrong_type("true or false"))
    }

    /// A whole number.
    pub fn integer(&self) -> Option<i64> {
        match self.value.get_ref().as_integer() {
            None => self.wrong_type("a whole number"),
            Some(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Some(number),
                Err(_) => self.range_fault(number.as_str(), "a whole number of 64 bits"),
            },
        }
    }

    /// A whole number inside bounds.
    pub fn number(&self, bounds: RangeInclusive<u32>) -> Option<u32> {
        let number = self.integer()?;
        match u32::try_from(number) {
            Ok(n) if bounds.contains(&n) => Some(n),
            Ok(_) | Err(_) => {
                self.range_fault(&number.to_string(), &format!("{} to {}", bounds.start(), bounds.end()))
            }
        }
    }

    fn range_fault<T>(&self, found: &str, allowed: &str) -> Option<T> {
        self.fault(
            Fault::new(FaultCode::OutOfRange, format!("{:?} is out of its bounds", self.path))
                .found(found)
                .allowed(allowed),
        );
        None
    }

    /// A duration such as `10s`.
    pub fn duration(&self) -> Option<Millis> {
        let text = self.text()?;
        Millis::parse(text)
            .map_err(|error| {
                self.fault(
                    Fault::new(FaultCode::BadDuration, format!("{:?} is not a duration", self.path))
                        .found(error.found)
                        .allowed("a whole number and ms, s, min or h, such as \"10s\""),
                );
            })
            .ok()
    }

    /// One of some words.
    pub fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list = words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
            let mut fault =
                Fault::new(FaultCode::BadWord, format!("{:?} does not know this word", self.path));
            if let Some(word) = closest(text, words.iter().map(|(word, _)| *word)) {
                fault.message.push_str(&format!("; did you mean {word:?}?"));
            }
            self.fault(fault.found(format!("{text:?}")).allowed(list));
        }
        found
    }

    /// A name.
    pub fn name<T: std::str::FromStr<Err = NameError>>(&self) -> Option<T> {
        let text = self.text()?;
        text.parse().map_err(|error: NameError| self.document.at(self.span(), bad_name(text, &error))).ok()
    }

    /// A list's values.
    pub fn list(&self) -> Option<Vec<Item<'d>>> {
        match self.value.get_ref().as_array() {
            None => self.wrong_type("a list in [ ]"),
            Some(array) => Some(
                array
                    .iter()
                    .enumerate()
                    .map(|(i, value)| Item::new(self.document, format!("{}[{i}]", self.path), value))
                    .collect(),
            ),
        }
    }

    /// A list of texts; faulty ones are left out after they were recorded.
    pub fn texts(&self) -> Option<Vec<String>> {
        Some(self.list()?.iter().filter_map(|item| item.text().map(str::to_owned)).collect())
    }

    /// A table.
    pub fn table(&self) -> Option<Section<'d>> {
        match self.value.get_ref().as_table() {
            None => self.wrong_type("a table"),
            Some(table) => Some(Section::new(self.document, self.path.clone(), table, self.span())),
        }
    }
}

/// The fault of a text that is no name.
pub fn bad_name(text: &str, error: &NameError) -> Fault {
    let found = match error {
        NameError::Empty => "nothing".to_owned(),
        NameError::TooLong(bytes) => format!("{bytes} bytes"),
        NameError::Character(character) => format!("{character:?}"),
    };
    Fault::new(FaultCode::BadName, format!("{text:?} is not a name")).found(found).allowed(format!(
        "1 to {} of a-z, 0-9, '-' and '_', beginning with a letter or digit",
        crate::ids::NAME_MAX
    ))
}
