//! The boot guard of a member whose host was off during the whole rollout and is booted afterwards with the agents' ports
//! cut: its application does not start, and with the package purged it does. Before, on a healthy cluster, neither the loss
//! of the quorum nor that of every agent keeps it from starting.

use crate::{
    bed::{Demo, show, text, wait_for},
    recover::{config, copy, lockkeeper, must, start, status},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

/// Whether the application of n3 starts. A file that is made stands for it: what the demo's own application thinks of
/// the schema must not answer for the guard.
fn boots(demo: &Demo) -> (bool, Output) {
    let mark = demo.keep.join("started");
    let _not_there = fs::remove_file(&mark);
    let mark_text = mark.display().to_string();
    let output = lockkeeper(demo, &["agent", "guard", "--config", &config("n3"), "--", "touch", &mark_text]);
    let started = mark.exists();
    assert_eq!(output.status.code(), Some(if started { 0 } else { 3 }), "{}", text(&output));
    (started, output)
}

fn must_boot(demo: &Demo, code: &str) {
    let (started, output) = boots(demo);
    assert!(started && text(&output).contains(code), "wanted a start with {code:?}: {}", text(&output));
}

fn must_not_boot(demo: &Demo, code: &str) {
    let (started, output) = boots(demo);
    assert!(!started, "it started: {}", text(&output));
    assert!(text(&output).contains(&format!("refused[{code}]")), "{}", text(&output));
    assert!(text(&output).contains("guard-open --reason"), "no way on: {}", text(&output));
}

fn learnt(demo: &Demo) -> Option<Value> {
    let memory: Value = serde_json::from_slice(&fs::read(demo.data("n3").join("guard.json")).ok()?).ok()?;
    memory["learnt"].get("1.0").cloned()
}

#[test]
fn a_member_that_was_off_during_the_rollout_does_not_start_its_application() {
    let mut demo = Demo::start();
    // Everything is installed and the group is complete; the plan is made next.
    wait_for("the cluster to serve", || demo.keep.join("client.log").exists().then_some(()));
    demo.signal("demo --json", Signal::STOP);
    assert_eq!(wait_for("n3 to know its schema", || learnt(&demo))["main"], "1");
    must_boot(&demo, "");

    // No agent answers at all: the databases do.
    demo.signal("agent run", Signal::STOP);
    must_boot(&demo, "warning[LK7420]");
    // n3 as it is when its host goes off now.
    let (before, current) = (demo.keep.join("before"), demo.keep.join("hosts/n3/app/current"));
    copy(&demo.data("n3"), &before);
    let release = fs::read_link(&current).unwrap();
    demo.signal("agent run", Signal::CONT);
    wait_for("the group to lead itself again", || {
        let view = status(&demo, "n1")?;
        (view["leader"].is_string() && view["stale"] == false).then_some(())
    });
    demo.signal("demo --json", Signal::CONT);
    demo.until_over();
    let sheet: Value = serde_json::from_slice(&show(&demo.data("n1"), &["--json"]).stdout).unwrap();
    assert!(sheet["rollout"].is_null(), "the rollout is over: {sheet}");

    // Booted again: its disk is as it was, nobody answers, the database has moved on.
    fs::remove_dir_all(demo.data("n3")).unwrap();
    fs::remove_file(&current).unwrap();
    symlink(&release, &current).unwrap();
    copy(&before, &demo.data("n3"));
    must_not_boot(&demo, "LK7418");
    // A database that is down speaks neither for nor against it: the last word, idle and young, does.
    let (db, aside) = (demo.keep.join("db"), demo.keep.join("db-down"));
    fs::rename(&db, &aside).unwrap();
    must_boot(&demo, "warning[LK7421]");
    fs::rename(&aside, &db).unwrap();

    // The members that were there start: what the rollout left is what they are.
    let n1 = lockkeeper(&demo, &["agent", "guard", "--config", &config("n1")]);
    assert!(n1.status.success() && text(&n1).contains("warning[LK7420]"), "{}", text(&n1));

    a_person_opens_it_once(&demo);
    the_group_is_told(&demo);
    purged(&demo);
}

fn a_person_opens_it_once(demo: &Demo) {
    let data = demo.data("n3").display().to_string();
    let silent = lockkeeper(demo, &["breakglass", "guard-open", "--data", &data, "--reason", ""]);
    assert_eq!(silent.status.code(), Some(64), "{}", text(&silent));
    let long = ["breakglass", "guard-open", "--data", &data, "--reason", "x", "--for", "25h"];
    assert_eq!(lockkeeper(demo, &long).status.code(), Some(64));
    must_not_boot(demo, "LK7418");
    must(demo, &["breakglass", "guard-open", "--data", &data, "--reason", "INC-7"]);
    let sheet = text(&show(Path::new(&data), &[]));
    assert!(sheet.contains("boot guard of this host is OPEN for the next start"), "{sheet}");
    must_boot(demo, "warning[LK7414]");
    must_not_boot(demo, "LK7418");
    let sheet: Value = serde_json::from_slice(&show(Path::new(&data), &["--json"]).stdout).unwrap();
    assert_eq!(
        (sheet["guard"]["uses"].clone(), sheet["guard"]["reason"].clone()),
        (1.into(), "INC-7".into())
    );
    let evidence = fs::read_to_string(demo.data("n3").join("evidence/guard.jsonl")).unwrap();
    let done: Vec<Value> = evidence.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let what: Vec<&str> = done.iter().filter_map(|line| line["what"].as_str()).collect();
    assert_eq!(what, ["opened", "used"], "{evidence}");
}

/// What was done without a quorum is in the audit once there is one, and `status` shows it while it lasts.
fn the_group_is_told(demo: &Demo) {
    let open = ["breakglass", "guard-open", "--config", &config("n1"), "--reason", "INC-8", "--for", "1h"];
    must(demo, &open);
    let _agents = [start(demo, &config("n1"), "n1.log"), start(demo, &config("n2"), "n2.log")];
    let shown = wait_for("the group to know of the opened guard", || {
        let view = status(demo, "n2")?;
        let members = view["members"].as_array()?.clone();
        members.into_iter().find(|m| m["name"] == "n1" && m["guard_open"].is_object())
    });
    assert_eq!(
        (&shown["guard_open"]["reason"], &shown["guard_open"]["once"]),
        (&"INC-8".into(), &false.into())
    );
    let socket = demo.keep.join("run/agent-n2.sock").display().to_string();
    let told = must(demo, &["--socket", &socket, "status"]);
    assert!(told.contains("boot guard of n1 is OPEN for every start"), "{told}");
    let audit = must(demo, &["--socket", &socket, "audit", "show"]);
    assert!(audit.lines().any(|l| l.contains("guard-opened") && l.contains("INC-8")), "{audit}");
    // The peers know that n3's version is not the group's any more, whatever its own disk says.
    must_not_boot(demo, "LK7417");
}

fn purged(demo: &Demo) {
    fs::remove_dir_all(demo.data("n3")).unwrap();
    must_boot(demo, "note[LK7411]");
    fs::remove_file(demo.keep.join(config("n3"))).unwrap();
    must_boot(demo, "note[LK7411]");
    // Not even the binary is there: the line of the unit, as operators get it, with another path.
    let sample =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/sample/app.service.d/lockkeeper.conf");
    let sample = fs::read_to_string(sample).unwrap();
    let line = sample.lines().find_map(|l| l.strip_prefix("ExecStartPre=+/bin/sh -c '")).unwrap();
    let line = line.strip_suffix('\'').unwrap();
    assert!(line.contains("/usr/local/bin/lockkeeper agent guard"), "{line}");
    let runs = |program: &str| {
        let script = line.replace("/usr/local/bin/lockkeeper", program);
        Command::new("/bin/sh").args(["-c", &script]).output().unwrap().status.code()
    };
    assert_eq!(runs(&demo.keep.join("nothing").display().to_string()), Some(0));
    let refuses = demo.keep.join("refuses");
    fs::write(&refuses, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&refuses, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(runs(&refuses.display().to_string()), Some(3), "a refusal reaches systemd");
}
