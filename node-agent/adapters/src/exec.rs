//! Running commands: the only room of the project that spawns processes.
//!
//! Three ways, chosen by what must outlive what:
//! * [`direct`]: a short look (status, probe, version); ends with the call that asked.
//! * [`unit`]: an effect that outlives the agent. It runs under the hidden `step-runner` mode of the binary, in a session
//!   of its own, and leaves its result in a spool directory by rename.
//! * [`detach`]: an application. It is started through a double fork, records itself *before* it becomes the
//!   application, and belongs to nobody afterwards.
//!
//! A unit is found again by its session, its process group, and a mark in its environment; it is gone when none of the
//! three finds a living process on the same boot, or when the machine was booted again. Where systemd is process 1 a
//! transient unit with a cgroup of its own would prove the same more simply; that is not built yet, and a command that
//! leaves its session *and* clears its environment is not found here.
//!
//! This room knows nothing about steps or plans: it is handed an argument vector with all placeholders filled.

pub mod detach;
pub mod direct;
pub mod end;
pub mod job;
pub mod proc;
pub mod runner;
pub mod spool;
mod tail;
pub mod unit;

pub use job::{End, Job, Output, RunResult};
pub use runner::step_runner_main;

use std::time::Duration;

/// How much of each output stream is kept, in bytes: enough for a stack trace and its cause, small enough for every
/// member to hold.
pub const TAIL_MAX: usize = 64 * 1024;

/// How long a process gets between SIGTERM and SIGKILL when a time-out or an abort ends it. Services have their own.
pub const KILL_GRACE: Duration = Duration::from_secs(5);

/// How long after SIGKILL a group may still be seen before that is called a failure. A process in uninterruptible
/// sleep (a hung disk, a frozen cgroup) does not go; saying so is better than waiting for ever.
pub const GONE_LIMIT: Duration = Duration::from_secs(10);

/// How often `/proc` is read while waiting for something to appear or go: a fraction of what a step may add.
pub const POLL: Duration = Duration::from_millis(20);

/// The variable that marks every process of a unit; its value is the unit's spool directory, unique on the host.
pub const UNIT_MARK: &str = "LOCKKEEPER_UNIT";

/// The search path of commands. The agent's own environment is not handed on: it may hold secrets, and a plan must
/// mean the same on every member.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
