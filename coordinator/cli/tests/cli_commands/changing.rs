//! Commands that change something: what the agent is asked, what a rejection looks like, exit codes.

use crate::{
    agent::{applied, rejected},
    bed::{Authority, Bed, IDLE, RUNNING, SAMPLE, plan_text},
};
use lockkeeper_core::{identity::Role, plan::OwedKey, rollout::Rejection};
use lockkeeper_proto::pb::{OperatorIssueReply, OperatorReply, OperatorTokenCreateReply};
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test]
async fn each_decision_reaches_the_agent_as_it_was_said() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    bed.run(&["pause", "--reason", "storage team"]).await.ends(0);
    bed.run(&["resume"]).await.ends(0);
    bed.run(&["abort", "--reason", "load test"]).await.ends(0);
    bed.run(&["retry", "12"]).await.ends(0);
    bed.run(&["owed", "accept", "front/n1", "--reason", "replaced"]).await.ends(0);
    let asked = agent.asked();
    assert_eq!(
        asked,
        ["pause storage team", "resume", "abort load test", "retry 12", "accept front/n1 for replaced"]
    );
}

#[tokio::test]
async fn a_rejection_ends_with_4_its_code_and_what_to_do() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    let cases: [(&[&str], Rejection, &str); 4] = [
        (&["abort"], Rejection::PastPointOfNoReturn, "rejected[LK3010]"),
        (&["resume"], Rejection::NoRollout, "rejected[LK3002]"),
        (&["retry", "3"], Rejection::NotFailed(lockkeeper_core::ids::StepId(3)), "rejected[LK3012]"),
        (
            &["owed", "accept", "front/n9", "--reason", "x"],
            Rejection::NotOwed(OwedKey("front/n9".into())),
            "rejected[LK3021]",
        ),
    ];
    for (words, rejection, wanted) in cases {
        agent.set(|s| s.reply = rejected(rejection));
        let ran = bed.run(words).await.ends(4);
        assert!(ran.err.contains(wanted) && ran.err.contains("= then:"), "{words:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{words:?}");
    }
}

#[tokio::test]
async fn apply_asks_and_refuses_to_guess_an_answer() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    let text = plan_text("26.5.0");
    bed.write("night.plan", &text);
    let refused = bed.run(&["apply", "night.plan"]).await.ends(64);
    assert!(refused.err.contains("error[LK7011]"), "{}", refused.err);
    assert_eq!(agent.asked(), Vec::<String>::new(), "nothing was asked of the agent");
    agent.set(|s| s.reply = applied(4650, Some(4650)));
    let accepted = bed.run(&["apply", "night.plan", "--yes"]).await.ends(0);
    assert_eq!(accepted.out, "rollout 4650 accepted: library 20.6.1 -> 26.5.0\n");
    assert_eq!(agent.asked(), [format!("apply {} bytes", text.len())]);
    let json = bed.run(&["apply", "night.plan", "--yes", "--json"]).await.ends(0).json();
    assert_eq!((json["rollout"].as_u64(), json["index"].as_u64()), (Some(4650), Some(4650)));
}

#[tokio::test]
async fn apply_of_a_plan_without_approval_or_with_old_facts_ends_with_4() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    bed.write("night.plan", &plan_text("26.5.0"));
    agent.set(|s| s.reply = rejected(Rejection::NotApproved { found: 0, needed: 1 }));
    let ran = bed.run(&["apply", "night.plan", "--yes"]).await.ends(4);
    assert!(ran.err.contains("rejected[LK3005]"), "{}", ran.err);
    agent.set(|s| s.reply = OperatorReply { reply: Vec::new(), faults: "error[LK2021] stale plan\n".into() });
    let ran = bed.run(&["apply", "night.plan", "--yes", "--follow"]).await.ends(4);
    assert!(ran.err.contains("error[LK2021] stale plan"), "{}", ran.err);
}

#[tokio::test]
async fn approve_sends_the_file_to_the_byte_and_an_altered_one_not_at_all() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    let text = plan_text("26.5.0");
    bed.write("night.plan", &text);
    bed.run(&["approve", "night.plan", "--as", "approver", "--reference", "CHG-1"]).await.ends(0);
    assert_eq!(agent.asked(), [format!("approve {} bytes as approver for CHG-1", text.len())]);
    bed.write("altered.plan", &text.replacen("20.6.1", "20.6.2", 1));
    for words in [vec!["approve", "altered.plan", "--as", "approver"], vec!["apply", "altered.plan", "--yes"]]
    {
        let ran = bed.run(&words).await.ends(1);
        assert!(ran.err.contains("LK2020"), "{}", ran.err);
    }
    assert_eq!(agent.asked().len(), 1, "the altered file reached the agent");
}

#[tokio::test]
async fn a_cluster_file_is_checked_before_it_is_sent() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    bed.write("good.toml", SAMPLE);
    bed.write("bad.toml", &SAMPLE.replacen("voters", "voterz", 1));
    let bad = bed.run(&["cluster", "apply", "bad.toml"]).await.ends(1);
    assert!(bad.err.contains("LK1007") && agent.asked().is_empty(), "{}", bad.err);
    bed.run(&["cluster", "apply", "good.toml"]).await.ends(0);
    assert_eq!(agent.asked(), [format!("cluster apply good.toml {} bytes", SAMPLE.len())]);
    agent.set(|s| s.reply = rejected(Rejection::DuringRollout(lockkeeper_core::ids::RolloutId(7))));
    let rejected = bed.run(&["cluster", "apply", "good.toml"]).await.ends(4);
    assert!(rejected.err.contains("rejected[LK3028]"), "{}", rejected.err);
}

#[tokio::test]
async fn a_token_goes_to_stdout_alone_or_into_a_private_file() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    agent.set(|s| {
        s.token = OperatorTokenCreateReply { token: "lkj1_secret".into(), expires_ms: 4_000_000_000_000 }
    });
    let shown = bed.run(&["token", "create", "n2", "--valid", "30min"]).await.ends(0);
    assert_eq!(shown.out, "lkj1_secret\n");
    assert!(!shown.err.contains("lkj1_"), "{}", shown.err);
    let filed = bed.run(&["token", "create", "n2", "-o", "n2.token"]).await.ends(0);
    assert_eq!(filed.out, "");
    assert_eq!(bed.read("n2.token"), "lkj1_secret\n");
    let mode = std::fs::metadata(bed.path("n2.token")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(agent.asked(), ["token n2 1800 s", "token n2 3600 s"]);
}

#[tokio::test]
async fn an_operator_gets_a_context_of_their_own_and_nobody_elses_is_replaced() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    let authority = Authority::new("c-1");
    let roots = authority.roots.clone();
    agent.set(|s| {
        s.issue = Some(Box::new(move |request| OperatorIssueReply {
            chain: authority.operator(&request.csr, &request.name, request.role.parse::<Role>().unwrap()),
            roots: roots.clone(),
            addresses: vec!["127.0.0.1:1".into(), "127.0.0.1:2".into()],
        }));
    });
    let made = bed.run(&["operator", "create", "bob", "--role", "approver"]).await.ends(0);
    assert_eq!(made.out, "bob/library.toml\n");
    let context = lockkeeper_coordinator::pki::OperatorContext::read(&bed.path("bob/library.toml")).unwrap();
    assert_eq!(context.addresses, ["127.0.0.1:1", "127.0.0.1:2"]);
    let again = bed.run(&["operator", "create", "bob", "--role", "admin"]).await.ends(1);
    assert!(again.err.contains("error[LK7009]"), "{}", again.err);
    assert_eq!(agent.asked().iter().filter(|a| a.starts_with("issue")).count(), 1);
}

#[tokio::test]
async fn a_certificate_for_somebody_else_is_not_taken() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    let authority = Authority::new("c-1");
    agent.set(|s| {
        s.issue = Some(Box::new(move |request| OperatorIssueReply {
            chain: authority.operator(&request.csr, &request.name, Role::Admin),
            roots: authority.roots.clone(),
            addresses: vec!["127.0.0.1:1".into()],
        }));
    });
    let ran = bed.run(&["operator", "create", "bob", "--role", "viewer"]).await.ends(1);
    assert!(ran.err.contains("error[LK7006]") && !bed.path("bob").exists(), "{}", ran.err);
}
