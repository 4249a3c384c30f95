//! How a part of the demo runs and is told to end: SIGTERM or SIGINT, and, if asked for, the end of its stdin.

use anyhow::Context as _;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Becomes true once, when the process is to end.
pub type Stop = watch::Receiver<bool>;

/// Whether a closed stdin ends the process. A part that must not outlive its parent, even one killed with
/// SIGKILL, holds a pipe from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Ends the process.
    Ends,
    /// Says nothing.
    Ignored,
}

/// Starts listening for the wish to end.
pub fn listen(stdin: Stdin) -> anyhow::Result<Stop> {
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = closed(stdin) => {}
        }
        // No receiver left means that the process is ending already.
        let _ = sender.send(true);
    });
    Ok(receiver)
}

/// Runs `part` on a runtime of its own with `threads` workers. What still runs afterwards is left behind: a read
/// of stdin cannot be called off, and waiting for it would keep the process alive.
pub fn run<T>(threads: usize, part: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(part);
    runtime.shutdown_background();
    outcome
}

/// Waits until the process is to end.
pub async fn told(stop: &Stop) {
    let mut stop = stop.clone();
    // An error means that the listener is gone with its runtime: ending is right as well.
    let _ = stop.wait_for(|stopping| *stopping).await;
}

async fn closed(stdin: Stdin) {
    match stdin {
        Stdin::Ignored => std::future::pending().await,
        Stdin::Ends => {
            let mut input = tokio::io::stdin();
            let mut buffer = [0; 256];
            while matches!(input.read(&mut buffer).await, Ok(read) if read > 0) {}
        }
    }
}
