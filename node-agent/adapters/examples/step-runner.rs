//! The hidden `step-runner` mode as a program of its own, so that this crate's tests run what the shipped binary runs;
//! and two stand-ins for an agent that a test can kill.

use lockkeeper_adapters::{
    exec::{Job, unit::Units},
    service::process::{ProcessService, Start, digest},
    step_runner_main,
};
use lockkeeper_core::{ids::MemberName, plan::action::CommandSpec, version::Version};
use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let mode = args.next().unwrap_or_default();
    match mode.to_str() {
        Some("step-runner") => step_runner_main(args),
        Some(mode @ ("unit" | "service")) => {
            let args: Vec<PathBuf> = args.map(PathBuf::from).collect();
            let [data, file] = args.as_slice() else { return ExitCode::from(64) };
            agent(mode, data.clone(), file.clone()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        Some(_) | None => ExitCode::from(64),
    }
}

/// Starts what `file` says below `data`, then lives until it is killed.
#[tokio::main(flavor = "current_thread")]
async fn agent(mode: &str, data: PathBuf, file: PathBuf) -> Option<()> {
    let program = std::env::current_exe().ok()?;
    let text = std::fs::read(&file).ok()?;
    if mode == "unit" {
        let job: Job = serde_json::from_slice(&text).ok()?;
        let started = data.join("started");
        let tell = move |unit| {
            let _the_test_waits_for_it =
                std::fs::write(&started, serde_json::to_vec(&unit).unwrap_or_default());
        };
        Units::new(program, data.join("spool")).run("u", job, &tell).await.ok()?;
    } else {
        let command: CommandSpec = serde_json::from_slice(&text).ok()?;
        let (member, version) = (MemberName::new("n1").ok()?, Version::new("1.0").ok()?);
        let digest = digest(&command);
        let start = Start {
            filled: &command,
            written: &command,
            log: "",
            version: &version,
            attempt: "test",
            digest: &digest,
        };
        ProcessService::new(&program, &data, &member).start(start).await.ok()?;
    }
    std::future::pending::<()>().await;
    Some(())
}
