//! HAProxy's runtime socket by `socat`: the same commands as the adapter's, in the same order.

use super::shell::word;
use lockkeeper_core::{
    cluster::BalancerKind,
    plan::{Plan, action::BalancerServer},
};

/// The three states the runtime API knows; anything else that was captured is not put into a command.
const STATES: [&str; 3] = ["ready", "drain", "maint"];

fn ask(plan: &Plan, server: &BalancerServer, command: &str) -> String {
    let Some(spec) = plan.targets.balancers.get(&server.balancer) else {
        return format!("# balancer {} is not among the plan's targets", server.balancer);
    };
    match spec.kind {
        BalancerKind::Haproxy => {}
    }
    let place = match spec.socket.split_once(':') {
        Some(("unix", path)) => format!("UNIX-CONNECT:{}", path.strip_prefix("//").unwrap_or(path)),
        Some(("tcp", rest)) => format!("TCP:{}", rest.trim_start_matches('/')),
        Some((_, _)) | None => return format!("# {:?} is not a runtime socket", spec.socket),
    };
    format!("echo {} | socat -t5 - {}", word(command), word(&place))
}

fn name(plan: &Plan, server: &BalancerServer) -> String {
    let backend =
        plan.targets.balancers.get(&server.balancer).map(|b| b.backend.as_str()).unwrap_or_default();
    format!("{backend}/{}", server.server)
}

fn look(plan: &Plan, server: &BalancerServer) -> String {
    let backend =
        plan.targets.balancers.get(&server.balancer).map(|b| b.backend.as_str()).unwrap_or_default();
    ask(plan, server, &format!("show servers state {backend}"))
}

/// Out: drain, look until nobody is left, maintenance.
pub fn drain(plan: &Plan, server: &BalancerServer) -> Vec<String> {
    let name = name(plan, server);
    let backend = name.split_once('/').map(|(backend, _)| backend).unwrap_or_default();
    vec![
        ask(plan, server, &format!("set server {name} state drain")),
        format!(
            "{}   # until scur of {} is 0",
            ask(plan, server, &format!("show stat {backend} 4 -1")),
            server.server
        ),
        ask(plan, server, &format!("set server {name} state maint")),
    ]
}

/// Back to the captured state. `ready` straight after `maint` would be up without a check, so drain comes first.
pub fn admit(plan: &Plan, server: &BalancerServer, captured: Option<&str>) -> Vec<String> {
    let name = name(plan, server);
    let wanted = captured.unwrap_or("ready");
    if !STATES.contains(&wanted) {
        return vec![
            format!("# captured: {wanted:?}, which is none of {STATES:?}; look at it and decide"),
            look(plan, server),
        ];
    }
    let mut lines = Vec::new();
    if wanted == "ready" {
        lines.push(ask(plan, server, &format!("set server {name} state drain")));
        lines.push(format!(
            "{}   # until srv_check_result of {} is 3 (passed): the application must answer first",
            look(plan, server),
            server.server
        ));
    }
    lines.push(ask(plan, server, &format!("set server {name} state {wanted}")));
    lines.push(format!("{}   # read it back: srv_admin_state", look(plan, server)));
    lines
}
