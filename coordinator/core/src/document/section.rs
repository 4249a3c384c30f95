//! A table being read: hands out its keys and complains about those nobody asked for.

use super::{Document, Item, closest, nearly_secret};
use crate::fault::{Fault, FaultCode};
use std::{cell::RefCell, collections::BTreeSet, ops::Range};
use toml::de::DeTable;

/// A table being read. Ask for its keys, then call [`Section::finish`].
pub struct Section<'d> {
    document: &'d Document<'d>,
    path: String,
    table: &'d DeTable<'d>,
    span: Range<usize>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'d> Section<'d> {
    pub(super) fn new(
        document: &'d Document<'_>,
        path: String,
        table: &'d DeTable<'_>,
        span: Range<usize>,
    ) -> Self {
        Self { document, path, table, span, asked: RefCell::new(BTreeSet::new()) }
    }

    /// The document this is part of.
    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Item<'d>> {
        self.asked.borrow_mut().insert(key);
        self.table.get(key).map(|value| Item::new(self.document, self.join(key), value))
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &'static str, help: &str) -> Option<Item<'d>> {
        let item = self.get(key);
        if item.is_none() {
            self.fault(
                Fault::new(FaultCode::MissingKey, format!("{} lacks the key {key:?}", self.place()))
                    .help(help),
            );
        }
        item
    }

    /// Every key with its value and its own place; for tables whose keys are names that people chose.
    pub fn entries(&self) -> Vec<(String, Range<usize>, Item<'d>)> {
        let mut all: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let item = Item::new(self.document, self.join(&name), value);
                (name, key.span(), item)
            })
            .collect();
        all.sort_by_key(|(_, span, _)| span.start);
        all
    }

    /// Complains about every key nobody asked for.
    pub fn finish(self) {
        self.check_keys();
    }

    /// The same for a table that goes on being used.
    pub fn check_keys(&self) {
        let asked = self.asked.borrow();
        for (key, span, item) in self.entries() {
            if asked.contains(key.as_str()) {
                continue;
            }
            // The value under a mistyped key may be a secret ("pasword").
            if nearly_secret(&key) || asked.contains("password") {
                item.hide();
            }
            let mut fault =
                Fault::new(FaultCode::UnknownKey, format!("unknown key {key:?} in {}", self.place()));
            if let Some(word) = closest(&key, asked.iter().copied()) {
                fault.message.push_str(&format!("; did you mean {word:?}?"));
            }
            let fault = fault
                .allowed(asked.iter().copied().collect::<Vec<_>>().join(", "))
                .help("correct or delete the key; Lockkeeper ignores nothing");
            self.document.at(span, fault);
        }
    }

    /// Records a fault at this table.
    pub fn fault(&self, fault: Fault) {
        if self.span.is_empty() {
            self.document.push(fault);
        } else {
            self.document.at(self.span.clone(), fault);
        }
    }

    /// How people call this table.
    pub fn place(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("[{}]", self.path) }
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
