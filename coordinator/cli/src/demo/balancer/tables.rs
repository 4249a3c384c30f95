//! The answers of the `show` commands, column by column as HAProxy 2.6.12 prints them. Counters the balancer
//! does not keep are empty (in `show stat`) or what HAProxy prints for an unused one.

use super::health::{Admin, FALL, Health, RISE};
use super::pool::Server;
use super::proxy::Balancer;
use crate::demo::clock::unix_ms;
use std::fmt::Write as _;

/// What `show version` says: HAProxy's version whose commands are copied, marked as a copy.
pub const VERSION: &str = "2.6.12-lockkeeper-demo";

/// HAProxy numbers proxies in the order of its file; the frontend is 2, our backend 3.
const BACKEND_ID: u32 = 3;

const STATE_HEADER: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
    srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
    srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port \
    srv_check_addr srv_agent_addr srv_agent_port";

/// The `#` stands for itself here: every data column is one to the left of its name.
const CONN_HEADER: &str = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est \
    unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[1]";

const STAT_HEADER: &str = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,\
    wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,\
    tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,\
    hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,\
    comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,\
    agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,\
    agent_health,addr,cookie,mode,algo,";

/// `show servers state`.
pub fn servers_state(balancer: &Balancer) -> String {
    let (backend, now) = (balancer.backend(), unix_ms());
    let mut table = format!("1\n{STATE_HEADER}\n");
    for (id, server) in (1..).zip(balancer.pool().servers()) {
        let Server { name, addr, health, changed_at, .. } = server;
        let (check_status, check_result) = check_numbers(health);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{BACKEND_ID} {backend} {id} {name} {ip} {op} {admin} 1 1 {since} {check_status} {check_result} {points} \
             {check_state} 0 0 0 - {port} - 0 0 - - 0",
            ip = addr.ip(),
            port = addr.port(),
            op = health.op().number(),
            admin = health.admin().bits(),
            since = now.saturating_sub(*changed_at) / 1_000,
            points = health.points(),
            // Enabled and configured; 8 more while the checks rest.
            check_state = if health.admin() == Admin::Maint { 14 } else { 6 },
        );
    }
    table
}

/// HAProxy's numbers of the last check's outcome: (status, 0 unknown | 2 failed | 3 passed).
fn check_numbers(health: &Health) -> (u8, u8) {
    match health.last() {
        None => (1, 0),
        Some(outcome) => {
            let (word, number) = outcome.haproxy();
            (number, if word == "L7OK" { 3 } else { 2 })
        }
    }
}

/// `show servers conn`.
pub fn servers_conn(balancer: &Balancer) -> String {
    let backend = balancer.backend();
    let mut table = format!("{CONN_HEADER}\n");
    for (id, server) in (1..).zip(balancer.pool().servers()) {
        let Server { name, addr, connections, .. } = server;
        let _ = writeln!(
            table,
            "{backend}/{name} {BACKEND_ID}/{id} {ip} {port} - 5000 {now} {most} {most} 0 0 -1 0 0",
            ip = addr.ip(),
            port = addr.port(),
            now = connections.now,
            most = connections.most,
        );
    }
    table
}

/// Which lines of `show stat` are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// HAProxy's bits: 2 backends, 4 servers; -1 all.
    pub kinds: i64,
    /// A server's number from 1; -1 all.
    pub server: i64,
}

impl Shown {
    /// Every line.
    pub const ALL: Self = Self { kinds: -1, server: -1 };

    fn has_server(self, id: u32) -> bool {
        self.kinds & 4 != 0 && (self.server < 0 || self.server == i64::from(id))
    }

    fn has_backend(self) -> bool {
        self.kinds & 2 != 0
    }
}

/// `show stat`: one line for each server, then the backend's.
pub fn stat(balancer: &Balancer, shown: Shown) -> String {
    let (backend, now) = (balancer.backend().as_str(), unix_ms());
    let pool = balancer.pool();
    let mut table = format!("{STAT_HEADER}\n");
    for (id, server) in (1_u32..).zip(pool.servers()).filter(|(id, _)| shown.has_server(*id)) {
        let health = &server.health;
        // HAProxy shows nothing of the checks while they rest.
        let checked = health.admin() != Admin::Maint;
        let last = health.last().filter(|_| checked);
        let number = |number: u8| if checked { number.to_string() } else { String::new() };
        let cells = [
            ("svname", server.name.to_string()),
            ("scur", server.sessions.now.to_string()),
            ("smax", server.sessions.most.to_string()),
            ("stot", server.total.to_string()),
            ("econ", server.connect_errors.to_string()),
            ("eresp", server.response_errors.to_string()),
            ("status", health.status()),
            ("chkfail", server.check_fails.to_string()),
            ("chkdown", server.downs.to_string()),
            ("lastchg", (now.saturating_sub(server.changed_at) / 1_000).to_string()),
            ("sid", id.to_string()),
            ("lbtot", server.total.to_string()),
            ("type", "2".to_owned()),
            ("check_status", last.map_or("", |outcome| outcome.haproxy().0).to_owned()),
            (
                "check_code",
                last.and_then(|outcome| outcome.status()).map_or(String::new(), |s| s.to_string()),
            ),
            ("check_rise", number(RISE)),
            ("check_fall", number(FALL)),
            ("check_health", number(health.points())),
            ("addr", server.addr.to_string()),
            ("cookie", server.name.to_string()),
        ];
        row(&mut table, backend, &cells);
    }
    if !shown.has_backend() {
        return table;
    }
    let usable = pool.servers().iter().filter(|server| server.health.takes_new()).count();
    let sum = |count: fn(&Server) -> u64| pool.servers().iter().map(count).sum::<u64>().to_string();
    let cells = [
        ("svname", "BACKEND".to_owned()),
        ("scur", sum(|server| server.sessions.now)),
        ("smax", sum(|server| server.sessions.most)),
        (
            "stot",
            (pool.servers().iter().map(|server| server.total).sum::<u64>() + pool.refused()).to_string(),
        ),
        ("econ", sum(|server| server.connect_errors)),
        ("eresp", sum(|server| server.response_errors)),
        ("status", if usable == 0 { "DOWN" } else { "UP" }.to_owned()),
        ("act", usable.to_string()),
        ("type", "1".to_owned()),
        ("cookie", "SRV".to_owned()),
        ("algo", "roundrobin".to_owned()),
    ];
    row(&mut table, backend, &cells);
    table
}

/// One line of `show stat`: the cells given, the same for all lines, and nothing elsewhere.
fn row(table: &mut String, backend: &str, cells: &[(&str, String)]) {
    let common =
        [("qcur", "0"), ("qmax", "0"), ("wretr", "0"), ("wredis", "0"), ("weight", "1"), ("act", "1")];
    for column in STAT_HEADER.trim_start_matches("# ").split_terminator(',') {
        let own = cells.iter().find(|(name, _)| *name == column).map(|(_, cell)| cell.as_str());
        let cell = own.unwrap_or_else(|| match column {
            "pxname" => backend,
            "bck" => "0",
            "pid" => "1",
            "iid" => "3",
            "mode" => "http",
            other => common.iter().find(|(name, _)| *name == other).map_or("", |(_, cell)| cell),
        });
        table.push_str(cell);
        table.push(',');
    }
    table.push('\n');
}

/// `show info`, in part.
pub fn info(balancer: &Balancer) -> String {
    let up = unix_ms().saturating_sub(balancer.started_at()) / 1_000;
    format!(
        "Name: HAProxy-subset\nVersion: {VERSION}\nNbthread: 1\nNbproc: 1\nProcess_num: 1\nPid: {}\nUptime_sec: {up}\n",
        std::process::id()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_stand_where_haproxy_puts_them() {
        let columns: Vec<&str> = STAT_HEADER.trim_start_matches("# ").split(',').collect();
        for (number, name) in
            [(3, "qcur"), (5, "scur"), (8, "stot"), (18, "status"), (37, "check_status"), (75, "cookie")]
        {
            assert_eq!(columns.get(number - 1), Some(&name), "column {number}");
        }
        assert_eq!(CONN_HEADER.split_whitespace().nth(7), Some("used_cur"));
    }
}
