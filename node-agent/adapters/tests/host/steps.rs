//! Steps as the agent works them: commands with proofs, adoption, deadlines, facts.

use super::support::{again, carry_out, host, pid_in, script, work};
use lockkeeper_agent::host::{FactsQuery, Host, Postcheck, Precheck, VersionQuery};
use lockkeeper_core::plan::{
    Action,
    action::{CommandSpec, Probe, RunCommand},
};
use std::{collections::BTreeMap, fs, path::Path};

fn with(root: &Path, text: &str) -> CommandSpec {
    let mut spec = script(text);
    spec.env.insert("D".into(), root.display().to_string());
    spec
}

fn run(root: &Path, text: &str, done: Option<&str>) -> Action {
    let done = done.map(|text| Probe::Command { command: with(root, text), contains: String::new() });
    Action::Run(RunCommand { command: with(root, text), done: done.into_iter().collect() })
}

#[tokio::test]
async fn a_command_is_proven_by_its_probes_and_not_by_its_end() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let honest = work(run(root.path(), "touch $D/made", Some("test -e $D/made")));
    assert!(matches!(host.precheck(&honest).await, Precheck::Ready { .. }));
    carry_out(&host, &honest).await.unwrap();
    assert!(matches!(host.precheck(&again(&honest)).await, Precheck::AlreadyDone(_)), "seen, not remembered");
    // Ends with 0 and did nothing.
    let liar = again(&again(&work(run(root.path(), "true", Some("test -e $D/other")))));
    host.perform(&liar, &|_| {}).await.unwrap();
    assert!(matches!(host.postcheck(&liar).await, Postcheck::NotYet(_)));
}

#[tokio::test]
async fn a_failed_command_fails_the_attempt_and_the_next_attempt_is_a_new_unit() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let first = work(run(root.path(), "echo try >> $D/tries; test -e $D/mended", None));
    assert_eq!(host.perform(&first, &|_| {}).await.unwrap_err().code, "LK5002");
    // The same attempt again, after a crash: the result is read, nothing runs.
    let Precheck::Running(unit) = host.precheck(&first).await else { panic!() };
    assert_eq!(host.adopt(&first, &unit).await.unwrap_err().code, "LK5002");
    assert!(matches!(host.postcheck(&first).await, Postcheck::Refuted(_)));
    fs::write(root.path().join("mended"), "").unwrap();
    carry_out(&host, &again(&first)).await.unwrap();
    assert_eq!(fs::read_to_string(root.path().join("tries")).unwrap(), "try\ntry\n");
}

#[tokio::test]
async fn at_the_deadline_the_unit_is_ended_and_proven_gone() {
    let root = tempfile::tempdir().unwrap();
    let host = std::sync::Arc::new(host(root.path()));
    let work = work(run(root.path(), "echo $$ > $D/pid; exec sleep 300", None));
    let (acting, same) = (host.clone(), work.clone());
    let call = tokio::spawn(async move { acting.perform(&same, &|_| {}).await });
    let pid = pid_in(&root.path().join("pid")).await;
    call.abort();
    let Precheck::Running(unit) = host.precheck(&work).await else { panic!() };
    host.kill(&work, &unit).await.unwrap();
    assert!(!super::support::lives(pid));
    assert_eq!(host.adopt(&work, &unit).await.unwrap_err().code, "LK5006");
}

#[tokio::test]
async fn a_placeholder_nobody_fills_starts_nothing() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let mut step = RunCommand { command: with(root.path(), "touch $D/ran"), done: Vec::new() };
    step.command.env.insert("URL".into(), "sqlite:{database.main.path}?t={token}".into());
    let mut work = work(Action::Run(step));
    assert_eq!(host.perform(&work, &|_| {}).await.unwrap_err().code, "LK5403");
    assert!(!root.path().join("ran").exists());
    work.inputs = BTreeMap::from([("database.main.path".to_owned(), "/d/app.1.db".to_owned())]);
    carry_out(&host, &work).await.unwrap();
    assert!(root.path().join("ran").exists());
}

#[tokio::test]
async fn facts_answer_each_for_itself() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let file = root.path().join("VERSION");
    fs::write(&file, "20.6.1\nbuild 7\n").unwrap();
    fs::create_dir(root.path().join("20.6.1")).unwrap();
    let link = root.path().join("current");
    std::os::unix::fs::symlink("releases/20.6.1", &link).unwrap();
    let ask = async |version| {
        let query = FactsQuery {
            version: Some(version),
            release: root.path().join("20.6.1").display().to_string(),
            ..FactsQuery::default()
        };
        host.facts(&query).await
    };
    for version in [
        VersionQuery::File(file.display().to_string()),
        VersionQuery::Link(link.display().to_string()),
        VersionQuery::Command(script("echo 20.6.1")),
    ] {
        let facts = ask(version).await;
        assert_eq!(facts.version, Some(Ok("20.6.1".to_owned())));
        assert_eq!(facts.release.unwrap().unwrap().len(), 64);
    }
    let broken = ask(VersionQuery::Command(script("exit 1"))).await;
    assert!(broken.version.unwrap().is_err() && broken.release.unwrap().is_ok());
}
