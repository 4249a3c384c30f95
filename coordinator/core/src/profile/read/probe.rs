//! Proofs of a profile: `prove = [{ http = "…" }, …]`, `settle`, `interval`.

use super::Context;
use crate::{
    document::{Item, Section},
    profile::{
        model::{Alternative, ProbeTemplate, ProofTemplate, TableTemplate},
        place::Place,
        template::Template,
    },
};
use std::collections::BTreeMap;

impl Context {
    /// The proofs of a step, if it has any.
    pub(super) fn proof(&self, step: &Section<'_>, place: Place) -> Option<ProofTemplate> {
        let settle = self.text_or(step, "settle", "0s", Place::PLAIN);
        let interval = self.text_or(step, "interval", "500ms", Place::PLAIN);
        let within = self.text_or(step, "within", "5min", Place::PLAIN);
        let items = step.get("prove")?.list()?;
        let probes = items
            .iter()
            .filter_map(|item| {
                let table = item.table()?;
                let when = self.condition(&table);
                let what = self.probe(&table, item, place);
                table.finish();
                Some(Alternative { when, what: what? })
            })
            .collect();
        Some(ProofTemplate { probes, settle, interval, within })
    }

    fn probe(&self, table: &Section<'_>, item: &Item<'_>, place: Place) -> Option<ProbeTemplate> {
        let none = || TableTemplate::Entries(BTreeMap::new());
        if let Some(url) = table.get("http") {
            return Some(ProbeTemplate::Http {
                url: self.template(&url, place)?,
                status: self.text_or(table, "status", "200", place),
                contains: self.text_or(table, "contains", "", place),
                headers: table.get("headers").and_then(|i| self.table(&i, place)).unwrap_or_else(none),
                json: table.get("json").and_then(|i| self.table(&i, place)).unwrap_or_else(none),
                timeout: self.text_or(table, "timeout", "5s", Place::PLAIN),
            });
        }
        if let Some(address) = table.get("tcp") {
            let address = self.template(&address, place)?;
            return Some(ProbeTemplate::Tcp {
                address,
                timeout: self.text_or(table, "timeout", "5s", Place::PLAIN),
            });
        }
        if let Some(query) = table.get("sql") {
            let place = place.of_database();
            let query = self.template(&query, place)?;
            return Some(ProbeTemplate::Sql { query, equals: self.need_text(table, "equals", place)? });
        }
        if let Some(command) = table.get("command") {
            let command = self.command(&command, place)?;
            return Some(ProbeTemplate::Command {
                command,
                contains: self.text_or(table, "contains", "", place),
            });
        }
        if let Some(file) = table.get("log") {
            let list = |key| -> Vec<Template> {
                table.get(key).and_then(|item| self.list(&item, place)).unwrap_or_default()
            };
            return Some(ProbeTemplate::Log {
                file: self.template(&file, place)?,
                must: list("must"),
                must_not: list("must_not"),
            });
        }
        item.wrong_type("a probe: a table with one of http, tcp, sql, command, log")
    }
}
