//! Whose knowledge a view is, and how old.

use super::moment::{Moment, span};
use lockkeeper_core::view::Stamp;

/// Two machines whose clocks differ by less show plain ages.
const CLOCKS_AGREE_MS: u64 = 30_000;

/// The last line of every text view.
pub fn line(stamp: &Stamp, moment: &Moment) -> String {
    let leader = match &stamp.leader {
        Some(leader) if *leader == stamp.source => "it leads".to_owned(),
        Some(leader) => format!("leader {leader}"),
        None => "no leader known".to_owned(),
    };
    let mut text = format!(
        "source: {}, {leader}, term {}, log {}, as of {}",
        stamp.source,
        stamp.term,
        stamp.applied,
        age(stamp, moment)
    );
    if stamp.stale {
        text.push_str("\nSTALE: this agent hears no quorum; others may know more, and nothing can be changed through it");
    }
    text
}

fn age(stamp: &Stamp, moment: &Moment) -> String {
    let apart = moment.now.abs_diff(stamp.as_of);
    if apart < CLOCKS_AGREE_MS {
        moment.since(stamp.as_of)
    } else {
        let side = if moment.now > stamp.as_of { "behind" } else { "ahead of" };
        format!("{} by its clock ({} {side} this machine's)", moment.clock(stamp.as_of), span(apart))
    }
}
