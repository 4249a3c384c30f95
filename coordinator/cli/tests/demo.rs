//! `lockkeeper demo` as a user runs it: plain and with both faults, judged by its own report and by an oracle that links
//! nothing of Lockkeeper. One demo at a time: several would starve each other on two cores.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, helpers included")]

use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// For one demo on a machine that builds beside us; it takes a sixth of it alone.
const PATIENCE: Duration = Duration::from_secs(120);

/// For everything a demo started to be gone after an interruption.
const GONE: Duration = Duration::from_secs(15);

/// Held while a demo runs.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn demo(keep: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    command.args(["demo", "--json", "--keep"]).arg(keep).stdin(Stdio::null());
    command
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Processes that have the directory in their command line: nothing of a demo runs without it.
fn of_the_demo(keep: &Path) -> Vec<String> {
    let keep = std::fs::canonicalize(keep).unwrap().display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&keep))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "polls conditions of other processes")]
fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn succeeds(fault: &str) {
    let home = tempfile::tempdir().unwrap();
    let keep = home.path().join("kept");
    let begun = Instant::now();
    let output = demo(&keep).args(["--fault", fault]).output().unwrap();
    assert!(output.status.success(), "{fault}: {}", shown(&output));
    assert!(begun.elapsed() < PATIENCE, "{fault}: {:?}", begun.elapsed());

    let result: Value = serde_json::from_slice(&output.stdout).expect("one object on stdout");
    assert_eq!(result["state"], "completed", "{result:#}");
    let upgrader = fault.ends_with("-upgrader") || fault == "partition";
    let attempts = if upgrader { 2 } else { 1 };
    assert_eq!(
        (&result["database_upgrades"], &result["attempts"]),
        (&1.into(), &attempts.into()),
        "{result:#}"
    );
    let tokens: Vec<&str> =
        result["tokens"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(tokens.len(), attempts, "{result:#}");
    assert!(tokens.windows(2).all(|pair| number(pair[0]) < number(pair[1])), "{result:#}");
    let late = |key: &str| result["late_writes"][key].as_u64().unwrap();
    assert_eq!(late("landed"), 0, "{result:#}");
    assert_eq!(late("attempted") > 0, ["pause-upgrader", "partition"].contains(&fault), "{result:#}");
    assert!(!upgrader || result["upgrader"] != result["fault"]["victim"], "{result:#}");
    assert_eq!(result["requests"]["failed_outside_outage"], 0, "{result:#}");
    assert!(result["requests"]["total"].as_u64() > result["requests"]["ok"].as_u64(), "{result:#}");
    assert_eq!((&result["owed"], &result["invariants"]["violated"]), (&empty(), &empty()), "{result:#}");
    assert_eq!(result["members"], serde_json::json!(["n1", "n2", "n3"]));
    for key in ["from", "to", "upgrader", "outage_ms", "wall_ms", "critical_path_ms", "overhead_ratio"] {
        assert!(!result[key].is_null(), "{key}: {result:#}");
    }
    assert!(result["wall_ms"].as_u64() >= result["critical_path_ms"].as_u64(), "{result:#}");
    fault_is_told(fault, &result);
    assert_eq!(of_the_demo(&keep), Vec::<String>::new(), "nothing may outlive the demo");

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracle/demo.py");
    let oracle = Command::new("python3").arg(script).arg("--keep").arg(&keep).output().unwrap();
    assert!(oracle.status.success(), "{fault}: {}", shown(&oracle));
}

/// `1-38`, as something that can be compared.
fn number(token: &str) -> (u64, u64) {
    let (generation, index) = token.split_once('-').unwrap();
    (generation.parse().unwrap(), index.parse().unwrap())
}

fn empty() -> Value {
    Value::Array(Vec::new())
}

fn fault_is_told(kind: &str, result: &Value) {
    let fault = &result["fault"];
    assert_eq!(fault["kind"], kind, "{result:#}");
    if kind == "none" {
        assert!(fault["victim"].is_null(), "{result:#}");
        return;
    }
    assert_eq!(fault["landed"], true, "{result:#}");
    assert!(fault["during_step"].as_str().unwrap().contains("upgrade-database"), "{result:#}");
    assert!(fault["injected_at"].as_u64() < fault["cleared_at"].as_u64(), "{result:#}");
    assert!(result["members"].as_array().unwrap().contains(&fault["victim"]), "{result:#}");
    if kind == "clone" {
        let copy = &fault["copy"];
        assert_eq!((&copy["votes"], &copy["application_starts"]), (&0.into(), &0.into()), "{result:#}");
        assert_eq!(copy["code"], "LK6215", "{result:#}");
    }
    assert!(!fault["effect"].as_str().unwrap().is_empty(), "{result:#}");
}

#[test]
fn the_demo_succeeds_plain_and_with_every_fault_and_the_oracle_agrees() {
    let _alone = alone();
    let faults =
        ["none", "kill-leader", "pause-leader", "kill-upgrader", "pause-upgrader", "partition", "clone"];
    for fault in faults {
        succeeds(fault);
    }
}

#[test]
fn an_interrupted_demo_leaves_no_process_behind() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let keep = home.path().join("kept");
    let mut child = demo(&keep).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = keep.join("client.log");
    wait_for("the client to begin", PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none(), "the demo ended by itself");
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("\"status\":200"))
    });
    assert!(of_the_demo(&keep).len() > 5, "agents, applications, balancer and client run");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    wait_for("the demo to end", GONE, || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(of_the_demo(&keep), Vec::<String>::new());
}

#[test]
fn a_directory_that_holds_something_is_refused_before_anything_is_started() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("mine"), "x").unwrap();
    let output = demo(home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(shown(&output).contains("is not empty"), "{}", shown(&output));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}
