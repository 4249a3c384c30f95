//! The application: guard, warm-up, misuse that shows, an end that loses nothing.

use crate::bed::{Bed, done, get, part, pause, ports, post, wait_for};
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_release_that_does_not_fit_the_schema_refuses_to_start() {
    let bed = Bed::seeded(50, 20);
    let [addr] = ports();
    let refused = done(bed.app("serve", "n1", "2.0").args(["--listen", &addr.to_string()]));
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let why = "schema mismatch: version 2.0 needs schema 2, found schema 1";
    assert!(String::from_utf8_lossy(&refused.stderr).contains(why), "{refused:?}");
    assert!(bed.read("app-n1.log").contains(why));
    assert!(bed.query("select what from audit").is_empty());
    assert!(done(&mut bed.app("migrate", "n2", "2.0")).status.success());
    let refused = done(bed.app("serve", "n1", "1.0").args(["--listen", &addr.to_string()]));
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("needs schema 1, found schema 2"));
    assert!(bed.query("select found from corruption").is_empty());
}

#[test]
fn a_missing_database_is_an_error_and_is_not_created() {
    let bed = Bed::new();
    let [addr] = ports();
    let failed = done(bed.app("serve", "n1", "1.0").args(["--listen", &addr.to_string()]));
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(!bed.path("db/main-1.sqlite").exists());
}

#[test]
fn nobody_starts_while_a_migration_is_open() {
    let bed = Bed::seeded(2_000, 1_000);
    let [addr] = ports();
    let migration = crate::bed::Part::start(&mut bed.app("migrate", "n2", "2.0"));
    wait_for("the migration to begin", || (bed.one("select verdict from judge") == "touched").then_some(()));
    migration.kill();
    for version in ["1.0", "2.0"] {
        let refused = done(bed.app("serve", "n1", version).args(["--listen", &addr.to_string()]));
        assert_eq!(refused.status.code(), Some(3), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("upgrade open"), "{refused:?}");
    }
}

#[test]
fn a_member_answers_503_while_it_warms_up_and_signs_every_answer() {
    let bed = Bed::new();
    let database = bed.text("db/main-1.sqlite");
    // A warm-up long enough to be seen on any machine.
    let seeding = ["app", "seed", "--database", &database, "--rows", "1000", "--warm-up-ms", "500"];
    assert!(done(&mut part(&seeding)).status.success());
    std::os::unix::fs::symlink("main-1.sqlite", bed.path("db/current")).unwrap();
    let [addr] = ports();
    let member = bed.serve("n1", "1.0", addr);
    let warming = wait_for("an answer", || get(addr, "/health"));
    assert_eq!(warming.status, 503, "{warming:?}");
    assert!(warming.body.contains("\"ready\":false"), "{warming:?}");
    assert_eq!(get(addr, "/notes/1").map(|answer| answer.status), Some(503));
    let ready = wait_for("the warm-up", || get(addr, "/health").filter(|answer| answer.status == 200));
    assert_eq!(ready.body, r#"{"version":"1.0","schema":1,"member":"n1","ready":true}"#);
    for (path, status) in
        [("/", 200), ("/notes/7", 200), ("/notes/7000", 404), ("/nothing", 404), ("/notes/x", 404)]
    {
        let answer = get(addr, path).unwrap();
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(
            (answer.header("x-member"), answer.header("x-version")),
            (Some("n1"), Some("1.0")),
            "{path}"
        );
    }
    assert!(member.stop().0.success());
}

#[test]
fn a_note_is_written_before_it_is_acknowledged() {
    let bed = Bed::seeded(10, 20);
    let [addr] = ports();
    let member = bed.ready("n1", "1.0", addr);
    let answer = post(addr, "The last lock").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (201, r#"{"id":11,"title":"The last lock"}"#));
    // Killed at once: an acknowledged note must not live in memory only.
    member.kill();
    assert!(bed.one("select text from notes where id = 11").starts_with("The last lock\nby A. Tester\n"));
    assert_eq!(bed.one("select what || ' ' || detail from audit where what = 'write'"), "write 11");
}

#[test]
fn bad_notes_are_refused_and_change_nothing() {
    let bed = Bed::seeded(10, 20);
    let [addr] = ports();
    let _member = bed.ready("n1", "1.0", addr);
    let long = format!(r#"{{"title":"{}","author":"a","body":"b"}}"#, "x".repeat(70_000));
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        (r#"{"title":"","author":"a","body":"b"}"#, 400),
        (r#"{"title":"a\nb","author":"a","body":"b"}"#, 400),
        (long.as_str(), 413),
    ] {
        let answer = crate::bed::http(addr, "POST", "/notes", "", body).unwrap();
        assert_eq!(answer.status, status, "{:.60}: {answer:?}", body);
    }
    assert_eq!(bed.one("select cast(count(*) as text) from notes"), "10");
}

#[test]
fn a_schema_that_changes_under_a_running_member_leaves_a_corruption_row() {
    let bed = Bed::seeded(200, 50);
    let [addr] = ports();
    let _member = bed.ready("n1", "1.0", addr);
    assert!(done(&mut bed.app("migrate", "n2", "2.0")).status.success());
    assert!(bed.query("select found from corruption").is_empty());
    let answer = get(addr, "/notes/1").unwrap();
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(post(addr, "too late").unwrap().status, 500);
    assert_eq!(get(addr, "/health").unwrap().status, 500);
    let found = bed.one("select member || ': ' || found from corruption");
    assert_eq!(found, "n1: served on: schema mismatch: version 1.0 needs schema 1, found schema 2");
    wait_for("the log to say so", || bed.read("app-n1.log").contains("\"corrupt\"").then_some(()));
}

#[test]
fn an_end_under_load_answers_every_request_it_took() {
    let bed = Bed::seeded(500, 50);
    let [addr] = ports();
    let member = bed.ready("n1", "1.0", addr);
    let log = bed.text("client.log");
    let mut load =
        part(&["client", "--target", &addr.to_string(), "--log", &log, "--rate", "400", "--notes", "500"]);
    let load = crate::bed::Part::start(load.stdin(Stdio::null()));
    wait_for("some requests", || (bed.read("client.log").lines().count() > 200).then_some(()));
    let (status, took) = member.stop();
    assert!(status.success());
    assert!(took < Duration::from_secs(2), "{took:?}");
    pause(Duration::from_millis(50));
    assert!(load.stop().0.success());
    let (mut acknowledged, mut refused) = (0, 0);
    for line in bed.read("client.log").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["event"] != "request" {
            continue;
        }
        match (line["id"].as_i64(), line["error"].as_str()) {
            (Some(id), _) => {
                let text = bed.one(&format!("select text from notes where id = {id}"));
                assert!(text.starts_with(line["title"].as_str().unwrap()), "{line} has {text}");
                acknowledged += 1;
            }
            (None, Some(error)) => {
                assert!(error.starts_with("cannot connect"), "a request was cut: {line}");
                refused += 1;
            }
            (None, None) => assert_eq!(line["status"], 200, "{line}"),
        }
    }
    assert!(acknowledged > 20 && refused > 0, "{acknowledged} acknowledged, {refused} refused");
    assert!(bed.read("app-n1.log").contains("\"stopped\""));
}
