//! `lockkeeper pause`, `resume`, `abort` and `retry`: what people decide while a rollout is active.

use super::{Scene, reply};
use crate::{error::CliError, exit::Exit, out};
use lockkeeper_proto::client::operator::{Control, OperatorClient};

/// Pause the rollout at the next step boundary.
///
/// Steps that agents already have run to their end; no further one is handed out until `lockkeeper resume`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = PAUSE_HELP)]
pub struct PauseArgs {
    /// Why; everybody who looks at the status sees it.
    #[arg(long)]
    reason: String,
}

/// Let a paused rollout go on, or a halted one whose cause is gone.
#[derive(Debug, clap::Args)]
#[command(after_long_help = RESUME_HELP)]
pub struct ResumeArgs {}

/// Turn back: undo everything that is owed.
///
/// Possible only before the point of no return; after it, `resume`, `retry` and `restore` are left. Running
/// steps end first. Nothing but undoing follows, and it cannot be called back.
#[derive(Debug, clap::Args)]
#[command(after_long_help = ABORT_HELP)]
pub struct AbortArgs {
    /// Why; kept in the history.
    #[arg(long, default_value = "")]
    reason: String,
}

/// Let a failed step be tried again, once its cause is gone.
#[derive(Debug, clap::Args)]
#[command(after_long_help = RETRY_HELP)]
pub struct RetryArgs {
    /// The step's number, as in `lockkeeper status --why`.
    #[arg(value_name = "STEP")]
    step: u32,
}

const PAUSE_HELP: &str = "\
Changes: the rollout's state, in the replicated log. Nothing on any host: drained stays drained, shut stays shut.
Ctrl-C: the pause may or may not have been committed; look with `lockkeeper status`.
Exit codes: 0 paused; 1 error; 4 rejected (no rollout is active, or its state does not allow it).
Example:
  lockkeeper pause --reason 'storage team asks for ten minutes'";

const RESUME_HELP: &str = "\
Changes: the rollout's state; agents go on with the next steps at once.
Ctrl-C: it may or may not have been committed; look with `lockkeeper status`.
Exit codes: 0 it goes on; 1 error; 4 rejected (for example LK3023: a step failed, use retry).
Example:
  lockkeeper resume && lockkeeper status --watch";

const ABORT_HELP: &str = "\
Changes: every setting the rollout changed is given its old value back, in a fixed order.
Ctrl-C: the abort may or may not have been committed; once it is, it goes on without this command.
Exit codes: 0 it turns back; 1 error; 4 rejected (LK3010: past the point of no return).
Example:
  lockkeeper abort --reason 'load test still running' && lockkeeper status --watch";

const RETRY_HELP: &str = "\
Changes: the step becomes ready again; for a database upgrade this is a new grant with a new token.
Ctrl-C: it may or may not have been committed; look with `lockkeeper status`.
Exit codes: 0 it will be tried again; 1 error; 4 rejected (LK3012: it has not failed; LK3019: restore first).
Example:
  lockkeeper retry 8 && lockkeeper status --watch";

pub async fn pause(scene: &Scene, args: PauseArgs) -> Result<Exit, CliError> {
    let said = "no further step is handed out; running steps end. Go on with: lockkeeper resume";
    control(scene, Control::Pause, "pause the rollout", args.reason, said).await
}

pub async fn resume(scene: &Scene, _: ResumeArgs) -> Result<Exit, CliError> {
    let said = "it goes on; follow with: lockkeeper status --watch";
    control(scene, Control::Resume, "resume the rollout", String::new(), said).await
}

pub async fn abort(scene: &Scene, args: AbortArgs) -> Result<Exit, CliError> {
    let said = "it turns back; follow with: lockkeeper status --watch";
    control(scene, Control::Abort, "abort the rollout", args.reason, said).await
}

pub async fn retry(scene: &Scene, args: RetryArgs) -> Result<Exit, CliError> {
    let id = reply::request_id();
    let retry = async |client: OperatorClient| client.retry(id.clone(), args.step).await;
    let answer = scene.session()?.change("retry the step", retry).await?;
    match reply::applied(scene, answer, Exit::Error) {
        Ok(_) => {
            out::say(&format!(
                "step {} will be tried again; follow with: lockkeeper status --watch",
                args.step
            ));
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}

async fn control(
    scene: &Scene,
    what: Control,
    doing: &'static str,
    reason: String,
    said: &str,
) -> Result<Exit, CliError> {
    let id = reply::request_id();
    let call = async |client: OperatorClient| client.control(id.clone(), what, reason.clone()).await;
    match reply::applied(scene, scene.session()?.change(doing, call).await?, Exit::Error) {
        Ok(applied) => {
            let rollout = applied.rollout.map(|r| format!("rollout {r}: ")).unwrap_or_default();
            out::say(&format!("{rollout}{said}"));
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}
