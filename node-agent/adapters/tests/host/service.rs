//! Applications of both kinds: they outlive the agent, are found again, and are proven gone.

use super::support::{
    carry_out, command, host, kill_9, lives, pid_in, program, proven, script, wait_for, work,
};
use lockkeeper_adapters::{SystemHost, service::process::ProcessService};
use lockkeeper_agent::host::{Host, Precheck, Work};
use lockkeeper_core::{
    ids::StepId,
    plan::{
        Action,
        action::{CommandSpec, ServiceAction, ServiceSpec},
    },
    time::Millis,
    version::Version,
};
use std::{fs, path::Path};

fn process(root: &Path, text: &str) -> ServiceAction {
    let mut command = script(text);
    command.env.insert("D".into(), root.display().to_string());
    let log = root.join("app.log").display().to_string();
    service(ServiceSpec::Process { command, log, stop_wait: Millis(500) })
}

fn service(service: ServiceSpec) -> ServiceAction {
    ServiceAction { member: super::support::member(), service, version: Version::new("2.0").unwrap() }
}

fn start(action: &ServiceAction) -> Work {
    work(Action::StartService(action.clone()))
}

fn stop(action: &ServiceAction) -> Work {
    Work { step: StepId(2), ..work(Action::StopService(action.clone())) }
}

fn record(root: &Path) -> lockkeeper_adapters::exec::detach::Record {
    let service = ProcessService::new(&program(), root, &super::support::member());
    service.record().unwrap().expect("it was started")
}

async fn stop_for_good(host: &SystemHost, action: &ServiceAction) {
    carry_out(host, &stop(action)).await.unwrap();
}

const APP: &str = "echo $$ > $D/pid; echo \"up as $MODE\"; exec sleep 300";

#[tokio::test]
async fn it_starts_in_a_session_of_its_own_and_stops_for_good() {
    let root = tempfile::tempdir().unwrap();
    let (host, action) = (host(root.path()), process(root.path(), APP));
    assert!(matches!(host.precheck(&stop(&action)).await, Precheck::AlreadyDone(_)), "never started");
    let done = carry_out(&host, &start(&action)).await.unwrap();
    let pid = pid_in(&root.path().join("pid")).await;
    assert!(done.action_ms.is_some() && done.evidence.contains(&pid.to_string()), "{done:?}");
    let seen = lockkeeper_adapters::exec::proc::process(pid).unwrap();
    assert_eq!((seen.session, seen.group), (pid, pid), "it leads its own session");
    assert_eq!(record(root.path()).leader.pid, pid);
    // Again: nothing is started twice.
    assert!(matches!(host.precheck(&start(&action)).await, Precheck::AlreadyDone(_)));
    assert_eq!(host.perform(&start(&action), &|_| {}).await.unwrap_err().code, "LK5103");
    assert_eq!(host.precheck(&stop(&action)).await, Precheck::Ready { captured: "running".into() });
    let stopped = carry_out(&host, &stop(&action)).await.unwrap();
    assert!(stopped.evidence.contains("after SIGTERM"), "{stopped:?}");
    assert!(!lives(pid));
    assert_eq!(fs::read_to_string(root.path().join("app.log")).unwrap(), "up as \n");
}

#[tokio::test]
async fn it_outlives_a_killed_agent_and_is_found_by_the_next() {
    let root = tempfile::tempdir().unwrap();
    let mut spec = script("echo $$ > $D/pid; exec sleep 300");
    spec.env.insert("D".into(), root.path().display().to_string());
    let file = root.path().join("command.json");
    fs::write(&file, serde_json::to_vec(&spec).unwrap()).unwrap();
    let mut agent =
        std::process::Command::new(program()).arg("service").arg(root.path()).arg(&file).spawn().unwrap();
    let pid = pid_in(&root.path().join("pid")).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(lives(pid));
    let host = host(root.path());
    let action = ServiceAction {
        version: Version::new("1.0").unwrap(),
        ..service(ServiceSpec::Process { command: spec, log: String::new(), stop_wait: Millis(500) })
    };
    assert!(matches!(host.precheck(&start(&action)).await, Precheck::AlreadyDone(_)));
    stop_for_good(&host, &action).await;
    assert!(!lives(pid));
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_with_all_it_started() {
    let root = tempfile::tempdir().unwrap();
    let text =
        "trap '' TERM; setsid sleep 300 & echo $! > $D/child; echo $$ > $D/pid; while :; do sleep 0.05; done";
    let (host, action) = (host(root.path()), process(root.path(), text));
    carry_out(&host, &start(&action)).await.unwrap();
    let (pid, child) = (pid_in(&root.path().join("pid")).await, pid_in(&root.path().join("child")).await);
    let stopped = carry_out(&host, &stop(&action)).await.unwrap();
    assert!(stopped.evidence.contains("was killed"), "{stopped:?}");
    assert!(!lives(pid) && !lives(child));
}

#[tokio::test]
async fn leftovers_of_a_crash_are_seen_and_ended() {
    let root = tempfile::tempdir().unwrap();
    let text = "setsid sleep 300 & echo $! > $D/child; echo $$ > $D/pid; wait";
    let (host, action) = (host(root.path()), process(root.path(), text));
    carry_out(&host, &start(&action)).await.unwrap();
    let (pid, child) = (pid_in(&root.path().join("pid")).await, pid_in(&root.path().join("child")).await);
    kill_9(pid);
    wait_for("its end", || !lives(pid)).await;
    let Precheck::Mismatch { found, .. } = host.precheck(&start(&action)).await else {
        panic!("leftovers unseen")
    };
    assert!(found.contains(&child.to_string()), "{found}");
    stop_for_good(&host, &action).await;
    assert!(!lives(child));
}

#[tokio::test]
async fn what_cannot_begin_or_ends_at_once_is_no_start() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let missing = service(ServiceSpec::Process {
        command: command(&["/no/such/application"]),
        log: String::new(),
        stop_wait: Millis(500),
    });
    let failure = host.perform(&start(&missing), &|_| {}).await.unwrap_err();
    assert_eq!(failure.code, "LK5103");
    assert!(failure.text.contains("No such file"), "{failure}");
    let short = process(root.path(), "exit 1");
    host.perform(&start(&short), &|_| {}).await.unwrap();
    wait_for("its end", || !record(root.path()).leader.lives()).await;
    assert_eq!(proven(&host, &start(&short)).await.unwrap_err().code, "LK5103");
}

#[tokio::test]
async fn another_version_or_another_environment_is_not_taken_for_it() {
    let root = tempfile::tempdir().unwrap();
    let (host, action) = (host(root.path()), process(root.path(), APP));
    carry_out(&host, &start(&action)).await.unwrap();
    let newer = ServiceAction { version: Version::new("3.0").unwrap(), ..action.clone() };
    assert!(matches!(host.precheck(&start(&newer)).await, Precheck::Mismatch { .. }));
    let mut moved = action.clone();
    let ServiceSpec::Process { command, .. } = &mut moved.service else { panic!() };
    command.env.insert("MODE".into(), "other".into());
    assert!(matches!(host.precheck(&start(&moved)).await, Precheck::Mismatch { .. }));
    stop_for_good(&host, &action).await;
}

#[tokio::test]
async fn another_attempts_token_does_not_make_it_another_application() {
    let root = tempfile::tempdir().unwrap();
    let (host, mut action) =
        (host(root.path()), process(root.path(), "echo \"token $TOKEN\"; exec sleep 300"));
    let ServiceSpec::Process { command, .. } = &mut action.service else { panic!() };
    command.env.insert("TOKEN".into(), "{token}".into());
    carry_out(&host, &start(&action)).await.unwrap();
    let later =
        lockkeeper_core::ids::Token { index: lockkeeper_core::ids::LogIndex(99), ..start(&action).token };
    let again = Work { token: later, ..super::support::again(&start(&action)) };
    assert!(matches!(host.precheck(&again).await, Precheck::AlreadyDone(_)));
    let log = root.path().join("app.log");
    wait_for("its first line", || fs::read_to_string(&log).is_ok_and(|t| t == "token 1-10\n")).await;
    stop_for_good(&host, &action).await;
}

#[tokio::test]
async fn one_that_somebody_else_started_is_seen_but_not_touched() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    // An argument list nothing else on the machine has.
    let seconds = format!("{}.5", 100_000 + std::process::id());
    let action = service(ServiceSpec::Process {
        command: command(&["sleep", &seconds]),
        log: String::new(),
        stop_wait: Millis(500),
    });
    let mut stranger = std::process::Command::new("sleep").arg(&seconds).spawn().unwrap();
    wait_for(
        "the stranger",
        || matches!(lockkeeper_adapters::exec::proc::argv(stranger.id()).first(), Some(a) if a == "sleep"),
    )
    .await;
    for work in [start(&action), stop(&action)] {
        let Precheck::Unknown(why) = host.precheck(&work).await else { panic!("unseen") };
        assert!(why.contains("LK5101") && why.contains(&stranger.id().to_string()), "{why}");
    }
    assert!(lives(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn what_was_stopped_before_stays_stopped() {
    let root = tempfile::tempdir().unwrap();
    let (host, action) = (host(root.path()), process(root.path(), APP));
    let back = Work { captured: Some("stopped".into()), ..start(&action) };
    let Precheck::AlreadyDone(done) = host.precheck(&back).await else { panic!() };
    assert_eq!(done.read_back.as_deref(), Some("stopped"));
    let back = Work { captured: Some("running".into()), ..start(&action) };
    assert_eq!(carry_out(&host, &back).await.unwrap().read_back.as_deref(), Some("running"));
    stop_for_good(&host, &action).await;
}

/// A daemon with commands of its own, as distributions have them.
fn daemon(root: &Path) -> ServiceAction {
    let with = |text: &str| -> CommandSpec {
        let mut spec = script(text);
        spec.env.insert("D".into(), root.display().to_string());
        spec
    };
    service(ServiceSpec::Command {
        start: with("echo began >> $D/starts; sleep 300 & echo $! > $D/pid; exit 0"),
        stop: with(
            "kill $(cat $D/pid); while kill -0 $(cat $D/pid) 2>/dev/null; do sleep 0.02; done; rm $D/pid",
        ),
        status: with(
            "[ -e $D/odd ] && exit 4; [ -e $D/pid ] || exit 3; kill -0 $(cat $D/pid) 2>/dev/null || exit 3; echo fine",
        ),
    })
}

#[tokio::test]
async fn a_service_with_commands_is_started_once_and_its_daemon_lives_on() {
    let root = tempfile::tempdir().unwrap();
    let (host, action) = (host(root.path()), daemon(root.path()));
    carry_out(&host, &start(&action)).await.unwrap();
    let pid = pid_in(&root.path().join("pid")).await;
    assert!(lives(pid));
    // The agent died before it journalled the end: the same attempt is adopted, not started again.
    let Precheck::Running(unit) = host.precheck(&start(&action)).await else { panic!() };
    host.adopt(&start(&action), &unit).await.unwrap();
    host.kill(&start(&action), &unit).await.unwrap();
    assert!(lives(pid), "a unit that has ended is not ended again, with what it left on purpose");
    assert_eq!(fs::read_to_string(root.path().join("starts")).unwrap(), "began\n");
    let later = super::support::again(&start(&action));
    assert!(matches!(host.precheck(&later).await, Precheck::Mismatch { .. }), "running as what?");
    stop_for_good(&host, &action).await;
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_status_that_is_no_answer_is_unknown() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("odd"), "").unwrap();
    let Precheck::Unknown(why) = host(root.path()).precheck(&stop(&daemon(root.path()))).await else {
        panic!()
    };
    assert!(why.contains("LK5102"), "{why}");
}
