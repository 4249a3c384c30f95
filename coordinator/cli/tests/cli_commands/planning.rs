//! `plan`: the file to the byte, never over something else, exit codes.

use crate::bed::{Bed, IDLE, plan_text};
use lockkeeper_proto::pb::OperatorPlanReply;

fn planned(plan: &str) -> OperatorPlanReply {
    OperatorPlanReply {
        plan: plan.to_owned(),
        text: "PLAN 3f9c  library  20.6.1 -> 26.5.0\n".to_owned(),
        json: "{\"plan\":\"3f9c\"}".to_owned(),
        faults: String::new(),
        warnings: 0,
    }
}

#[tokio::test]
async fn the_file_is_the_plan_to_the_byte_and_the_report_goes_to_stdout() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    let text = plan_text("26.5.0");
    agent.set(|s| s.plan = planned(&text));
    let ran = bed.run(&["plan", "--to", "26.5.0", "-o", "night.plan"]).await.ends(2);
    assert_eq!(ran.out, "PLAN 3f9c  library  20.6.1 -> 26.5.0\n");
    assert_eq!(bed.read("night.plan"), text);
    assert!(ran.err.contains("lockkeeper approve night.plan"), "{}", ran.err);
    assert_eq!(agent.asked(), ["plan 26.5.0 offline "]);
    let json = bed.run(&["plan", "--to", "26.5.0", "--json", "--parent", "abc"]).await.ends(2);
    assert_eq!(json.json()["plan"], "3f9c");
    assert!(json.err.contains("not saved"), "{}", json.err);
    assert_eq!(agent.asked()[1], "plan 26.5.0 offline abc");
    let to_stdout = bed.run(&["plan", "--to", "26.5.0", "-o", "-"]).await.ends(2);
    assert_eq!(to_stdout.out, text);
}

#[tokio::test]
async fn another_plan_is_replaced_only_by_force() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    let (first, second) = (plan_text("26.5.0"), plan_text("26.5.1"));
    agent.set(|s| s.plan = planned(&first));
    bed.run(&["plan", "--to", "26.5.0", "-o", "night.plan"]).await.ends(2);
    bed.run(&["plan", "--to", "26.5.0", "-o", "night.plan"]).await.ends(2);
    agent.set(|s| s.plan = planned(&second));
    let refused = bed.run(&["plan", "--to", "26.5.1", "-o", "night.plan"]).await.ends(1);
    assert!(refused.err.contains("error[LK7009]"), "{}", refused.err);
    assert_eq!(bed.read("night.plan"), first);
    bed.run(&["plan", "--to", "26.5.1", "-o", "night.plan", "--force"]).await.ends(2);
    assert_eq!(bed.read("night.plan"), second);
}

#[tokio::test]
async fn nothing_to_do_ends_with_0_and_faults_with_1() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    agent.set(|s| {
        s.plan = OperatorPlanReply { text: "everybody is at 26.5.0\n".into(), ..Default::default() }
    });
    let nothing = bed.run(&["plan", "--to", "26.5.0", "-o", "night.plan"]).await.ends(0);
    assert!(nothing.out.contains("everybody") && !bed.path("night.plan").exists(), "{}", nothing.out);
    agent.set(|s| {
        s.plan = OperatorPlanReply { faults: "error[LK2003] no way\n".into(), ..Default::default() }
    });
    let faulty = bed.run(&["plan", "--to", "1.0", "-o", "night.plan"]).await.ends(1);
    assert!(faulty.err.contains("LK2003") && faulty.out.is_empty() && !bed.path("night.plan").exists());
}

#[tokio::test]
async fn plan_files_are_shown_and_compared_without_a_cluster() {
    let bed = Bed::new();
    let text = plan_text("26.5.0");
    bed.write("a.plan", &text);
    bed.write("b.plan", &plan_text("26.5.1"));
    let shown = bed.run_plain(&["plan", "show", "a.plan"]).await.ends(0);
    assert!(
        shown.out.contains("20.6.1 -> 26.5.0") && shown.out.contains("point of no return"),
        "{}",
        shown.out
    );
    assert!(shown.out.is_ascii(), "a pipe gets ASCII: {}", shown.out);
    let json = bed.run_plain(&["plan", "show", "a.plan", "--json"]).await.ends(0).json();
    assert_eq!(json["to"], "26.5.0");
    bed.run_plain(&["plan", "diff", "a.plan", "a.plan"]).await.ends(0);
    let diff = bed.run_plain(&["plan", "diff", "a.plan", "b.plan"]).await.ends(2);
    assert!(diff.out.contains("~ to: 26.5.0 -> 26.5.1"), "{}", diff.out);
    let json = bed.run_plain(&["plan", "diff", "a.plan", "b.plan", "--json"]).await.ends(2).json();
    assert!(json["differences"].as_array().is_some_and(|all| !all.is_empty()));
}

#[tokio::test]
async fn one_changed_byte_anywhere_is_refused_with_its_code() {
    let bed = Bed::new();
    let text = plan_text("26.5.0");
    for at in [10, text.len() / 2, text.len() - 2] {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        bed.write("x.plan", &String::from_utf8(bytes).unwrap());
        let ran = bed.run_plain(&["plan", "show", "x.plan"]).await.ends(1);
        assert!(ran.err.contains("error[LK20") && ran.out.is_empty(), "byte {at}: {}", ran.err);
    }
}
