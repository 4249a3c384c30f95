//! Golden stories: one scenario a file, the exact text an operator gets. To accept a change, run with
//! `INSTA_UPDATE=always` and read the diff.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{cluster, member, observed, plan_by, plan_with, version};
use lockkeeper_core::{
    cluster::read_cluster,
    lint::lint,
    plan::{Glyphs, Strategy},
    profile::{ProfileCatalog, read_profile},
};

fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn cluster_files() {
    insta::glob!("stories/cluster/*.toml", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let out = match read_cluster(&file_name(path), &text, &ProfileCatalog::built_in()) {
            Ok((spec, warnings)) => format!("{}voters: {:?}\n", warnings.text(), spec.voter_names()),
            Err(report) => report.text(),
        };
        assert!(!out.contains("hunter2"), "a secret was shown:\n{out}");
        insta::assert_snapshot!(out);
    });
}

#[test]
fn profiles() {
    insta::glob!("stories/profile/*.toml", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        insta::assert_snapshot!(match read_profile(&file_name(path), &text) {
            Ok(profile) => format!("{} reads: {} stages\n", profile.name, profile.stages.len()),
            Err(report) => report.text(),
        });
    });
}

/// The first line is `# story: FROM -> TO, schema N`, with `, rolling` behind it for that strategy; with `, new M…` these
/// members have TO already, and with `, adopt` the plan takes that over.
#[test]
fn plans() {
    insta::glob!("stories/plan/*.toml", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let story = text.lines().next().unwrap().strip_prefix("# story: ").unwrap();
        let (versions, rest) = story.split_once(", schema ").unwrap();
        let (rest, rolling) = rest.strip_suffix(", rolling").map_or((rest, false), |rest| (rest, true));
        let (rest, adopt) = rest.strip_suffix(", adopt").map_or((rest, false), |rest| (rest, true));
        let (schema, new) = rest.split_once(", new ").unwrap_or((rest, ""));
        let (from, to) = versions.split_once(" -> ").unwrap();
        // A cluster file that does not read is told like a plan that cannot be made.
        let read = read_cluster(&file_name(path), &text, &ProfileCatalog::built_in());
        let out = match read
            .map(|_| cluster(&text))
            .and_then(|spec| {
                let mut seen = observed(&spec, from, schema);
                for name in new.split_whitespace() {
                    seen.members.get_mut(&member(name)).unwrap().version = Some(version(to));
                    let front = lockkeeper_core::ids::BalancerName::new("front").unwrap();
                    seen.balancers.entry(front).or_default().insert(member(name), "maint".into());
                }
                match rolling {
                    true => plan_by(Strategy::Rolling, &spec, &seen, to),
                    false => plan_with(&spec, &seen, to, adopt),
                }
            })
        {
            Ok((plan, report)) => {
                assert_eq!(lint(&plan).errors(), 0, "{}", lint(&plan));
                report.text(Glyphs::Unicode)
            }
            Err(report) => report.text(),
        };
        insta::assert_snapshot!(out);
    });
}
