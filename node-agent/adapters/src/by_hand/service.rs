//! The application itself.

use super::shell;
use lockkeeper_core::plan::{
    Plan,
    action::{CommandSpec, ServiceAction, ServiceSpec},
};

pub fn stop(plan: &Plan, action: &ServiceAction) -> Vec<String> {
    match &action.service {
        ServiceSpec::Command { stop, status, .. } => {
            vec![shell::command(plan, stop), format!("{}   # 3: stopped", shell::command(plan, status))]
        }
        ServiceSpec::Process { command, .. } => {
            let program = command.argv.join(" ");
            vec![
                "# started by Lockkeeper in a session of its own; its process id is in services/MEMBER/process.json".to_owned(),
                format!("pgrep -a -f -- {}", shell::word(&shell::filled(plan, &program))),
                "kill -TERM PID".to_owned(),
            ]
        }
    }
}

/// Captured is `running` for an application that served before; one that did not stays stopped.
pub fn start(plan: &Plan, action: &ServiceAction, captured: Option<&str>) -> Vec<String> {
    if captured.is_some_and(|word| word != "running") {
        return vec![format!("# it was {} before: nothing to start", captured.unwrap_or_default())];
    }
    match &action.service {
        ServiceSpec::Command { start, status, .. } => {
            vec![shell::command(plan, start), format!("{}   # 0: running", shell::command(plan, status))]
        }
        ServiceSpec::Process { command, log, .. } => {
            let log = if log.is_empty() { "/dev/null".to_owned() } else { shell::filled(plan, log) };
            let dir = if command.dir.is_empty() { "/" } else { command.dir.as_str() };
            vec![format!(
                "cd {} && setsid sh -c {} >>{} 2>&1 </dev/null &",
                shell::word(&shell::filled(plan, dir)),
                shell::word(&format!(
                    "exec {}",
                    shell::command(plan, &CommandSpec { dir: String::new(), ..command.clone() })
                )),
                shell::word(&log)
            )]
        }
    }
}
