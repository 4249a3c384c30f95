//! Units: what must hold when agents, runners and commands die in every order.

use super::support::{command, host, kill_9, lives, pid_in, program, script, wait_for, work};
use lockkeeper_adapters::exec::{
    End, Job,
    spool::Spool,
    unit::{Known, Units},
};
use lockkeeper_agent::host::{Host, Precheck, Unit};
use lockkeeper_core::{
    plan::{
        Action,
        action::{OnAgentLoss, RunCommand},
    },
    time::Millis,
};
use std::{
    fs,
    path::Path,
    process::{Child, Command},
    sync::Mutex,
};
use tempfile::TempDir;

struct Bed {
    root: TempDir,
}

impl Bed {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn units(&self) -> Units {
        Units::new(program(), self.path("spool"))
    }

    /// A job whose script may use `$D` for the bed's directory.
    fn job(&self, text: &str, loss: OnAgentLoss) -> Job {
        let mut spec = script(text);
        spec.env.insert("D".into(), self.root.path().display().to_string());
        spec.on_agent_loss = loss;
        Job::new(&spec, Vec::new())
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().count()
    }

    /// A process of its own that starts the job as unit `u` and lives until it is killed.
    fn agent(&self, job: &Job) -> Child {
        let file = self.path("job.json");
        fs::write(&file, serde_json::to_vec(job).unwrap()).unwrap();
        Command::new(program()).arg("unit").arg(self.root.path()).arg(&file).spawn().unwrap()
    }

    async fn unit_of_the_agent(&self) -> Unit {
        let path = self.path("started");
        let mut unit = None;
        wait_for("the agent's unit", || {
            unit = fs::read(&path).ok().and_then(|t| serde_json::from_slice(&t).ok());
            unit.is_some()
        })
        .await;
        unit.unwrap()
    }
}

fn nobody(_: Unit) {}

#[tokio::test]
async fn the_end_and_the_output_are_spooled() {
    let bed = Bed::new();
    let job = bed.job("echo out; echo err >&2; exit 3", OnAgentLoss::Kill);
    let told = Mutex::new(Vec::new());
    let result = bed.units().run("u", job, &|unit| told.lock().unwrap().push(unit)).await.unwrap();
    assert_eq!(
        (&result.end, result.stdout.as_str(), result.stderr.as_str()),
        (&End::Exited(3), "out\n", "err\n")
    );
    let told = told.into_inner().unwrap();
    assert_eq!(told.len(), 1, "the unit is told once");
    assert_eq!(bed.units().known("u").unwrap(), Known::Begun(told[0].clone()));
    assert_eq!(result.judge("it", &[0, 3]), Ok(()));
    let failure = result.judge("it", &[0]).unwrap_err();
    assert_eq!(failure.code, "LK5002");
    assert!(failure.text.contains("status 3") && failure.text.contains("err"), "{failure}");
}

#[tokio::test]
async fn what_cannot_be_started_says_so() {
    let bed = Bed::new();
    let job = Job::new(&command(&["/no/such/program"]), Vec::new());
    let result = bed.units().run("u", job, &nobody).await.unwrap();
    assert_eq!(result.judge("it", &[0]).unwrap_err().code, "LK5004");
}

#[tokio::test]
async fn one_attempt_started_many_times_at_once_runs_once() {
    let bed = Bed::new();
    let units = bed.units();
    let run = || {
        let (units, job) = (units.clone(), bed.job("echo ran >> $D/ran; sleep 0.2", OnAgentLoss::Kill));
        async move { units.run("u", job, &nobody).await }
    };
    // Whoever comes while the first has not said that it began may be told to come again, but must not start it.
    let (a, b, c, d) = tokio::join!(run(), run(), run(), run());
    let ended =
        [&a, &b, &c, &d].iter().filter(|r| matches!(r, Ok(result) if result.end == End::Exited(0))).count();
    assert!(ended >= 1, "{a:?}");
    assert_eq!(run().await.unwrap().end, End::Exited(0));
    assert_eq!(bed.lines("ran"), 1);
}

#[tokio::test]
async fn a_killed_agent_leaves_a_finishing_unit_to_the_next_life() {
    let bed = Bed::new();
    let job = bed.job(
        "echo $$ > $D/pid; while [ ! -e $D/go ]; do sleep 0.02; done; echo ran >> $D/ran",
        OnAgentLoss::Finish,
    );
    let mut agent = bed.agent(&job);
    let unit = bed.unit_of_the_agent().await;
    let pid = pid_in(&bed.path("pid")).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(bed.units().known("u").unwrap(), Known::Begun(unit.clone()));
    let (units, same) = (bed.units(), unit.clone());
    let adopted = tokio::spawn(async move { units.wait(&same).await });
    assert!(lives(pid), "it must outlive its agent");
    fs::write(bed.path("go"), "").unwrap();
    assert_eq!(adopted.await.unwrap().unwrap().end, End::Exited(0));
    // A further life finds the same result, and a start of the same name starts nothing.
    assert_eq!(bed.units().wait(&unit).await.unwrap().end, End::Exited(0));
    assert_eq!(bed.units().run("u", job, &nobody).await.unwrap().end, End::Exited(0));
    assert_eq!(bed.lines("ran"), 1);
}

#[tokio::test]
async fn a_killed_agent_takes_a_repeatable_unit_with_it_whole() {
    let bed = Bed::new();
    // A child in the group, one in a session of its own, and one whose parent has gone.
    let job = bed.job(
        "sleep 300 & echo $! > $D/child; setsid sh -c 'echo $$ > $D/session; exec sleep 300' & \
         sh -c 'sleep 300 & echo $! > $D/orphan'; echo $$ > $D/pid; wait",
        OnAgentLoss::Kill,
    );
    let mut agent = bed.agent(&job);
    let unit = bed.unit_of_the_agent().await;
    let mut family = Vec::new();
    for name in ["pid", "child", "session", "orphan"] {
        family.push(pid_in(&bed.path(name)).await);
    }
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(bed.units().wait(&unit).await.unwrap().end, End::AgentLost);
    for pid in family {
        assert!(!lives(pid), "process {pid} outlived the agent's loss");
    }
}

#[tokio::test]
async fn a_limit_ends_the_whole_group_even_if_it_will_not() {
    let bed = Bed::new();
    let mut job = bed.job("trap '' TERM; echo $$ > $D/pid; while :; do sleep 0.05; done", OnAgentLoss::Kill);
    job.timeout = Millis(300);
    let result = bed.units().run("u", job, &nobody).await.unwrap();
    assert_eq!(result.judge("it", &[0]).unwrap_err().code, "LK5003");
    assert!(!lives(pid_in(&bed.path("pid")).await));
}

#[tokio::test]
async fn a_dead_runner_is_no_result_and_no_end_while_its_command_lives() {
    let bed = Bed::new();
    let job = bed.job("echo $$ > $D/pid; exec sleep 300", OnAgentLoss::Finish);
    let mut agent = bed.agent(&job);
    let unit = bed.unit_of_the_agent().await;
    let pid = pid_in(&bed.path("pid")).await;
    kill_9(unit.pid);
    wait_for("the runner's end", || !lives(unit.pid)).await;
    let units = bed.units();
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), units.wait(&unit)).await;
    assert!(early.is_err(), "its command lives, so it is not gone");
    kill_9(pid);
    assert_eq!(units.wait(&unit).await.unwrap_err().code, "LK5001");
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn killing_proves_it_gone_and_is_remembered() {
    let bed = Bed::new();
    let job = bed.job("trap '' TERM; echo $$ > $D/pid; while :; do sleep 0.05; done", OnAgentLoss::Finish);
    let mut agent = bed.agent(&job);
    let unit = bed.unit_of_the_agent().await;
    let pid = pid_in(&bed.path("pid")).await;
    bed.units().kill(&unit).await.unwrap();
    assert!(!lives(pid) && !lives(unit.pid));
    assert_eq!(bed.units().wait(&unit).await.unwrap().end, End::Killed);
    bed.units().kill(&unit).await.unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn killing_a_unit_whose_runner_is_dead_still_ends_its_command() {
    let bed = Bed::new();
    let job = bed.job("echo $$ > $D/pid; exec setsid sleep 300", OnAgentLoss::Finish);
    let mut agent = bed.agent(&job);
    let unit = bed.unit_of_the_agent().await;
    let pid = pid_in(&bed.path("pid")).await;
    kill_9(unit.pid);
    wait_for("the runner's end", || !lives(unit.pid)).await;
    bed.units().kill(&unit).await.unwrap();
    assert!(!lives(pid), "found by its mark, although it has a session of its own");
    assert_eq!(bed.units().wait(&unit).await.unwrap().end, End::Killed);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn an_agent_that_died_before_the_start_leaves_nothing_that_could_run() {
    let bed = Bed::new();
    // The directory is made, and then the power went.
    assert!(Spool::at(bed.path("spool/u/unit")).create().unwrap());
    assert_eq!(bed.units().known("u").unwrap(), Known::Nothing);
    let job = bed.job("echo ran >> $D/ran", OnAgentLoss::Finish);
    assert_eq!(bed.units().run("u", job, &nobody).await.unwrap().end, End::Exited(0));
    assert_eq!(bed.lines("ran"), 1);
}

#[tokio::test]
async fn a_runner_whose_agent_died_before_it_told_the_job_does_nothing() {
    let bed = Bed::new();
    let spool = Spool::at(bed.path("spool/u/unit"));
    spool.create().unwrap();
    let mut runner = Command::new(program())
        .args(["step-runner", "--spool"])
        .arg(spool.dir())
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(runner.stdin.take());
    assert!(!runner.wait().unwrap().success());
    assert_eq!((spool.claimed().unwrap(), spool.result().unwrap()), (None, None));
}

#[tokio::test]
async fn another_boot_means_gone() {
    let bed = Bed::new();
    bed.units().run("u", bed.job("true", OnAgentLoss::Kill), &nobody).await.unwrap();
    fs::remove_file(bed.path("spool/u/unit/result.json")).unwrap();
    let Known::Begun(unit) = bed.units().known("u").unwrap() else { panic!() };
    // This very process: it lives, but under another boot id it is somebody else.
    let before = Unit { pid: std::process::id(), boot: "another boot".into(), ..unit };
    assert_eq!(bed.units().wait(&before).await.unwrap_err().code, "LK5001");
}

#[tokio::test]
async fn a_secret_reaches_the_command_and_nothing_else() {
    let bed = Bed::new();
    let mut job = bed.job("echo \"$PASSWORD\" > $D/seen; echo \"login with $PASSWORD\"; echo $$ > $D/pid; while [ ! -e $D/go ]; do sleep 0.02; done", OnAgentLoss::Kill);
    job.env.insert("PASSWORD".into(), "hunter2-secret".into());
    job.secrets.push("hunter2-secret".into());
    let units = bed.units();
    let run = tokio::spawn(async move { units.run("u", job, &nobody).await });
    let pid = pid_in(&bed.path("pid")).await;
    let Known::Begun(unit) = bed.units().known("u").unwrap() else { panic!() };
    for process in [pid, unit.pid] {
        let shown = fs::read(format!("/proc/{process}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&shown).contains("hunter2"), "in the arguments of {process}");
    }
    fs::write(bed.path("go"), "").unwrap();
    assert_eq!(run.await.unwrap().unwrap().stdout, "login with [redacted]\n");
    assert_eq!(fs::read_to_string(bed.path("seen")).unwrap(), "hunter2-secret\n");
    for file in files_below(&bed.path("spool")) {
        let text = fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("hunter2"), "in {}", file.display());
    }
}

fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn a_dropped_call_neither_ends_nor_doubles_it() {
    let bed = Bed::new();
    let host = host(bed.root.path());
    let mut spec = script("echo ran >> $D/ran; while [ ! -e $D/go ]; do sleep 0.02; done");
    spec.env.insert("D".into(), bed.root.path().display().to_string());
    let work = work(Action::Run(RunCommand { command: spec, done: Vec::new() }));
    let cut = tokio::time::timeout(std::time::Duration::from_millis(300), host.perform(&work, &nobody)).await;
    assert!(cut.is_err());
    let Precheck::Running(unit) = host.precheck(&work).await else { panic!("it runs") };
    fs::write(bed.path("go"), "").unwrap();
    host.adopt(&work, &unit).await.unwrap();
    assert_eq!(bed.lines("ran"), 1);
}
