//! `breakglass show` on a real data directory in the middle of an upgrade, agents running: the sheet alone brings the
//! site back by hand. And what it says of stores that are absent, empty or damaged.

use crate::bed::{Demo, show, text, wait_for};
use serde_json::Value;
use std::process::{Command, Stdio};

/// Does what stands on the sheet, line by line, as a person would: a look is repeated until it shows what is expected.
fn by_hand(lines: &Value) {
    for line in lines.as_array().unwrap().iter().map(|line| line.as_str().unwrap()) {
        if line.starts_with('#') || line.starts_with("fuser") {
            continue;
        }
        let run = || {
            let mut command = Command::new("sh");
            command.args(["-c", line]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
            command.stdin(Stdio::null()).output().unwrap()
        };
        if line.starts_with("curl") {
            wait_for(line, || text(&run()).contains(" 200 ").then_some(()));
        } else if line.contains("# until srv_check_result") {
            // Field 13 of a server's line, as the line says.
            wait_for(line, || {
                let said = text(&run());
                let server = line.split("srv_check_result of ").nth(1).unwrap().split(' ').next().unwrap();
                let of = |l: &&str| l.split(' ').nth(3) == Some(server);
                let found = said.lines().find(of).map(str::to_owned)?;
                (found.split(' ').nth(12) == Some("3")).then_some(())
            });
        } else {
            let output = run();
            assert!(output.status.success(), "{line}: {}", text(&output));
            assert!(!text(&output).contains("Unknown command") && !text(&output).contains("No such"), "{line}: {}", text(&output));
        }
    }
}

#[test]
fn in_the_middle_of_an_upgrade_one_data_directory_brings_the_site_back_by_hand() {
    let demo = Demo::start();
    demo.until_upgrading();
    // The agents run and hold their stores.
    let live = show(&demo.data("n1"), &["--json"]);
    assert!(live.status.success(), "{}", text(&live));

    // 1. of the sheet: stop Lockkeeper. All of it, and the demo that watches it.
    demo.signal("agent run", rustix::process::Signal::STOP);
    demo.signal("demo --json", rustix::process::Signal::STOP);
    let sheets: Vec<Value> = ["n1", "n2", "n3"]
        .iter()
        .map(|member| {
            let output = show(&demo.data(member), &["--json"]);
            assert!(output.status.success(), "{}", text(&output));
            serde_json::from_slice(&output.stdout).unwrap()
        })
        .collect();
    for sheet in &sheets {
        // Every node has the whole list, with the values before.
        let rollout = &sheet["rollout"];
        for (key, captured) in [
            ("front/n1", "ready"),
            ("front/n2", "ready"),
            ("front/n3", "ready"),
            ("n1/service", "running"),
            ("n2/service", "running"),
            ("n3/service", "running"),
            ("main/door", "{\"link\":\"current\",\"stem\":\"library\"}"),
        ] {
            let owed = rollout["owed"].as_array().unwrap().iter().find(|o| o["key"] == key);
            let owed = owed.unwrap_or_else(|| panic!("{key} is not owed: {sheet:#}"));
            assert_eq!((&owed["captured"], &owed["state"]), (&captured.into(), &"owed".into()), "{sheet:#}");
        }
        assert!(rollout["point_of_no_return"].is_u64(), "{sheet:#}");
        assert_ne!(rollout["backups"][0]["proof"], "", "{sheet:#}");
        let grant = &rollout["grants"][0];
        assert!(grant["database"] == "main" && !grant["hold_out"].as_array().unwrap().is_empty(), "{sheet:#}");
    }
    let seen = show(&demo.data("n2"), &[]);
    let seen = text(&seen);
    for part in ["BREAK GLASS  cluster demo", "point of no return: PASSED", "state as of", "set server front/n1 state ready"] {
        assert!(seen.contains(part), "{part:?} is missing:\n{seen}");
    }

    // 2. and 4.: holder out (its process ends by itself or is ended), the set back beside.
    let rollout = &sheets[0]["rollout"];
    demo.signal("app migrate", rustix::process::Signal::KILL);
    wait_for("the tool to be gone", || demo.pids("app migrate").is_empty().then_some(()));
    by_hand(&rollout["grants"][0]["hold_out"]);
    by_hand(&rollout["backups"][0]["lines"]);
    // 5.: back, in order.
    let back = rollout["back"].as_array().unwrap();
    assert_eq!(back.iter().filter(|s| s["what"].as_str().unwrap().starts_with("admit")).count(), 3);
    for step in back {
        by_hand(&step["lines"]);
    }
    // The balancer serves again, from the old version and the old schema.
    let library = demo.keep.join("db/current");
    let asked = Command::new("sqlite3").arg(&library).arg("select version from schema_version").output().unwrap();
    assert_eq!(text(&asked).trim(), "1");
    let socket = seen.split("UNIX-CONNECT:").nth(1).unwrap().split_whitespace().next().unwrap();
    let asked = format!("echo 'show servers state front' | socat -t5 - UNIX-CONNECT:{socket}");
    let state = text(&Command::new("sh").args(["-c", &asked]).output().unwrap());
    for member in ["n1", "n2", "n3"] {
        let line = state.lines().find(|l| l.split(' ').nth(3) == Some(member)).unwrap();
        assert_eq!(line.split(' ').nth(6), Some("0"), "administratively ready: {state}");
    }
}

#[test]
fn a_store_that_is_absent_empty_or_damaged_has_a_code() {
    let home = tempfile::tempdir().unwrap();
    let absent = show(home.path(), &[]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(text(&absent).contains("error[LK7401]") && text(&absent).contains("raft.redb"), "{}", text(&absent));
    let store = home.path().join("raft.redb");
    for bytes in [&b""[..], b"not a store", &[0; 8192]] {
        std::fs::write(&store, bytes).unwrap();
        let damaged = show(home.path(), &[]);
        assert_eq!(damaged.status.code(), Some(1), "{}", text(&damaged));
        assert!(text(&damaged).contains("error[LK7402]"), "{}", text(&damaged));
        assert_eq!(std::fs::read(&store).unwrap(), bytes, "not a byte is changed");
    }
}
