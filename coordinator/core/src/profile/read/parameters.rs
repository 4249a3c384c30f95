//! `[parameters]` of a profile: what it asks the cluster file for.

use crate::{
    cluster::Parameter,
    document::{Item, Section},
    fault::{Fault, FaultCode},
    profile::{
        model::{ParameterDecl, ParameterKind},
        template::{SLOTS, Template},
    },
    time::Millis,
};
use std::collections::BTreeMap;
use toml::de::DeValue;

pub(super) fn read(top: &Section<'_>) -> BTreeMap<String, ParameterDecl> {
    let Some(table) = top.get("parameters").and_then(|item| item.table()) else { return BTreeMap::new() };
    table.entries().into_iter().filter_map(|(key, _, item)| Some((key, declaration(&item)?))).collect()
}

fn declaration(item: &Item<'_>) -> Option<ParameterDecl> {
    let table = item.table()?;
    let kinds = ["text", "word", "number", "flag", "duration", "list", "table"].map(|word| (word, word));
    let kind = table.need("type", "say of which type it is").and_then(|item| item.word(&kinds));
    let allowed = table.get("allowed").and_then(|item| item.texts()).unwrap_or_default();
    let kind = match kind? {
        "text" => ParameterKind::Text,
        "word" => ParameterKind::Word(allowed),
        "number" => ParameterKind::Number,
        "flag" => ParameterKind::Flag,
        "duration" => ParameterKind::Duration,
        "list" => ParameterKind::List,
        _ => ParameterKind::Table,
    };
    let required = table.get("required").and_then(|item| item.flag()).unwrap_or(false);
    let default = table.get("default").and_then(|item| {
        let value = parameter(&item, &kind)?;
        let texts = match &value {
            Parameter::Text(text) => std::slice::from_ref(text),
            Parameter::List(texts) => texts,
            Parameter::Number(_) | Parameter::Flag(_) => &[],
        };
        for error in texts.iter().filter_map(|text| Template::parse(text).err()) {
            item.fault(Fault::new(FaultCode::BadPlaceholder, error.to_string()).allowed(SLOTS));
        }
        Some(value)
    });
    let about = table.get("about").and_then(|item| item.text()).unwrap_or_default().to_owned();
    table.finish();
    Some(ParameterDecl { kind, required, default, about })
}

/// The value of a parameter, checked against its type. Tables are not values of their own.
pub(crate) fn parameter(item: &Item<'_>, kind: &ParameterKind) -> Option<Parameter> {
    let wrong = |wanted: &str| -> Option<Parameter> {
        item.fault(
            Fault::new(FaultCode::ParameterType, format!("{:?} is of the wrong type", item.path()))
                .found(item.value().type_str())
                .allowed(wanted),
        );
        None
    };
    match (kind, item.value()) {
        (ParameterKind::Text, DeValue::String(text)) => Some(Parameter::Text(text.to_string())),
        // A table's entries are texts; numbers and flags are taken as they are written.
        (ParameterKind::Table, DeValue::String(text)) => Some(Parameter::Text(text.to_string())),
        (ParameterKind::Table, DeValue::Integer(_)) => Some(Parameter::Number(item.integer()?)),
        (ParameterKind::Table, DeValue::Boolean(flag)) => Some(Parameter::Flag(*flag)),
        (ParameterKind::Table, _) => wrong("a text"),
        (ParameterKind::Text, DeValue::Integer(_)) => Some(Parameter::Number(item.integer()?)),
        (ParameterKind::Text, _) => wrong("a text"),
        (ParameterKind::Word(words), DeValue::String(text)) => {
            if words.iter().any(|word| word == text) {
                Some(Parameter::Text(text.to_string()))
            } else {
                item.fault(
                    Fault::new(FaultCode::BadWord, format!("{:?} does not know this word", item.path()))
                        .found(format!("{text:?}"))
                        .allowed(words.join(", ")),
                );
                None
            }
        }
        (ParameterKind::Word(words), _) => wrong(&format!("one of {}", words.join(", "))),
        (ParameterKind::Number, DeValue::Integer(_)) => Some(Parameter::Number(item.integer()?)),
        (ParameterKind::Number, _) => wrong("a whole number"),
        (ParameterKind::Flag, DeValue::Boolean(flag)) => Some(Parameter::Flag(*flag)),
        (ParameterKind::Flag, _) => wrong("true or false"),
        (ParameterKind::Duration, DeValue::String(text)) if Millis::parse(text).is_ok() => {
            Some(Parameter::Text(text.to_string()))
        }
        (ParameterKind::Duration, _) => wrong("a duration such as \"10s\""),
        (ParameterKind::List, DeValue::Array(_)) => Some(Parameter::List(item.texts()?)),
        (ParameterKind::List, _) => wrong("a list of texts in [ ]"),
    }
}
