//! All three members are copied in the middle of a rollout and started on hosts of their own, where they reach nobody but
//! each other, production's database and its balancer. They have valid certificates and a quorum; they do nothing.

use crate::{
    bed::{Demo, text, wait_for},
    recover::{Agent, config, copy, lockkeeper, start, status},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    process::{Command, Stdio},
};

const ALL: [&str; 3] = ["n1", "n2", "n3"];

fn ask(demo: &Demo, file: &str, sql: &str) -> String {
    let output =
        Command::new("sqlite3").arg("-readonly").arg(demo.keep.join(file)).arg(sql).output().unwrap();
    text(&output).trim().to_owned()
}

fn last_effect(demo: &Demo) -> Option<String> {
    let found = ask(demo, "db/ledger.db", "select generation, idx, nonce from mark_1");
    found.starts_with("1|").then_some(found)
}

/// Everything that somebody outside the copies' hosts could see of an effect of theirs, by who was told or touched.
fn seen_outside(demo: &Demo) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    seen.insert("ledger".to_owned(), ask(demo, "db/ledger.db", ".dump"));
    seen.insert(
        "live file".to_owned(),
        fs::read_link(demo.keep.join("db/current")).unwrap().display().to_string(),
    );
    seen.insert("schema".to_owned(), ask(demo, "db/current", "select version from schema_version"));
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in fs::read_to_string(demo.keep.join("balancer.log")).unwrap().lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        if line["event"] == "state" {
            let states = wanted.entry(line["server"].to_string()).or_default();
            let admin = line["admin"].to_string();
            if states.last() != Some(&admin) {
                states.push(admin);
            }
        }
    }
    seen.insert("balancer".to_owned(), format!("{wanted:?}"));
    for member in ALL {
        let log = fs::read_to_string(demo.keep.join(format!("app-{member}.log"))).unwrap();
        seen.insert(format!("application of {member}"), log.matches("\"event\"").count().to_string());
    }
    seen
}

/// The production rollout to its end; a person tries again what the crash of all agents broke.
fn finish(demo: &Demo) {
    wait_for("the original to finish", || {
        let view = status(demo, "n1")?;
        let rollout = &view["rollout"];
        if rollout["state"] == "halted" {
            let socket = demo.keep.join("run/agent-n1.sock").display().to_string();
            let failed = rollout["steps"].as_array()?.iter().find(|step| step["state"] == "failed");
            let step = failed.map(|step| step["id"].to_string());
            let words = step.as_ref().map_or(vec!["resume"], |step| vec!["retry", step]);
            drop(lockkeeper(demo, &[&["--socket", &socket], &words[..]].concat()));
        }
        (rollout["state"] == "completed").then_some(())
    });
}

/// The three copies on hosts of their own: network, processes and data are theirs, files and sockets are production's.
fn start_copies(demo: &Demo) -> Agent {
    let mut script = "ip link set lo up\n".to_owned();
    for member in ALL {
        let data = demo.data(member).display().to_string();
        let toml = fs::read_to_string(demo.keep.join(config(member))).unwrap();
        let copied = demo.keep.join("copy").join(member).display().to_string();
        let toml = toml.replace(&data, &copied).replace("run/agent-", "run/copy-");
        fs::write(demo.keep.join(format!("copy-{member}.toml")), toml).unwrap();
        let keep = demo.keep.display();
        script +=
            &format!("\"$0\" agent run --config {keep}/copy-{member}.toml 2>>{keep}/copy-{member}.log &\n");
    }
    script += "wait\n";
    let log = File::create(demo.keep.join("copies.log")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &script]);
    command.arg(env!("CARGO_BIN_EXE_lockkeeper")).current_dir(&demo.keep);
    Agent::new(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

fn copys_view(demo: &Demo) -> Option<Value> {
    let socket = demo.keep.join("run/copy-n1.sock").display().to_string();
    let output = lockkeeper(demo, &["--socket", &socket, "status", "--json"]);
    let view: Value = serde_json::from_slice(&output.stdout).ok()?;
    (view["stale"] == false).then_some(view)
}

/// Until the copy stands, refused by the ledger at a step it tries for at least the `attempt`th time. Answers every step
/// that was refused.
fn refused(demo: &Demo, attempt: u64) -> Vec<u64> {
    let view = wait_for("the copy to be refused", || {
        let view = copys_view(demo)?;
        let tried = failed(&view).any(|step| step["attempts"].as_u64() >= Some(attempt));
        (view["rollout"]["state"] == "halted" && tried).then_some(view)
    });
    let told = view["rollout"]["why"].as_array().unwrap().iter().find(|why| why["code"] == "twin-group");
    let told = told.unwrap_or_else(|| panic!("it does not say why: {view:#}"));
    assert_eq!(told["owner"], "person", "{told:#}");
    assert!(told["remedy"].as_str().unwrap().contains("explain twin-group"), "{told:#}");
    failed(&view).filter_map(|step| step["id"].as_u64()).collect()
}

fn failed(view: &Value) -> impl Iterator<Item = &Value> {
    view["rollout"]["steps"].as_array().into_iter().flatten().filter(|step| step["state"] == "failed")
}

#[test]
fn a_copy_of_all_three_members_does_nothing_to_production() {
    let root = rustix::process::geteuid().is_root();
    assert!(root, "hosts of their own for the copies need root, as all network tests do");
    let demo = Demo::start();
    wait_for("the first effect", || last_effect(&demo));
    demo.signal("demo --json", Signal::STOP);
    demo.signal("agent run", Signal::KILL);
    wait_for("the agents to be gone", || demo.pids("agent run").is_empty().then_some(()));
    for member in ALL {
        copy(&demo.data(member), &demo.keep.join("copy").join(member));
    }
    let copied = last_effect(&demo);
    let originals = ALL.map(|member| start(&demo, &config(member), &format!("{member}.again.log")));
    finish(&demo);
    assert_ne!(last_effect(&demo), copied, "the original went on");
    assert_eq!(ask(&demo, "db/current", "select version from schema_version"), "2");

    let before = seen_outside(&demo);
    let copies = start_copies(&demo);
    refused(&demo, 1);
    assert_eq!(seen_outside(&demo), before);

    // Whatever its people try. It goes on only when every refused step is tried again, and is refused again.
    let socket = demo.keep.join("run/copy-n1.sock").display().to_string();
    wait_for("every refused step to be tried again", || {
        for step in refused(&demo, 1) {
            drop(lockkeeper(&demo, &["--socket", &socket, "retry", &step.to_string()]));
        }
        failed(&copys_view(&demo)?).any(|step| step["attempts"].as_u64() >= Some(2)).then_some(())
    });
    refused(&demo, 2);
    assert_eq!(seen_outside(&demo), before);
    assert!(status(&demo, "n1").is_some_and(|view| view["rollout"]["state"] == "completed"));
    drop((copies, originals));
}
