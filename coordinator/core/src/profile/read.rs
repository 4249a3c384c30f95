//! Reads a profile; every fault at once, each with its place.

mod command;
mod parameters;
mod probe;
mod stage;
mod texts;

pub(crate) use parameters::parameter as read_parameter;
pub(crate) use texts::refused;

use super::{
    ladder::Ladder,
    model::{
        Alternative, Condition, CredentialTemplate, Eligible, On, ParameterDecl, Profile, ReleaseLayout,
        SchemaTemplate, ServiceTemplate, Stage, VersionTemplate,
    },
    place::{Place, RuntimeUse},
    template::{Part, Slot, Template},
};
use crate::{
    cluster::Parameter,
    document::{Document, Item, Section, closest},
    fault::{Fault, FaultCode, Report},
    ids::{Digest, ProfileName},
    plan::ActionKind,
    version::Version,
};
use std::{cell::RefCell, collections::BTreeMap};

/// The profile format this version reads.
pub const FORMAT: i64 = 1;

/// What the parts of the reader share: declared parameters, and where each is used.
pub(super) struct Context {
    parameters: BTreeMap<String, ParameterDecl>,
    uses: RefCell<BTreeMap<String, Place>>,
}

/// Reads a profile from its text.
pub fn read_profile(file: &str, text: &str) -> Result<Profile, Report> {
    let (document, root) = Document::parse(file, text);
    let profile = profile(&document.section(String::new(), &root, 0..0), text);
    match profile {
        Some(profile) if !document.failed() => Ok(profile),
        Some(_) | None => Err(document.finish()),
    }
}

fn profile(top: &Section<'_>, text: &str) -> Option<Profile> {
    let format = top.need("format", "write format = 1").and_then(|item| {
        let found = item.integer()?;
        if found != FORMAT {
            item.fault(
                Fault::new(FaultCode::ProfileFormat, "this profile has another format")
                    .found(found.to_string())
                    .allowed(FORMAT.to_string())
                    .help("use a Lockkeeper that knows this format"),
            );
        }
        (found == FORMAT).then_some(())
    });
    // Of another format nothing else can be said; its keys may mean anything.
    if top.get("format").is_some() && format.is_none() {
        return None;
    }
    let name = top.need("profile", "write profile = \"NAME\"").and_then(|item| item.name::<ProfileName>());
    let about = top.get("about").and_then(|item| item.text()).unwrap_or_default().to_owned();
    let context = Context { parameters: parameters::read(top), uses: RefCell::default() };
    let (ladder, same_schema) = ladder(top, &context).unzip();
    let upgrader = upgrader(top);
    let release = release(top, &context);
    let service = alternatives(top, "service", &context, service);
    let version = alternatives(top, "version", &context, version);
    let credential = alternatives(top, "credential", &context, credential);
    let schema = top.get("schema").and_then(|item| item.table()).map(|s| schema(s, &context));
    let stages = stage::list(top, "stage", &context);
    let undo = stage::list(top, "undo", &context);
    top.check_keys();
    defaults(top, &context);
    // What is missing may be what could not be read.
    if !top.document().failed() {
        whole(top, &service, &stages, &undo);
    }
    Some(Profile {
        name: name?,
        about,
        digest: Digest::of(text.as_bytes()),
        parameters: context.parameters,
        ladder: ladder?,
        same_schema: same_schema?,
        upgrader: upgrader?,
        release: release?,
        service,
        version,
        schema,
        credential,
        stages,
        undo,
        uses: context.uses.into_inner(),
    })
}

fn ladder(top: &Section<'_>, context: &Context) -> Option<(Ladder, Vec<Template>)> {
    let item = top.need("ladder", "write ladder = { any = true } or { versions = [...], max_hop = 1 }")?;
    let table = item.table()?;
    let any = table.get("any").and_then(|i| i.flag()).unwrap_or(false);
    let versions = table.get("versions");
    let max_hop = table.get("max_hop").map_or(Some(1), |i| i.number(1..=100));
    let same_schema = table.get("same_schema").map(|item| same_schema(&item, context));
    table.finish();
    let bad = |text: &str| -> Option<Ladder> {
        item.fault(
            Fault::new(FaultCode::BadLadder, text)
                .allowed("{ any = true }, or { versions = [\"1.0\", \"2.0\", ...] rising, max_hop = 1 }"),
        );
        None
    };
    let ladder = match (any, versions) {
        (true, None) => Some(Ladder::Any),
        (true, Some(_)) => bad("a ladder is either any or a list of versions"),
        (false, None) => bad("this ladder leads nowhere"),
        (false, Some(versions)) => {
            let versions: Vec<Version> = versions.list()?.iter().filter_map(read_version).collect();
            if versions.len() < 2 || versions.windows(2).any(|pair| pair[0] >= pair[1]) {
                bad("a ladder has at least two versions, each higher than the one before");
                return None;
            }
            Some(Ladder::Rungs { versions, max_hop: max_hop? })
        }
    };
    Some((ladder?, same_schema.unwrap_or(Some(Vec::new()))?))
}

/// Versions that have one schema. A text without placeholders is read here already.
fn same_schema(item: &Item<'_>, context: &Context) -> Option<Vec<Template>> {
    let texts = context.list(item, Place::PLAIN)?;
    for text in texts.iter().filter(|text| text.slots().next().is_none()) {
        let plain: String =
            text.parts().iter().map(|part| if let Part::Text(text) = part { text } else { "" }).collect();
        if plain.split_whitespace().count() < 2 || plain.split_whitespace().any(|v| Version::new(v).is_err())
        {
            item.fault(
                Fault::new(FaultCode::BadLadder, "these are no versions that have one schema")
                    .found(format!("{plain:?}"))
                    .allowed("two or more versions with spaces between them, such as \"26.5.0 26.5.1\""),
            );
        }
    }
    Some(texts)
}

fn read_version(item: &Item<'_>) -> Option<Version> {
    let text = item.text()?;
    Version::new(text)
        .map_err(|error| {
            item.fault(
                Fault::new(FaultCode::BadVersion, "this is not a version")
                    .found(format!("{:?}", error.found))
                    .allowed("0-9, a-z, A-Z, '.', '-', '+', beginning with a letter or digit"),
            );
        })
        .ok()
}

fn upgrader(top: &Section<'_>) -> Option<Eligible> {
    let Some(item) = top.get("upgrader") else { return Some(Eligible::Any) };
    let table = item.table()?;
    let any = table.get("any").map(|i| i.flag());
    let pinned = table.get("pinned").map(|i| i.filled().map(str::to_owned));
    table.finish();
    match (any, pinned) {
        (Some(Some(true)), None) => Some(Eligible::Any),
        (None, Some(role)) => Some(Eligible::Pinned(role?)),
        (_, _) => {
            item.fault(Fault::new(FaultCode::BadStep, "who may upgrade is not said clearly").allowed(
                "{ any = true }, or { pinned = \"ROLE\" } for members with the label role = \"ROLE\"",
            ));
            None
        }
    }
}

fn release(top: &Section<'_>, context: &Context) -> Option<ReleaseLayout> {
    let table = top.need("release", "say where releases lie: [release] root, each, link")?.table()?;
    let root = context.need_text(&table, "root", Place::PLAIN.of_member());
    let each = context.text_or(&table, "each", "{version}", Place::PLAIN.of_member().with_versions());
    let link = context.text_or(&table, "link", "current", Place::PLAIN.of_member());
    let source = context.text_or(&table, "source", "", Place::PLAIN.of_member().with_versions());
    // The layout cannot be made of itself.
    for (key, template) in [("root", root.as_ref()), ("each", Some(&each)), ("link", Some(&link))] {
        let own = |slot: &&Slot| **slot == Slot::ReleaseLink || (key == "each" && **slot == Slot::Release);
        if let (Some(slot), Some(item)) = (template.and_then(|t| t.slots().find(own)), table.get(key)) {
            item.fault(Fault::new(FaultCode::BadPlaceholder, format!("{slot} is made of this very key")));
        }
    }
    table.finish();
    Some(ReleaseLayout { root: root?, each, link, source })
}

fn schema(table: Section<'_>, context: &Context) -> SchemaTemplate {
    let query = context.need_text(&table, "query", Place::PLAIN.of_database());
    let after = context.text_or(&table, "after", "", Place::PLAIN.of_database().with_versions());
    table.finish();
    SchemaTemplate { query: query.unwrap_or_else(|| Template::literal("")), after }
}

/// A list of tables `[[key]]`, each with an optional `when`.
fn alternatives<T>(
    top: &Section<'_>,
    key: &'static str,
    context: &Context,
    read: impl Fn(&Section<'_>, &Context) -> Option<T>,
) -> Vec<Alternative<T>> {
    let Some(items) = top.get(key).and_then(|item| item.list()) else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| {
            let table = item.table()?;
            let when = context.condition(&table);
            let what = read(&table, context);
            table.finish();
            Some(Alternative { when, what: what? })
        })
        .collect()
}

fn service(table: &Section<'_>, context: &Context) -> Option<ServiceTemplate> {
    let place = Place::PLAIN.of_member().with_versions().with_runtime(RuntimeUse::Everything);
    let kinds = [("process", true), ("command", false)];
    let process = table.need("kind", "write kind = \"process\" or \"command\"")?.word(&kinds)?;
    if process {
        let command = context.need_command(table, "command", place);
        let log = context.need_text(table, "log", Place::PLAIN.of_member().with_versions());
        let stop_wait = context.text_or(table, "stop_wait", "30s", Place::PLAIN);
        Some(ServiceTemplate::Process { command: command?, log: log?, stop_wait })
    } else {
        let start = context.need_command(table, "start", place);
        let stop = context.need_command(table, "stop", place);
        let status = context.need_command(table, "status", place);
        Some(ServiceTemplate::Command { start: start?, stop: stop?, status: status? })
    }
}

fn version(table: &Section<'_>, context: &Context) -> Option<VersionTemplate> {
    let place = Place::PLAIN.of_member();
    let file = table.get("file").map(|item| context.template(&item, place));
    let link = table.get("link").map(|item| context.template(&item, place));
    let command = table.get("command").map(|item| context.command(&item, place));
    match (file, link, command) {
        (Some(file), None, None) => Some(VersionTemplate::File(file?)),
        (None, Some(link), None) => Some(VersionTemplate::Link(link?)),
        (None, None, Some(command)) => Some(VersionTemplate::Command(command?)),
        (_, _, _) => one_of(table, "file, link, command"),
    }
}

fn credential(table: &Section<'_>, context: &Context) -> Option<CredentialTemplate> {
    let place = Place::PLAIN.with_versions().with_runtime(RuntimeUse::Everything);
    let environment = table.get("environment").map(|item| context.table(&item, place));
    let file = table
        .get("file_template")
        .map(|item| context.template(&item, Place::PLAIN.of_member().with_versions()));
    match (environment, file) {
        (Some(environment), None) => Some(CredentialTemplate::Environment(environment?)),
        (None, Some(file)) => Some(CredentialTemplate::FileTemplate(file?)),
        (_, _) => one_of(table, "environment, file_template"),
    }
}

fn one_of<T>(table: &Section<'_>, keys: &str) -> Option<T> {
    table.fault(
        Fault::new(FaultCode::BadStep, format!("{} must have exactly one of these keys", table.place()))
            .allowed(keys),
    );
    None
}

/// Defaults may hold placeholders, but only such as have a meaning wherever the parameter is used.
fn defaults(top: &Section<'_>, context: &Context) {
    let uses = context.uses.borrow();
    for (key, decl) in &context.parameters {
        let Some(Parameter::Text(text)) = &decl.default else { continue };
        let place = uses.get(key).copied().unwrap_or(Place::PLAIN);
        let Ok(template) = Template::parse(text) else { continue };
        for (slot, refusal) in template.slots().filter_map(|slot| Some((slot, place.refuses(slot)?))) {
            let mut fault = refused(slot, refusal);
            fault.message = format!("the default of the parameter {key:?}: {}", fault.message);
            top.document().push(fault);
        }
    }
}

/// What every offline upgrade must do and no profile may leave out.
fn whole(top: &Section<'_>, service: &[Alternative<ServiceTemplate>], stages: &[Stage], undo: &[Stage]) {
    let kinds: Vec<ActionKind> = stages.iter().flat_map(|s| &s.steps).map(|s| s.kind).collect();
    let has = |kind: ActionKind| kinds.contains(&kind);
    let back = |kind: ActionKind| undo.iter().flat_map(|s| &s.steps).any(|s| s.kind == kind);
    let lacks = |text: String| {
        let fault = Fault::new(FaultCode::IncompleteProfile, text).help("see the built-in profile generic");
        top.document().push(fault);
    };
    let uses_service = has(ActionKind::StartService) || has(ActionKind::StopService);
    if uses_service && service.is_empty() {
        lacks("the profile starts or stops a service but has no [[service]]".into());
    }
    for (take, give) in [
        (ActionKind::Drain, ActionKind::Admit),
        (ActionKind::StopService, ActionKind::StartService),
        (ActionKind::ShutDoor, ActionKind::OpenDoor),
    ] {
        if has(take) && !has(give) {
            lacks(format!("a [[stage]] has the step {take} but none has {give}"));
        }
        if has(take) && !back(give) {
            lacks(format!("a [[stage]] has the step {take} but no [[undo]] has {give}"));
        }
    }
    if has(ActionKind::UpgradeDatabase) {
        for kind in [
            ActionKind::StopService,
            ActionKind::ProveNoWriters,
            ActionKind::Backup,
            ActionKind::ProveBackup,
            ActionKind::ShutDoor,
        ] {
            if !has(kind) {
                lacks(format!("a database is upgraded without the step {kind}"));
            }
        }
    }
    for step in undo.iter().flat_map(|s| &s.steps).filter(|s| s.on == On::Holder) {
        lacks(format!("the step {} cannot be part of the way back", step.kind));
    }
}

impl Context {
    /// `when = "KEY"` or `when = "KEY = VALUE"`.
    fn condition(&self, table: &Section<'_>) -> Condition {
        let Some((item, text)) = table.get("when").and_then(|item| Some((item.clone(), item.text()?))) else {
            return Condition::Always;
        };
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value.trim().to_owned())),
            None => (text.trim(), None),
        };
        if !self.parameters.contains_key(key) {
            item.fault(self.undeclared(key));
        }
        match value {
            Some(value) => Condition::Is(key.to_owned(), value),
            None => Condition::Set(key.to_owned()),
        }
    }

    fn undeclared(&self, key: &str) -> Fault {
        let mut fault =
            Fault::new(FaultCode::UndeclaredParameter, format!("this profile declares no parameter {key:?}"));
        if let Some(word) = closest(key, self.parameters.keys().map(String::as_str)) {
            fault.message.push_str(&format!("; did you mean {word:?}?"));
        }
        fault.help("declare it under [parameters]")
    }
}
