//! `doctor` as text: what is wrong, what to do, and what was not looked at.

use super::{moment::Moment, source};
use lockkeeper_coordinator::{
    doctor::DoctorView,
    preflight::{FindingVerdict, count, text as findings},
};

/// The diagnosis.
pub fn text(view: &DoctorView, moment: &Moment) -> String {
    let mut text = findings(&view.findings);
    if view.findings.is_empty() {
        text.push_str("nothing is wrong with what was looked at\n");
    }
    if !view.unseen.is_empty() {
        text.push_str("\nnot looked at:\n");
        for what in &view.unseen {
            text.push_str(&format!("  {what}\n"));
        }
    }
    let (blocked, warnings) =
        (count(&view.findings, FindingVerdict::Blocked), count(&view.findings, FindingVerdict::Warning));
    let mut codes: Vec<&str> =
        view.findings.iter().map(|f| f.code.as_str()).filter(|code| !code.is_empty()).collect();
    codes.sort_unstable();
    codes.dedup();
    if !view.findings.is_empty() {
        text.push_str(&format!("\n{blocked} blocked, {warnings} warnings"));
        if !codes.is_empty() {
            text.push_str(&format!("; pages: lockkeeper explain {}", codes.join("|")));
        }
        text.push('\n');
    }
    if view.stamp.source.is_empty() {
        return text + "source: nobody; no agent answered, and there is no data directory to read\n";
    }
    text + &source::line(&view.stamp, moment) + "\n"
}
