//! The planner's contract: what it makes of a cluster, what it refuses, and what a plan file must be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{SAMPLE, cluster, member, observed, plan, version};
use lockkeeper_core::{
    cluster::ClusterSpec,
    fault::{FaultCode, Report},
    ids::{ClusterId, DatabaseName, Digest, Incarnation, PlanHash},
    plan::{
        ActionKind, Glyphs, Observed, OwedKey, Phase, Plan, PlanInput, PlanReport, Strategy, Target, Who,
        bound_differences, check_fresh, diff, read_plan, render,
    },
    profile::ProfileCatalog,
};

fn sample() -> (ClusterSpec, Observed) {
    let spec = cluster(SAMPLE);
    let seen = observed(&spec, "20.6.1", "23");
    (spec, seen)
}

fn made() -> Plan {
    let (spec, seen) = sample();
    plan(&spec, &seen, "26.5.0").unwrap_or_else(|r| panic!("{r}")).0
}

#[track_caller]
fn refused(spec: &ClusterSpec, seen: &Observed, to: &str, code: FaultCode) -> String {
    let report = plan(spec, seen, to).err().unwrap_or_else(|| panic!("{code} was expected"));
    assert!(report.has(code), "{code} was expected:\n{report}");
    report.text()
}

#[test]
fn the_sample_cluster_gets_the_canonical_order() {
    let plan = made();
    let way: Vec<String> = plan.steps.iter().map(|s| format!("{} {}", s.action.kind(), s.target)).collect();
    assert_eq!(
        way,
        [
            "stage-release n1",
            "stage-release n2",
            "stage-release n3",
            "drain front/n1",
            "drain front/n2",
            "drain front/n3",
            "stop-service n1",
            "stop-service n2",
            "stop-service n3",
            "prove-no-writers main",
            "backup main",
            "prove-backup main",
            "shut-door main",
            "mint-credential main",
            "admit-holder main",
            "upgrade-database main",
            "close-grant main",
            "open-door main",
            "switch-release n1",
            "switch-release n2",
            "switch-release n3",
            "start-service n1",
            "prove n1",
            "start-service n2",
            "prove n2",
            "start-service n3",
            "prove n3",
            "admit front/n1",
            "admit front/n2",
            "admit front/n3",
        ]
    );
    let back: Vec<String> = plan.undo.iter().map(|s| format!("{} {}", s.action.kind(), s.target)).collect();
    assert_eq!(
        back,
        [
            "open-door main",
            "start-service n1",
            "prove n1",
            "start-service n2",
            "prove n2",
            "start-service n3",
            "prove n3",
            "admit front/n1",
            "admit front/n2",
            "admit front/n3",
        ]
    );
}

/// The next member's start overlaps the admission of the one before: admission is outside the serial run.
#[test]
fn admission_waits_for_its_own_proof_alone() {
    let plan = made();
    for admit in plan.steps.iter().filter(|s| s.action.kind() == ActionKind::Admit) {
        let Target::Balancer(_, m) = &admit.target else { panic!("{:?}", admit.target) };
        let waits: Vec<_> = admit.after.iter().filter_map(|id| plan.steps.get(id.0 as usize - 1)).collect();
        assert!(
            matches!(waits.as_slice(), [one] if one.action.kind() == ActionKind::Prove && one.target == Target::Member(m.clone()))
        );
        assert_eq!(admit.serial, None);
        assert_eq!(admit.settles, Some(OwedKey(format!("front/{m}"))));
    }
}

/// Members that cannot be the first to come back are certainly back only after the outage.
#[test]
fn those_who_cannot_be_first_come_after_the_outage() {
    let (spec, mut seen) = sample();
    for name in ["n2", "n3"] {
        seen.members.get_mut(&member(name)).unwrap().actions.remove(&ActionKind::UpgradeDatabase);
    }
    let (plan, _) = plan(&spec, &seen, "26.5.0").unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(plan.policy.upgraders.values().next().map(Vec::as_slice), Some([member("n1")].as_slice()));
    for step in plan.steps.iter().filter(|s| s.serial.is_some() || s.action.kind() == ActionKind::Admit) {
        let first = matches!(&step.target, Target::Member(m) | Target::Balancer(_, m) if m.as_str() == "n1");
        assert_eq!(step.phase, if first { Phase::Outage } else { Phase::After }, "step {}", step.id);
    }
}

#[test]
fn a_plan_binds_identities_and_contents() {
    let plan = made();
    assert_eq!(plan.bound.members.len(), 3, "a witness has no application");
    assert_eq!(plan.bound.members[&member("n1")].version, version("20.6.1"));
    assert_eq!(plan.bound.databases[&DatabaseName::new("main").unwrap()].schema, "23");
    assert_eq!(plan.targets.members.len(), 4);
    assert_eq!(plan.policy.executors.len(), 2);
    assert!(plan.steps.iter().all(|s| s.grant.is_none() || s.who != Who::Executor));
}

#[test]
fn what_stands_in_the_way_is_told_all_at_once() {
    let (spec, mut seen) = sample();
    seen.members.get_mut(&member("n1")).unwrap().reachable = false;
    seen.members.get_mut(&member("n2")).unwrap().version = None;
    seen.members.remove(&member("n3"));
    seen.databases.clear();
    let report = refused(&spec, &seen, "26.5.0", FaultCode::MemberNotObserved);
    assert!(
        report.contains(FaultCode::DatabaseNotObserved.as_str()) && report.contains("4 errors"),
        "{report}"
    );
}

#[test]
fn versions_only_rise_and_must_be_equal() {
    let (spec, mut seen) = sample();
    let nothing = refused(&spec, &seen, "20.6.1", FaultCode::NothingToDo);
    assert!(nothing.ends_with("\n1 warning\n"), "nothing to do is no error: {nothing}");
    refused(&spec, &seen, "20.6.0", FaultCode::Downgrade);
    seen.members.get_mut(&member("n2")).unwrap().version = Some(version("26.5.0"));
    let mixed = refused(&spec, &seen, "26.5.0", FaultCode::MixedVersions);
    assert!(mixed.contains("--adopt"), "{mixed}");
}

#[test]
fn agents_that_cannot_do_their_part_are_found_beforehand() {
    let (spec, seen) = sample();
    let mut unable = seen.clone();
    unable.members.get_mut(&member("n2")).unwrap().actions.remove(&ActionKind::Prove);
    refused(&spec, &unable, "26.5.0", FaultCode::ActionNotAnnounced);

    let mut no_executor = seen.clone();
    for name in ["db1", "n3"] {
        no_executor.members.get_mut(&member(name)).unwrap().actions.remove(&ActionKind::ShutDoor);
    }
    refused(&spec, &no_executor, "26.5.0", FaultCode::NoExecutor);

    let mut nobody = seen.clone();
    for seen in nobody.members.values_mut() {
        seen.actions.remove(&ActionKind::MintCredential);
    }
    refused(&spec, &nobody, "26.5.0", FaultCode::NobodyMayUpgrade);

    let mut one_left = seen.clone();
    one_left.members.get_mut(&member("db1")).unwrap().reachable = false;
    let (_, report) = plan(&spec, &one_left, "26.5.0").unwrap_or_else(|r| panic!("{r}"));
    assert!(report.warnings.iter().any(|w| w.code == FaultCode::FewExecutors), "{:?}", report.warnings);
}

/// A member that would have to work the door of its own grant is not electable.
#[test]
fn the_only_door_keeper_is_not_elected() {
    let text = SAMPLE.replace("executors      = [\"db1\", \"n3\"]", "executors      = [\"n3\"]");
    let spec = cluster(&text);
    let (plan, _) = plan(&spec, &observed(&spec, "1", "1"), "2").unwrap_or_else(|r| panic!("{r}"));
    let upgraders = plan.policy.upgraders.values().next().unwrap();
    assert_eq!(upgraders.as_slice(), [member("n1"), member("n2")]);
}

#[test]
fn staged_releases_must_be_one() {
    let (spec, mut seen) = sample();
    seen.members.get_mut(&member("n1")).unwrap().release = Some(Digest::of(b"one"));
    let (same, _) = plan(&spec, &seen, "26.5.0").unwrap_or_else(|r| panic!("{r}"));
    assert!(render(&same).contains(&Digest::of(b"one").0), "the staged tree is what all must have");
    seen.members.get_mut(&member("n2")).unwrap().release = Some(Digest::of(b"two"));
    refused(&spec, &seen, "26.5.0", FaultCode::ReleasesDiffer);
}

const LADDER: &str = include_str!("stories/profile/right.toml");

fn on_ladder(from: &str, to: &str) -> Result<(Plan, PlanReport), Report> {
    let mut catalog = ProfileCatalog::built_in();
    let name = catalog.add("right.toml", LADDER).unwrap_or_else(|r| panic!("{r}"));
    let text = "cluster = \"c\"\nprofile = \"ladder\"\nparameters.root = \"/opt\"\n\
        [members.a]\naddress = \"10.0.0.1:1\"\nlabels = { role = \"primary\" }\nvalues = { port = 1 }\n\
        [members.b]\naddress = \"10.0.0.2:1\"\nvalues = { port = 2 }\n[witnesses.w]\naddress = \"10.0.0.3:1\"\n\
        [databases.db]\nengine = \"postgres\"\ninstances = [\"10.0.0.4:5432\"]\nname = \"x\"\n\
        admin = { user = \"lk\", password = \"env:P\" }\n";
    let (spec, _) = lockkeeper_core::cluster::read_cluster("c.toml", text, &catalog)?;
    let seen = observed(&spec, from, "1");
    lockkeeper_core::plan::plan(&PlanInput {
        cluster_id: &ClusterId("c".into()),
        cluster: &spec,
        cluster_version: 1,
        cluster_digest: &Digest::of(text.as_bytes()),
        profile: catalog.get(&name).unwrap(),
        observed: &seen,
        strategy: Strategy::Offline,
        to: &version(to),
        parent: Some(&PlanHash("p".into())),
        adopt: false,
    })
}

#[test]
fn the_ladder_is_climbed_rung_by_rung() {
    let (plan, _) = on_ladder("6.2", "7.4").unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(plan.parent, Some(PlanHash("p".into())));
    let upgraders = plan.policy.upgraders.values().next().unwrap();
    assert_eq!(upgraders.as_slice(), [member("a")], "the upgrader is pinned to the role");
    for (from, to, code) in [
        ("5.2.7", "7.4", FaultCode::ManyHops),
        ("6.2", "9.9", FaultCode::OffLadder),
        ("6.3", "7.4", FaultCode::OffLadder),
    ] {
        let report = on_ladder(from, to).err().unwrap();
        assert!(report.has(code), "{from} -> {to}:\n{report}");
        if code == FaultCode::ManyHops {
            assert!(report.text().contains("5.2.7 -> 6.2, then 6.2 -> 7.4"), "{report}");
        }
    }
}

#[test]
fn a_plan_file_reads_back_and_one_changed_byte_is_noticed() {
    let plan = made();
    let text = render(&plan);
    assert_eq!(read_plan("night.plan", &text).unwrap_or_else(|r| panic!("{r}")), plan);
    for at in (0..text.len()).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let report =
            read_plan("night.plan", &changed).err().unwrap_or_else(|| panic!("byte {at} was not noticed"));
        let code = report.faults[0].code;
        // The first bytes make it a plan at all, and the format's number is asked first.
        let expected = matches!(code, FaultCode::PlanAltered)
            || (at < 30 && code == FaultCode::PlanUnreadable)
            || code == FaultCode::PlanFormat;
        assert!(expected, "byte {at}: {report}");
    }
    for (changed, code) in [
        (format!("{text}\n"), FaultCode::PlanAltered),
        (text.replace("\"format\":1", "\"format\":2"), FaultCode::PlanFormat),
        (String::new(), FaultCode::PlanUnreadable),
        ("{}".to_owned(), FaultCode::PlanUnreadable),
        (text.replacen("20.6.1", "20.6.2", 1), FaultCode::PlanAltered),
        (text.replacen("{\"bound\"", "{\"also\":1,\"bound\"", 1), FaultCode::PlanAltered),
    ] {
        let report = read_plan("night.plan", &changed).err().unwrap();
        assert!(report.has(code), "{code}: {report}");
    }
}

#[test]
fn plans_are_compared_step_by_step() {
    let (spec, mut seen) = sample();
    let first = made();
    assert_eq!(diff(&first, &first), []);
    seen.members.get_mut(&member("n1")).unwrap().incarnation = Incarnation(2);
    let (second, _) = plan(&spec, &seen, "26.6.0").unwrap_or_else(|r| panic!("{r}"));
    let told: Vec<String> = diff(&first, &second).iter().map(ToString::to_string).collect();
    assert!(told.contains(&"~ to: 26.5.0 -> 26.6.0".to_owned()), "{told:#?}");
    assert!(told.contains(&"~ facts.members.n1.incarnation: 1 -> 2".to_owned()), "{told:#?}");
    assert!(told.iter().any(|d| d.starts_with("~ step switch-release n1.action.directory")), "{told:#?}");
}

#[test]
fn a_plan_the_world_moved_away_from_is_stale() {
    let (_, mut seen) = sample();
    let plan = made();
    check_fresh(&plan, &seen).unwrap_or_else(|r| panic!("{r}"));
    // Health is no bound fact, and what nobody saw is not known to differ.
    seen.members.get_mut(&member("n2")).unwrap().reachable = false;
    seen.members.remove(&member("n3"));
    assert_eq!(bound_differences(&plan.bound, &seen), []);
    seen.members.get_mut(&member("n1")).unwrap().version = Some(version("20.6.2"));
    seen.databases.get_mut(&DatabaseName::new("main").unwrap()).unwrap().identity = "another".into();
    let report = check_fresh(&plan, &seen).err().unwrap();
    assert!(report.has(FaultCode::StalePlan) && report.text().contains("n1 version"), "{report}");
    assert_eq!(bound_differences(&plan.bound, &seen).len(), 2);
}

#[test]
fn the_report_needs_no_special_characters_and_is_json_too() {
    let (spec, seen) = sample();
    let (plan, report) = plan(&spec, &seen, "26.5.0").unwrap_or_else(|r| panic!("{r}"));
    assert!(report.text(Glyphs::Ascii).is_ascii());
    assert!(report.text(Glyphs::Unicode).lines().all(|l| l.chars().count() <= 120));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["plan"], plan.hash.0);
    assert_eq!(json["point_of_no_return"], 16);
    assert_eq!(json["lines"].as_array().map(Vec::len), Some(13));
    // A plan's file tells the same, but for voters and warnings.
    let from_file = PlanReport::new(&read_plan("f", &render(&plan)).unwrap(), None, Vec::new());
    assert_eq!(from_file.lines, report.lines);
}

/// Planning is fast, and the plan of a large cluster is no larger than a plan file may be.
#[test]
fn a_thousand_members_can_be_planned() {
    let shape = common::generate::Shape {
        members: 1000,
        witnesses: 1,
        databases: 2,
        balancers: 2,
        postgres: true,
        process: true,
    };
    let spec = cluster(&shape.text());
    let seen = observed(&spec, "1.0", "1");
    let begin = std::time::Instant::now();
    let (plan, _) = plan(&spec, &seen, "2.0").unwrap_or_else(|r| panic!("{r}"));
    println!("planned in {:?}", begin.elapsed());
    let text = render(&plan);
    println!("{} steps, {} bytes", plan.every_step().count(), text.len());
    assert!(text.len() < lockkeeper_core::plan::limits::PLAN_FILE_MAX);
}
