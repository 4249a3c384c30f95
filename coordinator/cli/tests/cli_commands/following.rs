//! Following a rollout: lines and JSON, the end, Ctrl-C, and the death of an agent.

use crate::{
    agent::applied,
    bed::{
        Authority, BEFORE, Bed, COMPLETED, HALTED, IDLE, RUNNING, ended, eventually, nowhere, plan_text,
        rest, until,
    },
};
use rustix::process::{Pid, Signal, kill_process};

#[tokio::test]
async fn a_rollout_is_followed_in_lines_to_its_end() {
    let bed = Bed::new();
    let agent = bed.agent(BEFORE);
    let mut child = bed.command(&["--socket", "agent.sock", "status", "--watch"]).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let first = until(&mut out, "outage begins").await;
    assert!(first.contains("2026-11-21T14:14:08+00:00  rollout 4650 20.6.1 -> 26.5.0"), "{first}");
    agent.status.send_replace(RUNNING.to_owned());
    until(&mut out, "step 12 upgrade-database main given to n2, token (1, 4711)").await;
    agent.status.send_replace(COMPLETED.to_owned());
    let last = until(&mut out, "n3      in        proven").await;
    assert!(last.contains("rollout completed") && last.contains("outage ends after 31 s"), "{last}");
    ended(child).await.ends(0);
}

#[tokio::test]
async fn a_halt_ends_with_5_and_says_why_and_what_to_do() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING);
    let mut child = bed.command(&["--socket", "agent.sock", "status", "--watch"]).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    until(&mut out, "rollout 4650").await;
    agent.status.send_replace(HALTED.to_owned());
    let said = until(&mut out, "then: lockkeeper retry 12").await;
    assert!(said.contains("FAILED at n2: LK5402") && said.contains("rollout halted"), "{said}");
    ended(child).await.ends(5);
}

#[tokio::test]
async fn json_is_one_object_a_line() {
    let bed = Bed::new();
    let agent = bed.agent(RUNNING.replace('\n', "").as_str());
    let mut child = bed.command(&["--socket", "agent.sock", "status", "--watch", "--json"]).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let first = until(&mut out, "\n").await;
    agent.status.send_replace(COMPLETED.replace('\n', ""));
    let last = rest(&mut out).await;
    for line in (first + &last).lines() {
        assert_eq!(serde_json::from_str::<serde_json::Value>(line).unwrap()["rollout"]["id"], 4650, "{line}");
    }
    ended(child).await.ends(0);
}

#[tokio::test]
async fn ctrl_c_ends_the_watching_only() {
    let bed = Bed::new();
    let _agent = bed.agent(RUNNING);
    let mut child = bed.command(&["--socket", "agent.sock", "status", "--watch"]).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    until(&mut out, "rollout 4650").await;
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ran = ended(child).await.ends(130);
    assert!(
        ran.err.contains("rollout 4650 goes on") && ran.err.contains("lockkeeper status --watch"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn without_an_active_rollout_watching_ends_at_once() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    let ran = bed.run(&["status", "--watch"]).await.ends(0);
    assert!(ran.err.contains("no rollout is active"), "{}", ran.err);
    agent.status.send_replace(COMPLETED.to_owned());
    let ran = bed.run(&["status", "--watch", "--json"]).await.ends(0);
    assert_eq!(ran.json()["rollout"]["state"], "completed");
}

#[tokio::test]
async fn apply_follows_its_own_rollout_and_believes_no_older_view() {
    let bed = Bed::new();
    let agent = bed.agent(HALTED);
    bed.write("night.plan", &plan_text("26.5.0"));
    // The view still shows an older rollout, which halted; ours is number 4800.
    agent.set(|s| s.reply = applied(4800, Some(4800)));
    let words = ["--socket", "agent.sock", "apply", "night.plan", "--yes", "--follow"];
    let mut child = bed.command(&words).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let ours = |view: &str| view.replace("4650", "4800").replace("\"applied\": 47", "\"applied\": 49");
    eventually(|| agent.asked().contains(&"watch".to_owned())).await;
    agent.status.send_replace(ours(RUNNING));
    let said = until(&mut out, "rollout 4800").await;
    assert!(!said.contains("halted"), "{said}");
    agent.status.send_replace(ours(COMPLETED));
    until(&mut out, "COMPLETED").await;
    ended(child).await.ends(0);
}

#[tokio::test]
async fn when_its_agent_dies_another_one_is_asked_and_it_is_said() {
    let bed = Bed::new();
    let authority = Authority::new("c-1");
    let (second, second_address) = authority.agent("n2", RUNNING).await;
    // The context knows the first agent only; where the second is, the view tells.
    let view = |text: &str| nowhere(&text.replace("10.77.0.12:7440", &second_address));
    let (first, address) = authority.agent("n1", &view(RUNNING)).await;
    second.status.send_replace(view(RUNNING));
    let context = authority.context(&bed.path("ctx"), "library", &[&address]);
    let words = ["--context", context.to_str().unwrap(), "status", "--watch"];
    let mut child = bed.command(&words).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    // The last line of the first view.
    until(&mut out, "main/login report restored").await;
    drop(first);
    let note = until(&mut err, "asking another").await;
    assert!(note.contains(&address), "{note}");
    second.status.send_replace(view(COMPLETED));
    let said = until(&mut out, "COMPLETED").await;
    assert!(!said.contains("given to n2"), "what was shown is shown again: {said}");
    ended(child).await.ends(0);
}

#[tokio::test]
async fn an_agent_that_hears_no_quorum_is_left_for_one_that_does() {
    let bed = Bed::new();
    let authority = Authority::new("c-1");
    let stale = nowhere(RUNNING).replace("\"stale\": false", "\"stale\": true");
    let (_first, a) = authority.agent("n1", &stale).await;
    let (second, b) = authority.agent("n2", &nowhere(RUNNING)).await;
    let context = authority.context(&bed.path("ctx"), "library", &[&a, &b]);
    let words = ["--context", context.to_str().unwrap(), "status", "--watch"];
    let mut child = bed.command(&words).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    until(&mut err, "n1 hears no quorum; asking another").await;
    second.status.send_replace(nowhere(COMPLETED));
    until(&mut out, "COMPLETED").await;
    ended(child).await.ends(0);
}
