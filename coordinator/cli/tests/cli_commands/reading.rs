//! Commands that read: data on stdout, JSON as it came, notes on stderr, exit codes.

use crate::bed::{BEFORE, Bed, HALTED, HISTORY, IDLE, LOCKS, MEMBERS, OWED, RUNNING};
use lockkeeper_proto::pb::OperatorCheckReply;
use serde_json::Value;
use tonic::Status;

#[tokio::test]
async fn every_view_is_json_as_it_came_or_text_with_its_source() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    let views =
        [("history", HISTORY), ("members", MEMBERS), ("owed", OWED), ("locks", LOCKS), ("status", RUNNING)];
    agent.set(|s| {
        s.views = views
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .map(|(k, v)| (k, v.to_owned()))
            .collect()
    });
    for (command, view) in views {
        let json = bed.run(&[command, "--json"]).await.ends(0);
        assert_eq!(json.json(), serde_json::from_str::<Value>(view).unwrap(), "{command}");
        assert_eq!(json.err, "", "{command}");
        let text = bed.run(&[command]).await.ends(0);
        assert!(text.out.contains("source: n1, it leads, term 3"), "{command}: {}", text.out);
        assert_eq!(text.err, "", "{command}");
        assert!(!text.out.contains('\u{1b}'), "{command} colours a pipe");
    }
}

#[tokio::test]
async fn status_tells_what_waits_and_marks_what_is_stale() {
    let bed = Bed::new();
    let _agent = bed.agent(HALTED);
    let status = bed.run(&["status"]).await.ends(0);
    assert!(status.out.contains("HALTED") && status.out.contains("STALE"), "{}", status.out);
    let why = bed.run(&["status", "--why"]).await.ends(0);
    assert!(why.out.contains("then: lockkeeper retry 12"), "{}", why.out);
}

#[tokio::test]
async fn linearizable_reaches_the_agent() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    bed.run(&["status", "--linearizable"]).await.ends(0);
    bed.run(&["status"]).await.ends(0);
    assert_eq!(agent.asked(), ["status linearizable=true", "status linearizable=false"]);
}

#[tokio::test]
async fn check_counts_decide_the_exit_code() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    for (blocked, warnings, code) in [(0, 0, 0), (0, 2, 2), (1, 0, 3), (1, 2, 3)] {
        let text = format!("{blocked} blocked, {warnings} warnings\n");
        agent.set(|s| {
            s.check = OperatorCheckReply { json: "{\"a\":1}".into(), text: text.clone(), blocked, warnings }
        });
        assert_eq!(bed.run(&["check"]).await.ends(code).out, text);
        assert_eq!(bed.run(&["check", "--json"]).await.ends(code).out, "{\n  \"a\": 1\n}\n");
    }
}

#[tokio::test]
async fn a_step_is_explained_from_the_rollout() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    let step = bed.run(&["explain", "12"]).await.ends(0);
    assert!(step.out.contains("upgrade-database main") && step.out.contains("not known"), "{}", step.out);
    let missing = bed.run(&["explain", "99"]).await.ends(1);
    assert!(missing.err.contains("error[LK7015] rollout 4650 has no step 99"), "{}", missing.err);
    // A plan in order, but of another rollout.
    bed.write("other.plan", &crate::bed::plan_text("26.5.0"));
    let other = bed.run(&["explain", "12", "--plan", "other.plan"]).await.ends(1);
    assert!(other.err.contains("error[LK7020]"), "{}", other.err);
    agent.status.send_replace(IDLE.to_owned());
    let none = bed.run(&["explain", "1"]).await.ends(1);
    assert!(none.err.contains("error[LK7014]"), "{}", none.err);
}

#[tokio::test]
async fn a_step_is_explained_with_its_plan() {
    let bed = Bed::new();
    let text = crate::bed::plan_text("26.5.0");
    let hash = serde_json::from_str::<Value>(&text).unwrap()["hash"].as_str().unwrap().to_owned();
    let _agent = bed.agent(&BEFORE.replace("3f9c2b1ae1", &hash));
    bed.write("night.plan", &text);
    let step = bed.run(&["explain", "4", "--plan", "night.plan"]).await.ends(0);
    for word in ["who  ", "undo  ", "deadlines", "facts"] {
        assert!(step.out.contains(word), "no {word}: {}", step.out);
    }
    assert!(!step.out.contains("not known"), "{}", step.out);
}

#[tokio::test]
async fn an_agents_refusal_is_told_with_code_and_remedy() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    let refusal = lockkeeper_proto::transport::coded_status(
        tonic::Code::PermissionDenied,
        "LK3027",
        "LK3027: uid:7 has the role viewer; this call needs admin or admin",
    );
    agent.set(|s| s.refuse = Some(refusal));
    let refused = bed.run(&["resume"]).await.ends(4);
    assert!(refused.err.contains("error[LK3027] cannot resume the rollout: uid:7 has"), "{}", refused.err);
    assert!(refused.err.contains("= then:") && refused.err.contains("lockkeeper explain LK3027"));
    assert_eq!(refused.out, "");
    agent.set(|s| s.refuse = Some(Status::invalid_argument("what?")));
    let error = bed.run(&["status"]).await.ends(1);
    assert!(error.err.contains("error[LK7005] cannot read the status: what?"), "{}", error.err);
}

#[tokio::test]
async fn an_answer_of_another_build_is_named_and_can_still_be_read_as_json() {
    let bed = Bed::new();
    let _agent = bed.agent("{\"cluster\":7}");
    let error = bed.run(&["status"]).await.ends(1);
    assert!(error.err.contains("error[LK7006]"), "{}", error.err);
    assert_eq!(bed.run(&["status", "--json"]).await.ends(0).json()["cluster"], 7);
}
