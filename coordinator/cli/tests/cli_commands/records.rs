//! Audit files, records and simulated nights on the command line, without a cluster.

use crate::bed::{Bed, plan_text};
use lockkeeper_core::{
    plan::read_plan,
    record::{FaultKind, Night, render},
};

#[tokio::test]
async fn a_plan_is_tried_without_a_cluster() {
    let bed = Bed::new();
    bed.write("night.plan", &plan_text("26.5.0"));
    let shown = bed.run_plain(&["plan", "simulate", "night.plan", "--seeds", "3"]).await.ends(5);
    for word in ["TROUBLE", "upgrade-failed", "upgrader-lost", "when it stops", "lockkeeper retry"] {
        assert!(shown.out.contains(word), "{word}: {}", shown.out);
    }
    let json =
        bed.run_plain(&["plan", "simulate", "night.plan", "--seeds", "3", "--json"]).await.ends(5).json();
    let rows = json["simulated"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), FaultKind::ALL.len());
    assert_eq!(rows[0]["endings"]["completed"], 3, "{}", rows[0]);
    bed.write("no.plan", "{}");
    bed.run_plain(&["plan", "simulate", "no.plan"]).await.ends(1);
    bed.run_plain(&["plan", "simulate", "night.plan", "--seeds", "0"]).await.ends(64);
}

#[tokio::test]
async fn a_record_replays_and_a_changed_one_is_named() {
    let bed = Bed::new();
    let plan = read_plan("a", &plan_text("26.5.0")).unwrap();
    let (_, mut script) = Night::run(&plan, FaultKind::LeaderChange, 5).unwrap();
    bed.write("night.record", &render(&script).unwrap());
    let shown = bed.run_plain(&["replay", "night.record"]).await.ends(0);
    assert!(shown.out.starts_with("identical: "), "{}", shown.out);
    script.entries[20].envelope.time.0 += 1;
    bed.write("night.record", &render(&script).unwrap());
    let shown = bed.run_plain(&["replay", "night.record"]).await.ends(1);
    assert!(shown.err.contains("error[LK3612]") && shown.err.contains("entry 22"), "{}", shown.err);
    bed.write("night.record", "{}\n");
    let shown = bed.run_plain(&["replay", "night.record"]).await.ends(1);
    assert!(shown.err.contains("error[LK3616]") && shown.err.contains("line 1"), "{}", shown.err);
    bed.write("cut.audit", "");
    let shown = bed.run_plain(&["audit", "verify", "cut.audit"]).await.ends(1);
    assert!(shown.err.contains("error[LK3606]"), "{}", shown.err);
    let shown = bed.run_plain(&["audit", "verify", "--data", "nowhere"]).await.ends(1);
    assert!(shown.err.contains("error[LK3608]"), "{}", shown.err);
}
