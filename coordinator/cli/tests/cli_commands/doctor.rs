//! `doctor`, `locks` and `check` on a foreign lock, with a real agent and a real database; and `doctor` when nobody
//! answers.

use crate::bed::{Bed, IDLE};
use rusqlite::Connection;
use serde_json::{Value, json};

/// One member, one SQLite database.
fn cluster(bed: &Bed) -> String {
    let home = bed.home.path().display();
    let settings = bed.read("n1.toml");
    let listen = settings.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap();
    format!(
        r#"cluster = "library"
profile = "generic"

[members.n1]
address = {listen}
values  = {{ port = 1 }}

[policy]
approvals = 0

[databases.main]
engine    = "sqlite"
instances = ["{home}/db"]
name      = "library"
backups   = "{home}/backups"

[parameters]
release.directory = "{home}/app"
release.source    = "{home}/releases/{{version}}"
version.file      = "{home}/VERSION"
schema.query      = "select '1'"
schema.after      = "2"
service.kind      = "process"
service.command   = ["/bin/false"]
upgrade.command   = ["/bin/false"]
ready.http        = "http://{{member.host}}:{{member.port}}/health"
"#
    )
}

fn subjects(view: &Value, key: &str) -> Vec<(String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = view[key].as_array().unwrap().iter();
    findings.map(|finding| (text(finding, "subject"), text(finding, "code"))).collect()
}

#[tokio::test]
async fn a_foreign_lock_is_shown_explained_and_blocks_until_it_is_gone() {
    let bed = Bed::new();
    bed.settings("n1");
    bed.init("n1").await.ends(0);
    let mut agent = bed.start("n1");
    std::fs::create_dir(bed.path("db")).unwrap();
    bed.write("VERSION", "1.0\n");
    let file = bed.path("db/library.db");
    let sql = |sql: &str| Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    sql(
        "create table schema_migrations (version int, dirty int); insert into schema_migrations values (7, 1)",
    );
    std::os::unix::fs::symlink("library.db", bed.path("db/current")).unwrap();
    bed.write("cluster.toml", &cluster(&bed));
    bed.until_done(&["cluster", "apply", "cluster.toml"]).await;

    let locks = bed.run_plain(&["locks", "--json"]).await.ends(0).json();
    let foreign = &locks["foreign"][0];
    assert_eq!(
        (&foreign["database"], &foreign["tool"], &foreign["life"]),
        (&json!("main"), &json!("golang-migrate"), &json!("dead"))
    );
    let undo = foreign["sql"][0].as_str().unwrap();
    let text = bed.run_plain(&["locks"]).await.ends(0).out;
    assert!(
        text.contains("main is locked by golang-migrate") && text.contains("DEAD") && text.contains(undo),
        "{text}"
    );

    // Somebody has the file open: whether that is the migration is not known, so a rollout would not start.
    let mut other = std::process::Command::new("sleep")
        .arg("600")
        .stdin(std::fs::File::open(&file).unwrap())
        .spawn()
        .unwrap();
    let check = bed.run_plain(&["check", "--json"]).await.ends(3).json();
    let is_lock = |finding: &&Value| finding["code"] == "foreign-lock";
    let blocked = check["findings"].as_array().unwrap().iter().find(is_lock).unwrap();
    assert_eq!(blocked["verdict"], "blocked", "{blocked}");
    assert!(blocked["text"].as_str().unwrap().contains("sleep 600"), "{blocked}");
    other.kill().unwrap();
    other.wait().unwrap();

    let doctor = bed.run_plain(&["doctor", "--json"]).await;
    assert!(doctor.code == 2 || doctor.code == 3, "{doctor:?}");
    let found = subjects(&doctor.json(), "findings");
    assert!(found.contains(&("main".into(), "foreign-lock".into())), "{found:?}");
    sql(undo);
    let found = subjects(&bed.run_plain(&["doctor", "--json"]).await.json(), "findings");
    assert!(!found.contains(&("main".into(), "foreign-lock".into())), "{found:?}");

    // The only agent is gone: what its directory holds is told, and what nobody looked at is not called good or bad.
    agent.kill().await.unwrap();
    let alone = bed.run_plain(&["doctor", "--data", "n1", "--json"]).await.ends(3).json();
    let found = subjects(&alone, "findings");
    assert_eq!(found[0], ("agent".into(), "LK7004".into()), "{found:?}");
    assert_eq!(alone["source"], "n1");
    let unseen = alone["unseen"].to_string();
    for what in ["whether a quorum is there", "n1: its agent was not asked", "database main"] {
        assert!(unseen.contains(what), "{what}: {unseen}");
    }
    let text = bed.run_plain(&["doctor", "--data", "n1"]).await.ends(3).out;
    assert!(
        text.contains("not looked at:")
            && text.contains("-> systemctl status lockkeeper")
            && text.contains("STALE"),
        "{text}"
    );
}

#[tokio::test]
async fn the_worst_finding_decides_the_exit_code() {
    let bed = Bed::new();
    let agent = bed.agent(IDLE);
    let stamp = json!({"source": "n1", "as_of": 1, "applied": 1, "leader": "n1", "term": 3, "stale": false});
    for (verdicts, code) in [(&[][..], 0), (&["warning"], 2), (&["warning", "blocked"], 3)] {
        let finding = |verdict: &&str| json!({"subject": "n2", "verdict": verdict, "text": "t", "code": "", "remedy": "r"});
        let mut view = stamp.clone();
        view["findings"] = verdicts.iter().map(finding).collect();
        view["unseen"] = json!([]);
        agent.set(|s| drop(s.views.insert("doctor", view.to_string())));
        assert_eq!(bed.run(&["doctor", "--json"]).await.ends(code).json(), view);
        assert!(bed.run(&["doctor"]).await.ends(code).out.contains("source: n1, it leads"));
    }
}

#[tokio::test]
async fn without_agent_and_directory_it_says_that_it_saw_nothing() {
    let bed = Bed::new();
    let alone = bed
        .run_plain(&["--socket", "nobody.sock", "doctor", "--data", "nowhere", "--json"])
        .await
        .ends(3)
        .json();
    assert_eq!(subjects(&alone, "findings").len(), 1, "{alone}");
    assert!(alone["unseen"].to_string().contains("LK7401"), "{alone}");
    // Which cluster is meant is not for it to guess.
    bed.run_plain(&["--context", "nothing", "doctor"]).await.ends(1);
}
