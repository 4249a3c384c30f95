//! The balancer's runtime commands and the traps an adapter has to know (`haproxy.rs` compares with the real one).

use crate::bed::{Answer, Bed, Part, command, get, http, part, ports, wait_for};
use crate::held::Held;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A balancer before two held servers.
struct Front {
    _bed: Bed,
    log: PathBuf,
    socket: PathBuf,
    addr: SocketAddr,
    n1: Option<Held>,
    _n2: Held,
    n1_addr: SocketAddr,
    balancer: Part,
}

impl Front {
    /// Waits until the log says it: lines are written after the answer went out.
    fn logged(&self, what: &str) {
        wait_for(what, || std::fs::read_to_string(&self.log).unwrap().contains(what).then_some(()));
    }

    fn start() -> Self {
        let bed = Bed::new();
        let [addr, n1_addr, n2_addr] = ports();
        let (n1, n2) = (Held::start(n1_addr), Held::start(n2_addr));
        let (socket, log) = (bed.path("b.sock"), bed.path("balancer.log"));
        let balancer = Part::start(
            part(&[
                "balancer",
                "--listen",
                &addr.to_string(),
                "--socket",
                &bed.text("b.sock"),
                "--log",
                &bed.text("balancer.log"),
                "--server",
                &format!("n1={n1_addr}"),
                "--server",
                &format!("n2={n2_addr}"),
            ])
            .env_clear(),
        );
        let front = Self { _bed: bed, log, socket, addr, n1: Some(n1), _n2: n2, n1_addr, balancer };
        wait_for("the balancer", || front.socket.exists().then_some(()));
        front.becomes("n1", "UP");
        front.becomes("n2", "UP");
        front
    }

    fn set(&self, server: &str, state: &str) {
        assert_eq!(command(&self.socket, &format!("set server front/{server} state {state}")), "\n");
    }

    /// (op, admin, health) of `show servers state`.
    fn state(&self, server: &str) -> (u8, u8, u8) {
        let answer = command(&self.socket, "show servers state front");
        let row = answer.lines().find(|line| line.split(' ').nth(3) == Some(server)).unwrap();
        let column = |number: usize| row.split(' ').nth(number).unwrap().parse().unwrap();
        (column(5), column(6), column(12))
    }

    /// A column of `show stat`, counted from 1.
    fn stat(&self, server: &str, column: usize) -> String {
        let answer = command(&self.socket, "show stat");
        let row = answer.lines().find(|line| line.starts_with(&format!("front,{server},"))).unwrap();
        row.split(',').nth(column - 1).unwrap().to_owned()
    }

    fn used(&self, server: &str) -> u32 {
        let answer = command(&self.socket, "show servers conn front");
        let row = answer.lines().find(|line| line.starts_with(&format!("front/{server} "))).unwrap();
        row.split(' ').nth(6).unwrap().parse().unwrap()
    }

    fn becomes(&self, server: &str, status: &str) {
        wait_for(&format!("{server} to be {status}"), || (self.stat(server, 18) == status).then_some(()));
    }

    fn with_cookie(&self, server: &str, path: &str) -> Answer {
        http(self.addr, "GET", path, &format!("cookie: SRV={server}\r\n"), "").unwrap()
    }

    fn total(&self, server: &str) -> u32 {
        self.stat(server, 8).parse().unwrap()
    }
}

#[test]
fn drain_turns_new_requests_away_but_a_cookie_pierces_it_and_maint_does_not_let_it() {
    let front = Front::start();
    front.set("n1", "drain");
    assert_eq!(front.state("n1"), (2, 8, 3));
    assert_eq!(front.stat("n1", 18), "DRAIN");
    let before = front.total("n1");
    for _ in 0..20 {
        let answer = get(front.addr, "/").unwrap();
        assert_eq!((answer.status, answer.header("set-cookie")), (200, Some("srv=n2; path=/")));
    }
    assert_eq!(front.total("n1"), before);
    let pierced = front.with_cookie("n1", "/");
    assert_eq!((pierced.status, pierced.header("set-cookie")), (200, None));
    assert_eq!(front.total("n1"), before + 1);
    front.set("n1", "maint");
    assert_eq!((front.state("n1"), front.stat("n1", 18).as_str()), ((0, 1, 0), "MAINT"));
    let moved = front.with_cookie("n1", "/");
    assert_eq!((moved.status, moved.header("set-cookie")), (200, Some("srv=n2; path=/")));
    assert_eq!(front.total("n1"), before + 1);
}

#[test]
fn ready_straight_after_maint_is_up_on_credit_also_with_a_dead_server() {
    let mut front = Front::start();
    front.set("n2", "drain");
    front.set("n1", "maint");
    front.n1.take().unwrap().shut();
    front.set("n1", "ready");
    let (op, admin, health) = front.state("n1");
    // Up on credit: a check may have taken it down again by now, but never with the health of a proven server.
    assert!(admin == 0 && health < 3, "op {op}, health {health}");
    front.becomes("n1", "DOWN");
    front.logged(r#""op":2,"status":"UP 1/2","cause":"set server front/n1 state ready""#);
}

#[test]
fn drain_straight_after_maint_counts_as_up_too_until_a_check_fails() {
    let mut front = Front::start();
    front.set("n1", "maint");
    front.n1.take().unwrap().shut();
    front.set("n1", "drain");
    front.becomes("n1", "DOWN");
    front.logged(r#""op":2,"status":"DRAIN 1/2","cause":"set server front/n1 state drain""#);
    // Now ready does no harm: the checks know better.
    front.set("n1", "ready");
    assert_eq!(front.state("n1"), (0, 0, 0));
    for _ in 0..10 {
        assert_eq!(get(front.addr, "/").unwrap().status, 200);
    }
    front.n1 = Some(Held::start(front.n1_addr));
    front.becomes("n1", "UP");
}

#[test]
fn a_request_in_flight_is_counted_until_it_ends_and_maint_lets_it_finish() {
    let front = Front::start();
    let addr = front.addr;
    let slow = std::thread::spawn(move || http(addr, "GET", "/slow", "cookie: SRV=n1\r\n", "").unwrap());
    let n1 = front.n1.as_ref().unwrap();
    wait_for("the request to arrive", || (n1.waiting() == 1).then_some(()));
    front.set("n1", "drain");
    front.set("n1", "maint");
    assert_eq!(front.stat("n1", 5), "1");
    assert!(front.used("n1") >= 1);
    n1.release();
    assert_eq!(slow.join().unwrap().status, 200);
    wait_for("no session", || (front.stat("n1", 5) == "0" && front.used("n1") == 0).then_some(()));
}

#[test]
fn shutting_sessions_down_gives_their_clients_502() {
    let front = Front::start();
    let addr = front.addr;
    let slow = std::thread::spawn(move || http(addr, "GET", "/slow", "cookie: SRV=n1\r\n", "").unwrap());
    wait_for("the request to arrive", || (front.n1.as_ref().unwrap().waiting() == 1).then_some(()));
    assert_eq!(command(&front.socket, "shutdown sessions server front/n1"), "\n");
    let cut = slow.join().unwrap();
    assert_eq!((cut.status, cut.header("x-balancer")), (502, Some("shutdown")));
    assert_eq!(front.stat("n1", 5), "0");
}

#[test]
fn without_a_server_the_answer_says_who_gave_it() {
    let front = Front::start();
    front.set("n1", "drain");
    front.set("n2", "drain");
    let refused = get(front.addr, "/").unwrap();
    assert_eq!((refused.status, refused.header("x-balancer")), (503, Some("no-server")));
    assert_eq!(front.with_cookie("n2", "/").status, 200);
    front.set("n2", "maint");
    assert_eq!(front.with_cookie("n2", "/").status, 503);
    front.logged(r#""server":null,"status":503,"cookie":false,"fault":"no-server""#);
    front.logged(r#""server":null,"status":503,"cookie":true,"fault":"no-server""#);
}

#[test]
fn a_command_that_was_not_obeyed_says_so_in_haproxy_s_words() {
    let front = Front::start();
    for (said, answer) in [
        ("set server front/n9 state drain", "No such server.\n\n"),
        ("set server back/n1 state drain", "No such backend.\n\n"),
        ("set server front state drain", "Require 'backend/server'.\n\n"),
        (
            "set server front/n1 state gone",
            "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n",
        ),
        ("show servers state back", "Can't find backend.\n\n"),
        ("shutdown sessions server front/n9", "No such server.\n\n"),
    ] {
        assert_eq!(command(&front.socket, said), answer, "{said}");
    }
    assert!(command(&front.socket, "do something").starts_with("Unknown command"));
    let info = command(&front.socket, "show info");
    assert!(info.contains(&format!("\nPid: {}\n", front.balancer.pid())), "{info}");
    assert_eq!(front.state("n1"), (2, 0, 3));
}
