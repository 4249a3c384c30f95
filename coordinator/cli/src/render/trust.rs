//! `operator list` and `ca show` as text.

use super::{
    moment::{Moment, span},
    source,
    table::Table,
};
use lockkeeper_core::view::TrustView;

/// When a certificate ends, from now.
pub fn left(expires: u64, now: u64) -> String {
    match expires.checked_sub(now) {
        Some(left) => span(left),
        None => "expired".to_owned(),
    }
}

/// Operators with what they may.
pub fn operators(view: &TrustView, moment: &Moment) -> String {
    let mut table = Table::new(["NAME", "ROLE", "CERTIFICATE", "AUTHORITY"]);
    for o in &view.operators {
        let certificate = match (o.revoked, &o.role) {
            (Some(since), _) => format!("revoked {}", moment.clock(since)),
            (None, Some(_)) => left(o.expires, moment.now),
            (None, None) => String::new(),
        };
        let authority = if o.newest_authority { "newest" } else { "old" };
        table.row([o.name.clone(), o.role.clone().unwrap_or_default(), certificate, authority.to_owned()]);
    }
    format!("{}\n{}\n", table.text(), source::line(&view.stamp, moment))
}

/// Authorities and the roll-over.
pub fn authority(view: &TrustView, moment: &Moment) -> String {
    let mut text = String::new();
    if view.authorities.is_empty() {
        text.push_str("authority: the one of init; it was never rolled over\n");
    }
    for authority in &view.authorities {
        text.push_str(&format!(
            "trusted root  {}  since {}\n",
            authority.root,
            moment.clock(authority.since)
        ));
    }
    match &view.roll_over {
        None => text.push_str("roll-over: none\n"),
        Some(roll) => {
            text.push_str(&format!("roll-over to {}, begun by {}\n", roll.root, roll.by));
            let waits = match (roll.waits_for.is_empty(), roll.stage.as_str()) {
                (false, _) => format!("waits for {}", roll.waits_for.join(", ")),
                (true, "overlap") => {
                    "every agent has moved; lockkeeper ca finish drops the old root".to_owned()
                }
                (true, _) => "every agent is through".to_owned(),
            };
            text.push_str(&format!("stage {}, since {}: {waits}\n", roll.stage, moment.since(roll.since)));
        }
    }
    format!("{text}\n{}\n", source::line(&view.stamp, moment))
}
