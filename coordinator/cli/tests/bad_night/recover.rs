//! Two of three agents and their data are destroyed in the middle of the migration. The survivor is recovered alone, the
//! others join anew, and the rollout is carried on to its end. The old generation is heard nowhere.

use crate::bed::{Demo, show, text, wait_for};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

const ALL: [&str; 3] = ["n1", "n2", "n3"];

/// An agent that this test started.
pub struct Agent(Child);

impl Agent {
    pub const fn new(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

pub fn lockkeeper(demo: &Demo, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    command.args(words).current_dir(&demo.keep).stdin(Stdio::null()).output().unwrap()
}

pub fn must(demo: &Demo, words: &[&str]) -> String {
    let output = lockkeeper(demo, words);
    assert!(output.status.success(), "{words:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub fn config(member: &str) -> String {
    format!("agents/{member}/agent.toml")
}

pub fn start(demo: &Demo, config: &str, log: &str) -> Agent {
    let log = File::options().create(true).append(true).open(demo.keep.join(log)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    command.args(["agent", "run", "--config", config]).current_dir(&demo.keep);
    Agent(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

fn socket(demo: &Demo, member: &str) -> String {
    demo.keep.join(format!("run/agent-{member}.sock")).display().to_string()
}

pub fn status(demo: &Demo, member: &str) -> Option<Value> {
    let output = lockkeeper(demo, &["--socket", &socket(demo, member), "status", "--json"]);
    serde_json::from_slice(&output.stdout).ok()
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else if from.is_file() {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Who upgrades, as the sheet of any node says.
fn holder(demo: &Demo) -> String {
    wait_for("the holder to be known", || {
        let sheet: Value = serde_json::from_slice(&show(&demo.data("n1"), &["--json"]).stdout).ok()?;
        Some(sheet["rollout"]["grants"][0]["member"].as_str()?.to_owned())
    })
}

#[test]
fn two_of_three_are_destroyed_in_the_migration_and_recover_finishes_it() {
    let demo = Demo::start();
    demo.until_upgrading();
    // Nobody drives the demo any more; its application, balancer and client go on.
    demo.signal("demo --json", rustix::process::Signal::STOP);
    let survivor = holder(&demo);
    let lost: Vec<&str> = ALL.into_iter().filter(|member| *member != survivor).collect();
    demo.signal("agent run", rustix::process::Signal::KILL);
    wait_for("the agents to be gone", || demo.pids("agent run").is_empty().then_some(()));
    let old = demo.keep.join("old");
    copy(&demo.data(lost[0]), &old);
    for member in &lost {
        fs::remove_dir_all(demo.data(member)).unwrap();
    }

    // Its application stays down whoever boots it: the rollout stopped it, by the survivor's own store.
    let mark = demo.keep.join("started").display().to_string();
    let guard = ["agent", "guard", "--config", &config(&survivor), "--", "touch", &mark];
    let refused = lockkeeper(&demo, &guard);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
    assert!(text(&refused).contains("refused[LK7415]"), "{}", text(&refused));
    assert!(!Path::new(&mark).exists());

    // Refused: by whom it must be, and without a word on the lost.
    let survives = config(&survivor);
    let base = ["recover", "--config", &survives, "--reason", "fire", "--yes", "--lost-are-powered-off"];
    let with = |more: &[&str]| lockkeeper(&demo, &[&base[..], more].concat());
    let other = with(&["--survivors", lost[0]]);
    assert!(text(&other).contains("error[LK7403]"), "{}", text(&other));
    let two = format!("{survivor},{}", lost[0]);
    let unknown = with(&["--survivors", &two]);
    assert!(text(&unknown).contains("error[LK7404]"), "{}", text(&unknown));
    let longer = with(&["--survivors", &two, "--log-of", &format!("{}=99.1", lost[0])]);
    assert!(text(&longer).contains("error[LK7404]"), "{}", text(&longer));
    let quorum = with(&["--survivors", &two, "--log-of", &format!("{}=0.1", lost[0])]);
    assert!(text(&quorum).contains("error[LK7405]"), "{}", text(&quorum));
    let silent = ["recover", "--config", &survives, "--reason", "fire", "--yes", "--survivors", &survivor];
    assert_eq!(lockkeeper(&demo, &silent).status.code(), Some(64), "somebody answers for the lost");

    let done = with(&["--survivors", &survivor]);
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("generation 2 is founded"), "{}", text(&done));
    let sheet: Value = serde_json::from_slice(&show(&demo.data(&survivor), &["--json"]).stdout).unwrap();
    assert_eq!(sheet["source"]["generation"], 2, "{sheet:#}");
    assert!(!sheet["rollout"]["owed"].as_array().unwrap().is_empty(), "owed stays owed: {sheet:#}");

    let log = format!("{survivor}.again.log");
    let _survivor = start(&demo, &survives, &log);
    let view = wait_for("the survivor to lead", || {
        status(&demo, &survivor).filter(|view| view["leader"] == survivor.as_str() && view["stale"] == false)
    });
    assert_eq!(view["rollout"]["state"], "halted", "{view:#}");
    let why = view["rollout"]["why"].as_array().unwrap();
    assert!(why.iter().any(|why| why["code"] == "recovered"), "{view:#}");
    // While it is halted nothing of the way forward is handed out, whatever it looks at.
    assert!(view["rollout"]["grant"]["main"]["state"] != "open", "{view:#}");

    // A node of the old generation comes back to life, at its old address: nobody hears it.
    let old_config = demo.keep.join("old.toml");
    let toml = fs::read_to_string(demo.keep.join(config(lost[0]))).unwrap();
    let data = demo.data(lost[0]).display().to_string();
    let toml = toml.replace(&data, &old.display().to_string()).replace("run/agent-", "run/old-");
    fs::write(&old_config, toml).unwrap();
    let ghost = start(&demo, "old.toml", "ghost.log");
    let ghost_socket = demo.keep.join(format!("run/old-{}.sock", lost[0])).display().to_string();
    let seen = wait_for("the ghost to have asked", || {
        let output = lockkeeper(&demo, &["--socket", &ghost_socket, "status", "--json"]);
        let view: Value = serde_json::from_slice(&output.stdout).ok()?;
        let refused = fs::read_to_string(demo.keep.join("ghost.log")).unwrap_or_default();
        let heard = ["revoked", "generation", "refused", "LK40"].iter().any(|word| refused.contains(word));
        heard.then_some(view)
    });
    assert!(seen["stale"] == true && seen["leader"].is_null(), "{seen:#}");
    drop(ghost);

    // The others join anew.
    let admin = socket(&demo, &survivor);
    let mut agents = Vec::new();
    for member in &lost {
        let token = PathBuf::from(format!("{member}.again.token"));
        let token = token.to_str().unwrap();
        must(&demo, &["--socket", &admin, "token", "create", member, "-o", token]);
        must(&demo, &["join", "--token-file", token, "--config", &config(member)]);
        agents.push(start(&demo, &config(member), &format!("{member}.again.log")));
    }
    // A person looks at what it waits for, and does it.
    let end = wait_for("the rollout to end", || {
        let view = status(&demo, &survivor)?;
        let rollout = &view["rollout"];
        if rollout["state"] == "completed" {
            return Some(view);
        }
        if rollout["state"] == "halted" {
            let all = rollout["steps"].as_array().unwrap();
            let closed = rollout["grant"]["main"]["state"] == "closed";
            match all.iter().find(|step| step["state"] == "failed") {
                Some(step) => {
                    let step = step["id"].to_string();
                    lockkeeper(&demo, &["--socket", &admin, "retry", &step]);
                    lockkeeper(&demo, &["--socket", &admin, "takeover", "main", "--reason", "recovered"]);
                }
                None if closed => drop(lockkeeper(&demo, &["--socket", &admin, "resume"])),
                None => {}
            }
        }
        None
    });
    let rollout = &end["rollout"];
    for owed in rollout["owed"].as_array().unwrap() {
        assert_eq!(owed["state"], "restored", "{end:#}");
    }
    // The door was shut once more, by the new generation, before it was opened.
    let step = |action: &str| {
        let all = rollout["steps"].as_array().unwrap();
        all.iter().find(|step| step["action"] == action && step["undo"] == false).cloned().unwrap()
    };
    for action in ["shut-door", "open-door"] {
        let token = step(action)["token"].as_str().unwrap().to_owned();
        assert!(token.trim_start_matches('(').starts_with('2'), "{action}: {token}");
    }
    let asked = |sql: &str| {
        text(&Command::new("sqlite3").arg(demo.keep.join("db/current")).arg(sql).output().unwrap()).trim().to_owned()
    };
    assert_eq!(asked("select version from schema_version"), "2");
    // One upgrade ended on the live database.
    let ended: usize = ALL
        .iter()
        .map(|m| fs::read_to_string(demo.keep.join(format!("app-{m}.log"))).unwrap_or_default())
        .map(|log| log.matches("\"upgrade-end\"").count())
        .sum();
    assert_eq!(ended, 1);
}
