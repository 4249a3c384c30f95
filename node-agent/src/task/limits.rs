//! Bounds of the executor, each with its reason.

use lockkeeper_core::time::Millis;

/// How long after asking "is my assignment still current?" an effect may begin. The question is asked immediately
/// before, so an agent that needs longer was paused or starved, and what it knows is old. Two seconds are longer than
/// an answer under load plus a journal sync on a slow disk, and much shorter than any loss of a member is decided in.
pub const START_DEADLINE: Millis = Millis::from_secs(2);

/// Pause between two looks of a blocked attempt. What it waits for is a person or another agent; half a second is
/// below what a person notices and costs the target two queries a second.
pub const LOOK_EVERY: Millis = Millis(500);

/// Pause between two post-checks that answered "not yet". The post-check waits by itself where it can; this bounds
/// what an attempt loses after its effect is there (the budget is 50 ms a step, so half of this on average).
pub const PROVE_EVERY: Millis = Millis(50);

/// First pause after the group gave no answer; doubled each time up to [`RETRY_MAX`]. The group itself has waited up to
/// five seconds for a leader by then, so this only keeps an agent that is cut off from spinning.
pub const RETRY_FIRST: Millis = Millis(100);

/// The longest pause between two tries to reach the group: after a partition heals, a report may not wait longer.
pub const RETRY_MAX: Millis = Millis(2000);

/// How long ending a unit and proving it gone may take: the step-runner's own wait between SIGTERM and SIGKILL is
/// shorter, and a process that survives SIGKILL for this long hangs in the kernel.
pub const KILL_DEADLINE: Millis = Millis::from_secs(60);

/// A waiting deadline is looked at this often, because sleeping does not count the time a machine was suspended.
pub const DEADLINE_TICK: Millis = Millis(1000);

/// Attempts carried out at the same time. Targets differ, so this is bounded by members, balancers and databases; on
/// one agent more than a few at once do not occur, and 16 keeps a mistake from starting hundreds of processes.
pub const AT_ONCE: usize = 16;
