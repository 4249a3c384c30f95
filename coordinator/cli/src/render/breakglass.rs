//! The break-glass sheet as text, for a person at three in the morning: what first, what then, and the lines to paste.

use super::{moment::Moment, table::Table};
use crate::offline::Source;
use lockkeeper_core::{
    guard::Opening,
    view::breakglass::{HandStep, RolloutSheet, Sheet},
};
use std::fmt::Write as _;

/// The whole sheet.
pub fn text(source: &Source, sheet: &Sheet, opening: Option<&Opening>, moment: &Moment) -> String {
    let mut text = String::new();
    // Writing into a text cannot fail.
    let _ = writeln!(text, "BREAK GLASS  cluster {}  from {}", sheet.cluster, source.data.display());
    let node = if source.node.is_empty() { "a node without a readable identity" } else { &source.node };
    let _ = writeln!(
        text,
        "node {node}, group {} generation {}, log end {}",
        source.group, source.generation, source.log_end
    );
    let _ = writeln!(
        text,
        "state as of {} (log index {}); store last written {}",
        moment.since(sheet.as_of),
        sheet.applied.0,
        moment.since(source.written)
    );
    if sheet.held > sheet.applied {
        let _ = writeln!(
            text,
            "entries {} to {} are held and not known to be committed: what rests on them is marked `perhaps`",
            sheet.applied.0 + 1,
            sheet.held.0
        );
    }
    text.push_str("The group may have gone on without this node. Ask another node too, if one is there: the higher index knows more.\n");
    if let Some(opening) = opening {
        let _ = writeln!(text, "{}", opened("this host", opening, moment));
    }
    match &sheet.rollout {
        None => {
            text.push_str("\nno rollout is active here: nothing is owed, nothing is to be done by hand\n")
        }
        Some(rollout) => whole(&mut text, rollout, moment),
    }
    text
}

/// One line on a guard that a person opened.
pub fn opened(whose: &str, opening: &Opening, moment: &Moment) -> String {
    let state = if opening.counts(moment.now.max(opening.opened)) { "is OPEN" } else { "was open" };
    let what = if opening.once { "the next start" } else { "every start" };
    let used = opening.last_use.map(|at| format!("; let {} through, last {}", opening.uses, moment.since(at)));
    format!(
        "boot guard of {whose} {state} for {what} until {}, by {}: {}{}",
        moment.stamp(opening.until),
        opening.by,
        opening.reason,
        used.unwrap_or_default()
    )
}

fn whole(text: &mut String, rollout: &RolloutSheet, moment: &Moment) {
    let _ = writeln!(
        text,
        "\nROLLOUT {}  {} -> {}  {}  {} of {} steps settled  plan {}",
        rollout.id, rollout.from, rollout.to, rollout.state, rollout.done, rollout.total, rollout.plan
    );
    match rollout.point_of_no_return {
        None => text.push_str("point of no return: not passed; `Back` below is enough\n"),
        Some(at) => {
            let _ = writeln!(
                text,
                "point of no return: PASSED {}; either `Forward`, or `Backup` and then `Back`",
                moment.since(at)
            );
        }
    }
    head(text, 1, "Stop Lockkeeper, so that nothing acts beside you");
    text.push_str("   systemctl stop lockkeeper   # on every host that can be reached\n");
    for step in &rollout.current {
        let _ = writeln!(
            text,
            "   # {} {} was under way on {} since {}: its process may still run there; look before you go on",
            step.action,
            step.target,
            step.member,
            moment.since(step.since)
        );
    }
    let open: Vec<_> = rollout.grants.iter().filter(|g| !g.hold_out.is_empty()).collect();
    head(text, 2, "Put the holder of the upgrade out");
    if open.is_empty() {
        text.push_str("   nothing to do: no grant is open\n");
    }
    for grant in open {
        let _ = writeln!(
            text,
            "   # {}: held by {} with token {} ({})",
            grant.database, grant.member, grant.token, grant.state
        );
        lines(text, &grant.hold_out);
    }
    head(text, 3, "Owed: changed by the rollout, with the value before");
    if rollout.owed.is_empty() {
        text.push_str("   nothing\n");
    } else {
        let mut table = Table::new(["KEY", "STATE", "STEP", "SINCE", "VALUE BEFORE"]);
        for owed in &rollout.owed {
            table.row([
                owed.key.clone(),
                owed.state.clone(),
                owed.step.to_string(),
                moment.since(owed.since),
                owed.captured.clone(),
            ]);
        }
        text.push_str(&table.text());
    }
    head(text, 4, "Backup");
    if rollout.backups.is_empty() {
        text.push_str("   no set was taken\n");
    }
    for backup in &rollout.backups {
        let proof = if backup.proof.is_empty() { "NOT PROVEN" } else { &backup.proof };
        let _ = writeln!(
            text,
            "   # {}: {} on {}, manifest {}",
            backup.database, backup.set, backup.on, backup.digest
        );
        let _ = writeln!(text, "   # proof: {proof}");
        lines(text, &backup.lines);
    }
    head(text, 5, "Back, in this order (past the point of no return: after the restore)");
    steps(text, &rollout.back, "nothing is owed");
    head(text, 6, "Forward, in this order");
    steps(text, &rollout.forward, "every step is settled");
    text.push_str(
        "\nWhen a quorum is back, Lockkeeper looks at everything anew: what you gave back is found so.\n",
    );
}

fn head(text: &mut String, number: u32, what: &str) {
    let _ = writeln!(text, "\n{number}. {what}");
}

fn steps(text: &mut String, steps: &[HandStep], none: &str) {
    if steps.is_empty() {
        let _ = writeln!(text, "   {none}");
    }
    for step in steps {
        let gives = step.settles.as_ref().map(|key| format!(", gives back {key}")).unwrap_or_default();
        let _ = writeln!(text, "   # {} {} on {}{gives}", step.step, step.what, step.on);
        lines(text, &step.lines);
    }
}

fn lines(text: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(text, "   {line}");
    }
}
