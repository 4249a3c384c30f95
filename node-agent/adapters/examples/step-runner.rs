//! The hidden `step-runner` mode as a program of its own, so that this crate's tests run what the shipped binary runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(mode) if mode == "step-runner" => lockkeeper_adapters::step_runner_main(args),
        Some(_) | None => ExitCode::from(64),
    }
}
