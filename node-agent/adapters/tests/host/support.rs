//! What all these tests need: the runner's program, work to hand over, and waiting for a condition.

use lockkeeper_adapters::{Settings, SystemHost};
use lockkeeper_agent::host::{Done, Failure, Host, Postcheck, Precheck, Work};
use lockkeeper_core::{
    cluster::BalancerSpec,
    ids::{Attempt, BalancerName, ClusterId, Generation, LogIndex, MemberName, RolloutId, StepId, Token},
    plan::{
        Action, Targets,
        action::{CommandSpec, OnAgentLoss},
    },
    time::Millis,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a condition may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program that knows `step-runner`; an example of this crate.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/step-runner");
    assert!(
        program.exists(),
        "{} is missing: `cargo test -p lockkeeper-adapters` builds it; with `--test` do `cargo build -p lockkeeper-adapters --example step-runner` first",
        program.display()
    );
    program
}

/// Waits until `condition` holds; fails with `what` otherwise.
pub async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A host below `data`.
pub fn host(data: &Path) -> SystemHost {
    SystemHost::new(Settings {
        data_dir: data.to_owned(),
        member: member(),
        program: program(),
        database_programs: PathBuf::new(),
    })
}

pub fn member() -> MemberName {
    MemberName::new("n1").unwrap()
}

/// A command with everything else ordinary.
pub fn command(argv: &[&str]) -> CommandSpec {
    CommandSpec {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        env: BTreeMap::new(),
        dir: String::new(),
        shell: false,
        timeout: Millis::from_secs(60),
        success: vec![0],
        on_agent_loss: OnAgentLoss::Kill,
    }
}

/// A script for `sh -c`.
pub fn script(text: &str) -> CommandSpec {
    CommandSpec { shell: true, ..command(&[text]) }
}

/// First attempt at step 1.
pub fn work(action: Action) -> Work {
    Work {
        cluster: ClusterId("test".into()),
        me: member(),
        rollout: RolloutId(1),
        step: StepId(1),
        attempt: Attempt(1),
        token: Token { generation: Generation(1), index: LogIndex(10) },
        action,
        targets: Arc::new(targets(BTreeMap::new())),
        inputs: BTreeMap::new(),
        captured: None,
        grants: BTreeMap::new(),
        owes: None,
        marks: Arc::default(),
    }
}

pub fn targets(balancers: BTreeMap<BalancerName, BalancerSpec>) -> Targets {
    Targets { balancers, databases: BTreeMap::new(), members: BTreeMap::new() }
}

/// The same step's next attempt.
pub fn again(work: &Work) -> Work {
    Work { attempt: Attempt(work.attempt.0 + 1), ..work.clone() }
}

/// Looks, acts, and looks until it is proven, as the agent does.
pub async fn carry_out(host: &SystemHost, work: &Work) -> Result<Done, Failure> {
    match host.precheck(work).await {
        Precheck::AlreadyDone(done) => return Ok(done),
        Precheck::Running(unit) => host.adopt(work, &unit).await?,
        Precheck::Ready { .. } => host.perform(work, &|_| {}).await?,
        other @ (Precheck::Mismatch { .. }
        | Precheck::Unknown(_)
        | Precheck::Blocked(_)
        | Precheck::Refused(_)) => {
            panic!("not ready: {other:?}")
        }
    }
    proven(host, work).await
}

pub async fn proven(host: &SystemHost, work: &Work) -> Result<Done, Failure> {
    let begin = Instant::now();
    loop {
        match host.postcheck(work).await {
            Postcheck::Proven(done) => return Ok(done),
            Postcheck::Refuted(failure) => return Err(failure),
            Postcheck::NotYet(why) => assert!(begin.elapsed() < PATIENCE, "not proven: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process is there and no zombie.
pub fn lives(pid: u32) -> bool {
    lockkeeper_adapters::exec::proc::process(pid).is_some()
}

/// The process id that a script wrote into a file, once it has.
pub async fn pid_in(path: &Path) -> u32 {
    let mut pid = None;
    wait_for(&format!("a process id in {}", path.display()), || {
        pid = std::fs::read_to_string(path)
            .ok()
            .filter(|t| t.ends_with('\n'))
            .and_then(|t| t.trim().parse().ok());
        pid.is_some()
    })
    .await;
    pid.unwrap()
}

/// Kills with SIGKILL; only ever a process that a test started.
pub fn kill_9(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
