//! `[parameters]`: what the profile asks for; nested tables are flattened to dotted keys.

use super::values;
use crate::{
    cluster::Parameter,
    document::{Item, Section, closest},
    fault::{Fault, FaultCode},
    profile::{Profile, model::ParameterKind, place::Place, read_parameter, refused, template},
};
use std::{collections::BTreeMap, ops::Range};

type Parameters = BTreeMap<String, (Parameter, Range<usize>)>;

pub(super) fn read(top: &Section<'_>, profile: Option<&Profile>) -> Parameters {
    let mut out = Parameters::new();
    let item = top.get("parameters");
    let table = item.as_ref().and_then(|item| item.table());
    // Without a profile nothing can be said about its parameters; that it is missing is a fault already.
    let Some(profile) = profile else { return out };
    if let Some(table) = &table {
        flatten(table, "", profile, &mut out);
    }
    for (key, decl) in &profile.parameters {
        if decl.required && !out.contains_key(key) && !refers_into(table.as_ref(), key) {
            let fault = Fault::new(FaultCode::MissingParameter, format!("the parameter {key:?} is missing"))
                .allowed(format!("a {}: {}", decl.kind.word(), decl.about))
                .help(format!("the profile {} needs it under [parameters]", profile.name));
            match &table {
                Some(table) => table.fault(fault),
                None => top.document().push(fault),
            }
        }
    }
    out
}

/// Whether something stands under this key, even if it was refused.
fn refers_into(table: Option<&Section<'_>>, key: &str) -> bool {
    let Some(table) = table else { return false };
    table.entries().into_iter().any(|(name, _, item)| {
        if name == key {
            return true;
        }
        let rest = key.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('.'));
        match (rest, item.value().as_table()) {
            (Some(rest), Some(_)) => refers_into(item.table().as_ref(), rest),
            (Some(_) | None, _) => false,
        }
    })
}

fn flatten(table: &Section<'_>, prefix: &str, profile: &Profile, out: &mut Parameters) {
    for (name, span, item) in table.entries() {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match profile.parameters.get(&key) {
            Some(decl) if decl.kind == ParameterKind::Table => entries(&item, &key, profile, out),
            Some(decl) => {
                if let Some(value) = read_parameter(&item, &decl.kind)
                    && allowed_in(&item, &key, &value, profile)
                {
                    out.insert(key, (value, span));
                }
            }
            None if item.value().as_table().is_some() && leads_on(profile, &key) => {
                if let Some(inner) = item.table() {
                    flatten(&inner, &key, profile, out);
                }
            }
            None => {
                item.hide();
                table.document().at(span, unknown(profile, &key));
            }
        }
    }
}

fn leads_on(profile: &Profile, key: &str) -> bool {
    profile.parameters.keys().any(|k| k.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// The entries of a parameter of type table are parameters of their own.
fn entries(item: &Item<'_>, key: &str, profile: &Profile, out: &mut Parameters) {
    let Some(table) = item.table() else { return };
    for (name, span, item) in table.entries() {
        if let Some(value) = read_parameter(&item, &ParameterKind::Table)
            && allowed_in(&item, key, &value, profile)
        {
            out.insert(format!("{key}.{name}"), (value, span));
        }
    }
}

fn unknown(profile: &Profile, key: &str) -> Fault {
    let mut fault = Fault::new(
        FaultCode::UnknownParameter,
        format!("the profile {} knows no parameter {key:?}", profile.name),
    );
    let known = || profile.parameters.keys().map(String::as_str);
    if let Some(word) = closest(key, known()) {
        fault.message.push_str(&format!("; did you mean {word:?}?"));
    }
    // All of them would fill the screen; those of the same kind, or the kinds there are.
    let head = |key: &str| key.split('.').next().unwrap_or(key).to_owned();
    let mut near: Vec<String> = known().filter(|k| head(k) == head(key)).map(str::to_owned).collect();
    if near.is_empty() {
        near = known().map(|k| format!("{}.…", head(k))).collect();
        near.dedup();
    }
    fault.allowed(near.join(", ")).help(format!("see lockkeeper profile show {}", profile.name))
}

/// Checks the placeholders of a value against all the places the profile uses it at, and that it is no secret.
fn allowed_in(item: &Item<'_>, key: &str, value: &Parameter, profile: &Profile) -> bool {
    let texts: Vec<&str> = match value {
        Parameter::Text(text) => vec![text],
        Parameter::List(texts) => texts.iter().map(String::as_str).collect(),
        Parameter::Number(_) | Parameter::Flag(_) => Vec::new(),
    };
    let place = profile.uses.get(key).copied().unwrap_or(Place::PLAIN);
    // The last word of the key says what it is: `upgrade.env.PGPASSWORD`.
    let name = item.path().rsplit('.').next().unwrap_or(key);
    let mut good = true;
    for text in texts {
        good &= values::no_secret(item, name, text);
        match template::Template::parse(text) {
            Err(error) => {
                good = false;
                item.fault(Fault::new(FaultCode::BadPlaceholder, error.to_string()).allowed(template::SLOTS));
            }
            Ok(template) => {
                for slot in template.slots() {
                    if matches!(slot, template::Slot::Parameter(_)) {
                        good = false;
                        item.fault(
                            Fault::new(FaultCode::BadPlaceholder, format!("{slot} may not stand here"))
                                .help("a parameter is not made of parameters; write the text itself"),
                        );
                    } else if let Some(refusal) = place.refuses(slot) {
                        good = false;
                        item.fault(refused(slot, refusal));
                    }
                }
            }
        }
    }
    good
}
