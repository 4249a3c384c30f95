//! `plan simulate` as text: one line a kind of trouble, then what people were told at the stops.

use super::{moment::span, table::Table};
use lockkeeper_core::{
    plan::Plan,
    record::{Ending, Simulated},
    time::Millis,
};

/// The table. `forecast` is the outage of a night without trouble, by the plan's estimates.
pub fn text(plan: &Plan, simulated: &Simulated, forecast: Millis) -> String {
    let mut table = Table::new([
        "TROUBLE",
        "NIGHTS",
        "COMPLETED",
        "ABORTED",
        "STOPPED",
        "NOT ENDED",
        "OUTAGE",
        "WORST AT",
        "OWED",
    ]);
    for row in &simulated.rows {
        let count = |ending| row.endings.get(&ending).copied().unwrap_or(0);
        let worst = row.worst.and_then(|id| plan.steps.iter().chain(&plan.undo).find(|s| s.id == id));
        table.row([
            row.fault.to_string(),
            row.nights.to_string(),
            count(Ending::Completed).to_string(),
            count(Ending::Aborted).to_string(),
            row.halted.to_string(),
            (count(Ending::NeedsPerson) + count(Ending::Stuck)).to_string(),
            format!("<= {}", span(row.outage.0)),
            worst.map(|s| format!("step {} ({} {})", s.id, s.action.kind(), s.target)).unwrap_or_default(),
            row.owed.to_string(),
        ]);
    }
    let mut text = format!(
        "PLAN {}  {}  {} -> {}  {} nights of each kind; forecast without trouble: {} of outage\n\n{}",
        plan.hash.0.chars().take(8).collect::<String>(),
        plan.cluster,
        plan.from,
        plan.to,
        simulated.seeds,
        span(forecast.0),
        table.text()
    );
    text.push_str("\nwhen it stops\n");
    let mut told = false;
    for row in &simulated.rows {
        for (halt, times) in &row.halts {
            told = true;
            text.push_str(&format!(
                "  {:<14} {:<13} {times} x, owed meanwhile {}; then: {}\n",
                row.fault.as_str(),
                halt.code,
                halt.owed,
                halt.remedy
            ));
        }
    }
    if !told {
        text.push_str("  it never did\n");
    }
    text.push_str(
        "\nStopped nights go on as advised; each decision of a person takes a minute. \"Not ended\": the advice was not\n\
         enough, mostly because a touched database must be restored.\n",
    );
    text
}
