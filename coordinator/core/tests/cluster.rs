//! Properties of the cluster file's reader: it survives every text, shows no secret, and places every fault.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{SAMPLE, cluster, generate::shape};
use lockkeeper_core::{
    cluster::{ClusterSpec, Parameter, read_cluster},
    fault::{FaultCode, Severity},
    profile::{ProfileCatalog, read_profile},
};
use proptest::prelude::*;

fn read(text: &str) -> Result<ClusterSpec, lockkeeper_core::fault::Report> {
    read_cluster("cluster.toml", text, &ProfileCatalog::built_in()).map(|(spec, _)| spec)
}

/// Faults point into the text, in order, with the line and column of their bytes.
#[track_caller]
fn well_placed(text: &str) {
    let report = match read_cluster("cluster.toml", text, &ProfileCatalog::built_in()) {
        Ok((_, report)) | Err(report) => report,
    };
    assert_eq!(report.source.lines().count(), text.lines().count());
    for fault in &report.faults {
        assert_eq!(fault.severity, fault.code.severity());
        let Some(at) = &fault.at else { continue };
        let before = text.get(..at.span.start).expect("a fault begins at a character");
        assert_eq!(at.line, before.matches('\n').count() + 1);
        let line = before.rsplit('\n').next().unwrap_or("");
        assert_eq!(at.column, line.chars().count() + 1);
    }
    assert!(!report.text().is_empty());
}

const SECRET_LINE: &str = "admin          = { user = \"lockkeeper\", password = \"hunter2\" }";

/// Places of the line but those inside the key or the secret itself, where nothing is left to be recognised.
fn damageable() -> impl Strategy<Value = usize> {
    let inside = |at: &usize, word: &str| {
        SECRET_LINE.find(word).is_some_and(|start| (start + 1..start + word.len()).contains(at))
    };
    let places: Vec<usize> =
        (0..=SECRET_LINE.len()).filter(|at| !inside(at, "password") && !inside(at, "hunter2")).collect();
    prop::sample::select(places)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: common::cases(200), ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in ".{0,400}") {
        well_placed(&text);
        let _ = read_profile("p.toml", &text);
    }

    /// The sample with a piece cut out or doubled: never a panic, every fault in its place.
    #[test]
    fn any_damage_is_survived(from in 0..SAMPLE.len(), length in 0_usize..200, double in any::<bool>()) {
        let cut = |at: usize| (0..=at.min(SAMPLE.len())).rev().find(|i| SAMPLE.is_char_boundary(*i)).unwrap_or(0);
        let (from, to) = (cut(from), cut(from + length));
        let (head, piece, tail) = (&SAMPLE[..from], &SAMPLE[from..to.max(from)], &SAMPLE[to.max(from)..]);
        let text = if double { format!("{head}{piece}{piece}{tail}") } else { format!("{head}{tail}") };
        well_placed(&text);
    }

    /// A password is never shown, whatever is wrong with the line it stands on.
    #[test]
    fn no_password_is_ever_shown(damage in "[ -~]{0,12}", at in damageable()) {
        let mut broken = SECRET_LINE.to_owned();
        broken.insert_str(at, &damage);
        let text = SAMPLE.replace("admin          = { user = \"lockkeeper\", password = \"file:/etc/lockkeeper/secrets/pg\" }", &broken);
        prop_assert_ne!(&text, SAMPLE);
        if let Err(report) = read(&text) {
            prop_assert!(!report.text().contains("hunter2"), "{} in\n{}", broken, report);
            prop_assert!(!format!("{report:?}").contains("hunter2"), "in its debug form");
        }
    }

    /// What is right reads, and reads the same again.
    #[test]
    fn made_files_read(shape in shape(1..=50)) {
        let spec = cluster(&shape.text());
        prop_assert_eq!(spec.members.len(), shape.members);
        prop_assert_eq!(spec.databases.len(), shape.databases);
        prop_assert!(!spec.voter_names().len().is_multiple_of(2) && spec.voter_names().len() <= 5);
        prop_assert_eq!(&spec, &cluster(&shape.text()));
    }
}

#[test]
fn nested_parameters_are_flattened() {
    let spec = cluster(SAMPLE);
    assert_eq!(spec.parameters.get("ready.status"), Some(&Parameter::Number(200)));
    assert_eq!(spec.parameters.get("release.directory"), Some(&Parameter::Text("/opt/kinto".into())));
    assert_eq!(spec.members.values().next().map(|m| m.host.as_str()), Some("10.77.0.11"));
}

#[test]
fn ten_different_faults_are_told_with_line_and_column() {
    let text = include_str!("stories/cluster/ten-faults.toml");
    let report = read(text).err().unwrap();
    let errors: Vec<_> = report.faults.iter().filter(|f| f.severity == Severity::Error).collect();
    let codes: std::collections::BTreeSet<FaultCode> = errors.iter().map(|f| f.code).collect();
    assert!(codes.len() >= 10, "{codes:?}");
    assert!(errors.iter().all(|f| f.at.as_ref().is_some_and(|at| at.line > 1 && at.column >= 1)), "{report}");
}

#[test]
fn a_file_beyond_the_limit_is_not_parsed() {
    let report = read(&"#".repeat((1 << 20) + 1)).err().unwrap();
    assert!(report.has(FaultCode::FileTooLarge) && report.text().len() < 10_000);
}
