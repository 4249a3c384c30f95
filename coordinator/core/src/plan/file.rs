//! Reads plan files. A plan file must equal its own rendering byte for byte, or it was altered.

use super::{Plan, hash, limits::PLAN_FILE_MAX, planner::FORMAT, render};
use crate::fault::{Fault, FaultCode, Location, Report};
use serde::Deserialize;

/// The part of a plan file that every format has.
#[derive(Deserialize)]
struct Envelope {
    format: u32,
}

/// Reads a plan from its file's text: one that is not a plan, of another format, or not what Lockkeeper wrote is
/// refused, each with its own code.
pub fn read_plan(file: &str, text: &str) -> Result<Plan, Report> {
    if text.len() > PLAN_FILE_MAX {
        return Err(Report::one(
            Fault::new(FaultCode::PlanUnreadable, format!("{file} is too large for a plan"))
                .found(format!("{} bytes", text.len()))
                .allowed(format!("up to {PLAN_FILE_MAX} bytes")),
        ));
    }
    if let Ok(envelope) = serde_json::from_str::<Envelope>(text)
        && envelope.format != FORMAT
    {
        return Err(Report::one(
            Fault::new(FaultCode::PlanFormat, format!("{file} is a plan of another format"))
                .found(envelope.format.to_string())
                .allowed(FORMAT.to_string())
                .help("read it with the Lockkeeper that made it, or plan anew"),
        ));
    }
    let plan: Plan = serde_json::from_str(text).map_err(|error| unreadable(file, text, &error))?;
    let own = render(&plan);
    if own != text {
        return Err(altered(file, text, &own));
    }
    if hash(&plan) != plan.hash {
        let fault = altered_fault(file).found(format!("hash {}, of the content {}", plan.hash, hash(&plan)));
        return Err(Report::one(fault));
    }
    Ok(plan)
}

fn altered_fault(file: &str) -> Fault {
    Fault::new(FaultCode::PlanAltered, format!("plan-altered: {file} is not what Lockkeeper wrote"))
        .help("plan anew; what was approved is the plan as it was written, to the byte")
}

/// The first byte that differs from the plan's own rendering.
fn altered(file: &str, text: &str, own: &str) -> Report {
    let at = text.bytes().zip(own.bytes()).position(|(a, b)| a != b).unwrap_or(text.len().min(own.len()));
    let mut fault = altered_fault(file).found(format!("byte {at} differs from the plan's own rendering"));
    fault.at = Some(place(file, text, at));
    Report::new(vec![fault], String::new())
}

fn unreadable(file: &str, text: &str, error: &serde_json::Error) -> Report {
    let start = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let at = (start + error.column().saturating_sub(1)).min(text.len());
    // What begins like a plan of ours was one, before somebody touched it.
    let was_ours = text.starts_with("{\"bound\":{\"cluster_digest\":");
    let mut fault = if was_ours {
        altered_fault(file)
    } else {
        Fault::new(FaultCode::PlanUnreadable, format!("{file} is not a plan"))
            .help("give the file that lockkeeper plan -o wrote")
    };
    fault = fault.found(error.to_string());
    fault.at = Some(place(file, text, at));
    Report::new(vec![fault], String::new())
}

fn place(file: &str, text: &str, at: usize) -> Location {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    Location {
        file: file.to_owned(),
        span: at..at,
        line: before.iter().filter(|b| **b == b'\n').count() + 1,
        column: String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() + 1,
    }
}
