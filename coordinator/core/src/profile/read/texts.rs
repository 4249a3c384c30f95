//! Reading templates, and checking each slot against the place it stands at.

use super::Context;
use crate::{
    document::{Item, Section},
    fault::{Fault, FaultCode},
    profile::{
        model::{ParameterKind, TableTemplate},
        place::{Place, Refusal},
        template::{SLOTS, Slot, Template},
    },
};
use std::collections::BTreeMap;
use toml::de::DeValue;

impl Context {
    /// A text, number or flag as a template.
    pub(super) fn template(&self, item: &Item<'_>, place: Place) -> Option<Template> {
        let text = match item.value() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) => item.integer()?.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return item.wrong_type("text, a whole number, true or false");
            }
        };
        let template = self.parse(item, &text)?;
        self.check(item, &template, place, false);
        Some(template)
    }

    fn parse(&self, item: &Item<'_>, text: &str) -> Option<Template> {
        Template::parse(text)
            .map_err(|error| {
                item.fault(
                    Fault::new(FaultCode::BadPlaceholder, error.to_string())
                        .found(format!("{text:?}"))
                        .allowed(SLOTS),
                );
            })
            .ok()
    }

    /// Checks the slots of a template; `list` says that lists may stand here.
    pub(super) fn check(&self, item: &Item<'_>, template: &Template, place: Place, list: bool) {
        for slot in template.slots() {
            if let Some(refusal) = place.refuses(slot) {
                item.fault(refused(slot, refusal));
            }
            if let Slot::Parameter(key) = slot {
                self.used(item, key, place, list && template.only_parameter().is_some());
            }
        }
    }

    fn used(&self, item: &Item<'_>, key: &str, place: Place, list: bool) {
        let Some(decl) = self.parameters.get(key) else {
            item.fault(self.undeclared(key));
            return;
        };
        let fits = match decl.kind {
            ParameterKind::List => list,
            ParameterKind::Table => false,
            ParameterKind::Text
            | ParameterKind::Word(_)
            | ParameterKind::Number
            | ParameterKind::Flag
            | ParameterKind::Duration => true,
        };
        if !fits {
            item.fault(
                Fault::new(FaultCode::ParameterType, format!("the parameter {key:?} cannot stand here"))
                    .found(format!("a {}", decl.kind.word()))
                    .help("a list may stand alone in a list, a table alone in place of a table"),
            );
        }
        self.uses_at(key, place);
    }

    fn uses_at(&self, key: &str, place: Place) {
        let mut uses = self.uses.borrow_mut();
        let known = uses.get(key).map_or(place, |known| known.and(place));
        uses.insert(key.to_owned(), known);
    }

    /// A template that must be there.
    pub(super) fn need_text(&self, table: &Section<'_>, key: &'static str, place: Place) -> Option<Template> {
        let item = table.need(key, &format!("write {key} = \"…\""))?;
        self.template(&item, place)
    }

    /// A template, or a default that is known to parse.
    pub(super) fn text_or(
        &self,
        table: &Section<'_>,
        key: &'static str,
        default: &str,
        place: Place,
    ) -> Template {
        let read = table.get(key).and_then(|item| self.template(&item, place));
        read.or_else(|| Template::parse(default).ok()).unwrap_or_else(|| Template::literal(default))
    }

    /// A list of templates, or one parameter of type list.
    pub(super) fn list(&self, item: &Item<'_>, place: Place) -> Option<Vec<Template>> {
        let items = match item.value() {
            DeValue::String(_) => vec![item.clone()],
            DeValue::Array(_) => item.list()?,
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => return item.wrong_type("a list of texts"),
        };
        let mut out = Vec::new();
        for item in &items {
            let Some(template) = item.text().and_then(|text| self.parse(item, text)) else { continue };
            self.check(item, &template, place, true);
            out.push(template);
        }
        Some(out)
    }

    /// A table of templates, or one parameter of type table.
    pub(super) fn table(&self, item: &Item<'_>, place: Place) -> Option<TableTemplate> {
        if let DeValue::String(text) = item.value() {
            let template = self.parse(item, text)?;
            let Some(key) = template.only_parameter() else {
                return item.wrong_type("a table, or \"{parameter.KEY}\" of type table");
            };
            match self.parameters.get(key).map(|decl| &decl.kind) {
                None => item.fault(self.undeclared(key)),
                Some(ParameterKind::Table) => self.uses_at(key, place),
                Some(other) => item.fault(
                    Fault::new(FaultCode::ParameterType, format!("the parameter {key:?} cannot stand here"))
                        .found(format!("a {}", other.word()))
                        .allowed("a table"),
                ),
            }
            return Some(TableTemplate::Parameter(key.to_owned()));
        }
        let mut entries = BTreeMap::new();
        for (key, _, value) in item.table()?.entries() {
            if let Some(template) = self.template(&value, place) {
                entries.insert(key, template);
            }
        }
        Some(TableTemplate::Entries(entries))
    }
}

/// The fault of a slot at a place where it may not stand.
pub(crate) fn refused(slot: &Slot, refusal: Refusal) -> Fault {
    let code = match refusal {
        Refusal::Password => FaultCode::PasswordInArguments,
        Refusal::Runtime => FaultCode::RuntimePlaceholder,
        Refusal::NoMember | Refusal::NoDatabase | Refusal::NoVersions => FaultCode::BadPlaceholder,
    };
    Fault::new(code, format!("{slot} may not stand here")).help(refusal.text())
}
