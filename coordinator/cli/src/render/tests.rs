//! Golden texts of every view, made from fixed JSON at a fixed moment.

use super::{
    changes, doctor, failure, faults, history, locks, members, moment::Moment, owed, paint::Paint, status, step, why,
};
use crate::{error::CliError, out::Style};
use jiff::tz::TimeZone;
use lockkeeper_core::{cluster::read_cluster, profile::ProfileCatalog, rollout::Rejection, view::StatusView};
use serde::de::DeserializeOwned;

/// 2026-11-21 14:14:09 UTC, just after the views' own times.
const NOW: u64 = 1_795_270_449_000;

const PLAIN: Paint = Paint(false);

fn moment() -> Moment {
    Moment { now: NOW, zone: TimeZone::UTC }
}

fn view<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

macro_rules! shown {
    ($name:literal) => {
        view(include_str!(concat!("tests/views/", $name, ".json")))
    };
}

#[test]
fn status_while_the_database_is_upgraded() {
    insta::assert_snapshot!(status::text(&shown!("running"), &moment(), PLAIN));
}

#[test]
fn status_halted_and_stale() {
    insta::assert_snapshot!(status::text(&shown!("halted"), &moment(), PLAIN));
}

#[test]
fn status_before_anything() {
    insta::assert_snapshot!(status::text(&shown!("idle"), &moment(), PLAIN));
}

#[test]
fn screen_while_the_database_is_upgraded() {
    insta::assert_snapshot!(status::screen(&shown!("running"), &moment(), PLAIN).join("\n"));
}

#[test]
fn screen_halted() {
    insta::assert_snapshot!(status::screen(&shown!("halted"), &moment(), PLAIN).join("\n"));
}

#[test]
fn ending_completed() {
    insta::assert_snapshot!(status::ending(&shown!("completed"), &moment(), PLAIN));
}

#[test]
fn ending_halted() {
    insta::assert_snapshot!(status::ending(&shown!("halted"), &moment(), PLAIN));
}

#[test]
fn why_it_runs() {
    insta::assert_snapshot!(why::text(&shown!("running"), &moment(), PLAIN));
}

#[test]
fn why_it_halted() {
    insta::assert_snapshot!(why::text(&shown!("halted"), &moment(), PLAIN));
}

#[test]
fn why_nothing_waits() {
    insta::assert_snapshot!(why::text(&shown!("completed"), &moment(), PLAIN));
}

#[test]
fn members_of_a_cluster() {
    insta::assert_snapshot!(members::text(&shown!("members"), &moment()));
}

#[test]
fn owed_settings() {
    insta::assert_snapshot!(owed::text(&shown!("owed"), &moment()));
}

#[test]
fn owed_nothing() {
    insta::assert_snapshot!(owed::text(&shown!("nothing_owed"), &moment()));
}

#[test]
fn locks_of_a_rollout() {
    insta::assert_snapshot!(locks::text(&shown!("locks"), &moment()));
}

#[test]
fn locks_none() {
    insta::assert_snapshot!(locks::text(&shown!("no_locks"), &moment()));
}

#[test]
fn history_in_lines() {
    insta::assert_snapshot!(history::text(&shown!("history"), history::Detail::Line, &moment()));
}

#[test]
fn history_with_what_changed() {
    insta::assert_snapshot!(history::text(&shown!("history"), history::Detail::Diff, &moment()));
}

#[test]
fn steps_explained() {
    let (running, halted): (StatusView, StatusView) = (shown!("running"), shown!("halted"));
    let text = |view: &StatusView, number: u32| {
        let rollout = view.rollout.as_ref().unwrap();
        let found = rollout.steps.iter().find(|s| s.id == number).unwrap();
        step::text(view, rollout, found, None, &moment())
    };
    insta::assert_snapshot!([text(&running, 4), text(&running, 17), text(&halted, 12)].join("\n"));
}

#[test]
fn changes_from_the_start_to_the_end() {
    let views: [StatusView; 5] =
        [shown!("idle"), shown!("before"), shown!("running"), shown!("halted"), shown!("completed")];
    let mut text = String::new();
    let mut last = None;
    for view in &views {
        text.push_str(&changes::lines(last, view).join("\n"));
        text.push_str("\n--\n");
        last = Some(view);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_same_view_again_changes_nothing() {
    let view: StatusView = shown!("running");
    assert_eq!(changes::lines(Some(&view), &view), Vec::<String>::new());
}

#[test]
fn every_action_has_words() {
    for kind in lockkeeper_core::plan::ActionKind::ALL {
        assert!(!step::about(kind.as_str()).contains("no words"), "{kind} has no words");
    }
}

#[test]
fn errors_and_rejections() {
    let errors = [
        CliError::NoWay {
            socket: "/run/lockkeeper/agent.sock".into(),
            contexts: "/home/alice/.config".into(),
        },
        CliError::NoAnswer {
            what: "read the status",
            tried: vec![
                "10.77.0.11:7440: LK4012: cannot connect to 10.77.0.11:7440: Connection refused".into(),
                "10.77.0.12:7440: LK4003: the peer's certificate has expired".into(),
            ],
            last: Some("LK4003".into()),
        },
        CliError::Answered {
            what: "approve the plan",
            code: Some("LK3027".into()),
            text: "bob has the role viewer; this call needs approver or admin".into(),
        },
        CliError::Read { path: "night.plan".into(), source: std::io::ErrorKind::NotFound.into() },
        CliError::NeedsYes,
    ];
    let mut texts: Vec<String> = errors.iter().map(|e| failure::error(e, PLAIN)).collect();
    texts.push(failure::rejection(&Rejection::NotApproved { found: 0, needed: 1 }, PLAIN));
    texts.push(failure::rejection(&Rejection::PastPointOfNoReturn, Paint(true)));
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn faults_are_drawn_on_a_terminal_and_plain_elsewhere() {
    let text = "cluster = \"Library\"\nprofile = \"generic\"\n\n[members.n1]\naddres = \"10.0.0.1:7440\"\n";
    let report = read_cluster("cluster.toml", text, &ProfileCatalog::built_in()).unwrap_err();
    let style = |terminal| Style { terminal, errors_terminal: terminal, colour: false };
    assert_eq!(faults::text(&report, style(false)), report.text());
    insta::assert_snapshot!(faults::text(&report, style(true)));
}

#[test]
fn colours_only_underline_the_words() {
    let coloured = status::text(&shown!("halted"), &moment(), Paint(true));
    let stripped = coloured.replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", "");
    assert_ne!(coloured, stripped);
    assert_eq!(stripped, status::text(&shown!("halted"), &moment(), PLAIN));
}

#[test]
fn locks_of_other_tools() {
    insta::assert_snapshot!(locks::text(&shown!("foreign_locks"), &moment()));
}

#[test]
fn doctor_with_findings() {
    insta::assert_snapshot!(doctor::text(&shown!("doctor"), &moment()));
}

#[test]
fn doctor_with_nothing_wrong() {
    insta::assert_snapshot!(doctor::text(&shown!("doctor_well"), &moment()));
}
