//! Commands of a profile: an argument vector, or a table with environment, directory and limits.

use super::Context;
use crate::{
    document::{Item, Section},
    profile::{
        model::{CommandTemplate, TableTemplate},
        place::{Place, RuntimeUse},
        template::Template,
    },
};
use std::collections::BTreeMap;
use toml::de::DeValue;

impl Context {
    /// A command that must be there.
    pub(super) fn need_command(
        &self,
        table: &Section<'_>,
        key: &'static str,
        place: Place,
    ) -> Option<CommandTemplate> {
        let item = table.need(key, &format!("write {key} = [\"PROGRAM\", \"ARGUMENT\"]"))?;
        self.command(&item, place)
    }

    /// A command. `place` is that of its environment; arguments never take a password.
    pub(super) fn command(&self, item: &Item<'_>, place: Place) -> Option<CommandTemplate> {
        let arguments = place.with_runtime(place.runtime.min(RuntimeUse::Arguments));
        if !matches!(item.value(), DeValue::Table(_)) {
            return Some(CommandTemplate {
                argv: self.list(item, arguments)?,
                env: TableTemplate::Entries(BTreeMap::new()),
                dir: Template::literal(""),
                shell: false,
                timeout: None,
                success: vec![0],
            });
        }
        let table = item.table()?;
        let argv = table
            .need("argv", "write argv = [\"PROGRAM\", \"ARGUMENT\"]")
            .and_then(|item| self.list(&item, arguments));
        let env = table.get("env").and_then(|item| self.table(&item, place));
        let dir = self.text_or(&table, "dir", "", place.with_runtime(RuntimeUse::Nothing));
        let shell = table.get("shell").and_then(|item| item.flag()).unwrap_or(false);
        let timeout = table.get("timeout").and_then(|item| self.template(&item, Place::PLAIN));
        let success = table.get("success").and_then(|item| item.list()).map_or(vec![0], |items| {
            items.iter().filter_map(|item| i32::try_from(item.number(0..=255)?).ok()).collect()
        });
        table.finish();
        Some(CommandTemplate {
            argv: argv?,
            env: env.unwrap_or(TableTemplate::Entries(BTreeMap::new())),
            dir,
            shell,
            timeout,
            success,
        })
    }
}
