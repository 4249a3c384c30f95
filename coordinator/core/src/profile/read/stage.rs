//! Stages and steps of a profile.

use super::Context;
use crate::{
    document::{Item, Section, closest},
    fault::{Fault, FaultCode},
    plan::{ActionKind, Phase},
    profile::{
        model::{On, Stage, StepTemplate, Wait, With},
        place::{Place, RuntimeUse},
        template::Template,
    },
};
use std::collections::BTreeSet;

pub(super) fn list(top: &Section<'_>, key: &'static str, context: &Context) -> Vec<Stage> {
    let Some(items) = top.get(key).and_then(|item| item.list()) else { return Vec::new() };
    let mut names = BTreeSet::new();
    items.iter().filter_map(|item| stage(item, context, &mut names)).collect()
}

fn stage(item: &Item<'_>, context: &Context, names: &mut BTreeSet<String>) -> Option<Stage> {
    let table = item.table()?;
    let name = table.need("name", "give the stage a name").and_then(|item| {
        let name = item.filled()?.to_owned();
        if !names.insert(name.clone()) {
            item.fault(Fault::new(FaultCode::DuplicateName, format!("there are two stages named {name:?}")));
        }
        Some(name)
    });
    let about = table.get("about").and_then(|i| i.text()).unwrap_or_default().to_owned();
    let wait = table.get("wait").and_then(|i| i.word(&[("all", Wait::All), ("own", Wait::Own)]));
    let serial = table.get("serial").and_then(|i| i.flag()).unwrap_or(false);
    let first = table.get("first").and_then(|i| i.word(&[("upgrader", true)])).unwrap_or(false);
    let phases = [("before", Phase::Before), ("outage", Phase::Outage), ("after", Phase::After)];
    let phase = table.get("phase").and_then(|i| i.word(&phases));
    let items = table.need("step", "give the stage at least one [[…step]]").and_then(|i| i.list());
    let steps: Vec<StepTemplate> =
        items.unwrap_or_default().iter().filter_map(|item| step(item, context)).collect();
    if first && !serial {
        table.fault(
            Fault::new(FaultCode::BadStep, "a stage with a first member must be serial")
                .help("add serial = true"),
        );
    }
    // A stage is one lane for each member or one for each database; both at once would have no order.
    if steps.windows(2).any(|pair| (pair[0].on == On::Each) != (pair[1].on == On::Each)) {
        table.fault(
            Fault::new(FaultCode::BadStep, "a stage's steps are either all on members or all on databases")
                .help("make two stages of it"),
        );
    }
    table.finish();
    Some(Stage {
        name: name?,
        about,
        wait: wait.unwrap_or(Wait::All),
        serial,
        first_upgrader: first,
        phase,
        steps,
    })
}

fn step(item: &Item<'_>, context: &Context) -> Option<StepTemplate> {
    let table = item.table()?;
    let kind = table.need("do", "say what the step does").and_then(|item| kind(&item));
    let on = table.get("on").and_then(|i| {
        i.word(&[("each", On::Each), ("database", On::Database), ("holder", On::Holder)]).map(|on| (on, i))
    });
    let when = context.condition(&table);
    let place = |on: On| match on {
        On::Each => Place::PLAIN.of_member().with_versions(),
        On::Database => Place::PLAIN.of_database().with_versions(),
        On::Holder => Place::PLAIN.of_member().of_database().with_versions(),
    };
    let natural = kind.map_or(On::Each, natural);
    if let Some((found, at)) = on.as_ref().filter(|(found, _)| *found != natural && kind.is_some()) {
        let word = |on: On| match on {
            On::Each => "each",
            On::Database => "database",
            On::Holder => "holder",
        };
        at.fault(
            Fault::new(FaultCode::BadStep, "this step is done elsewhere")
                .found(format!("{:?}", word(*found)))
                .allowed(format!("on = {:?}", word(natural))),
        );
    }
    let with = with(&table, kind, place(natural), context);
    let prove = context.proof(&table, place(natural));
    if matches!(kind, Some(ActionKind::Prove | ActionKind::Run)) && prove.is_none() {
        table.fault(
            Fault::new(FaultCode::BadStep, "this step has no proof")
                .help("add prove = [{ http = \"…\" }] or another probe"),
        );
    }
    if prove.is_some() && natural != On::Each {
        table.fault(Fault::new(FaultCode::BadStep, "only a member can be proven by probes"));
    }
    let undo = table.get("undo").and_then(|i| i.text()).unwrap_or_default().to_owned();
    let facts = table.get("facts").and_then(|i| i.texts()).unwrap_or_default();
    let duration =
        |key| -> Option<Template> { table.get(key).and_then(|i| context.template(&i, Place::PLAIN)) };
    let (soft, hard, estimate) = (duration("soft"), duration("hard"), duration("estimate"));
    table.finish();
    Some(StepTemplate {
        kind: kind?,
        on: natural,
        when,
        with: with?,
        prove,
        undo,
        facts,
        soft,
        hard,
        estimate,
    })
}

fn with(table: &Section<'_>, kind: Option<ActionKind>, place: Place, context: &Context) -> Option<With> {
    let needs = match kind {
        Some(ActionKind::UpgradeDatabase | ActionKind::Run) => {
            table.need("with", "say with = { command = [\"…\"] }")?.table()?
        }
        Some(_) | None => return Some(With::Nothing),
    };
    let run_time =
        if kind == Some(ActionKind::UpgradeDatabase) { RuntimeUse::Everything } else { RuntimeUse::Nothing };
    let command = context.need_command(&needs, "command", place.with_runtime(run_time));
    let with = if kind == Some(ActionKind::UpgradeDatabase) {
        let resumes = context.text_or(&needs, "resumes", "false", Place::PLAIN.of_database());
        command.map(|command| With::Upgrade { command, resumes })
    } else {
        command.map(|command| With::Run { command })
    };
    needs.finish();
    with
}

fn kind(item: &Item<'_>) -> Option<ActionKind> {
    let text = item.text()?;
    let open = || ActionKind::ALL.into_iter().filter(|kind| !reserved(*kind));
    match ActionKind::ALL.into_iter().find(|kind| kind.as_str() == text) {
        Some(kind) if reserved(kind) => {
            item.fault(
                Fault::new(
                    FaultCode::ReservedStep,
                    format!("the planner itself places {kind:?}", kind = kind.as_str()),
                )
                .help("delete it: every upgrade-database gets its grant's steps around it, and a restore behind it"),
            );
            None
        }
        Some(kind) => Some(kind),
        None => {
            let mut fault = Fault::new(FaultCode::UnknownStep, format!("unknown step {text:?}"));
            if let Some(word) = closest(text, open().map(ActionKind::as_str)) {
                fault.message.push_str(&format!("; did you mean {word:?}?"));
            }
            item.fault(fault.allowed(open().map(ActionKind::as_str).collect::<Vec<_>>().join(", ")));
            None
        }
    }
}

/// Steps of a grant, of the restore and of an adoption: leaving one out or putting it elsewhere would break the grant or the fixed order
/// of a restore, so no profile may.
const fn reserved(kind: ActionKind) -> bool {
    matches!(
        kind,
        ActionKind::MintCredential
            | ActionKind::AdmitHolder
            | ActionKind::CloseGrant
            | ActionKind::RestoreDatabase
            | ActionKind::JudgeSchema
    )
}

/// What a kind of step is repeated for.
const fn natural(kind: ActionKind) -> On {
    match kind {
        ActionKind::StageRelease
        | ActionKind::SwitchRelease
        | ActionKind::Drain
        | ActionKind::Admit
        | ActionKind::StopService
        | ActionKind::StartService
        | ActionKind::Prove
        | ActionKind::Run => On::Each,
        ActionKind::ProveNoWriters
        | ActionKind::Backup
        | ActionKind::ProveBackup
        | ActionKind::ShutDoor
        | ActionKind::OpenDoor
        | ActionKind::RestoreDatabase
        | ActionKind::JudgeSchema => On::Database,
        ActionKind::MintCredential
        | ActionKind::AdmitHolder
        | ActionKind::UpgradeDatabase
        | ActionKind::CloseGrant => On::Holder,
    }
}
