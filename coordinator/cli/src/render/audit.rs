//! `audit show` as text: one line an entry.

use super::{moment::Moment, source, table::Table};
use lockkeeper_core::view::AuditView;

/// The entries of the view; `dropped` is the number of entries the source does not keep.
pub fn text(view: &AuditView, dropped: u64, moment: &Moment) -> String {
    let mut text = String::new();
    if dropped > 0 {
        text.push_str(&format!("entries 1 to {dropped} are not kept there any more\n"));
    }
    if view.entries.is_empty() {
        text.push_str("no entry\n");
    } else {
        let mut table = Table::new(["ENTRY", "LOG", "TIME", "WHO", "VIA", "WHAT", "ANSWER", "ABOUT", "WHY"]);
        for e in &view.entries {
            let who = e.who.as_ref().map(|a| format!("{} ({})", a.name, a.role));
            table.row([
                e.number.to_string(),
                e.index.to_string(),
                moment.stamp(e.time.0),
                who.unwrap_or_default(),
                e.who.as_ref().map(|a| a.via.clone()).unwrap_or_default(),
                e.what.clone(),
                if e.text.is_empty() { e.answer.clone() } else { format!("{}: {}", e.answer, e.text) },
                e.about.clone(),
                e.why.clone(),
            ]);
        }
        text.push_str(&table.text());
    }
    text.push_str(&format!("head: entry {}, {}\n\n", view.head.count, view.head.digest));
    text + &source::line(&view.stamp, moment) + "\n"
}
