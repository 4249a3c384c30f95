//! The same commands and readings on the real HAProxy and on ours, side by side: ours is worth as much to the
//! shipped adapter's tests as it is alike. Needs `haproxy` (Debian; `tests/run` installs it).

use crate::bed::{Bed, Part, command, http, part, ports, wait_for};
use crate::held::Held;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Side {
    name: &'static str,
    socket: PathBuf,
    front: SocketAddr,
    server: SocketAddr,
    held: Option<Held>,
    _process: Part,
}

/// One reading: op, admin, health, check state of `show servers state`; status and check status of `show stat`.
fn reading(side: &Side) -> String {
    let state = command(&side.socket, "show servers state front");
    let header: Vec<&str> = state.lines().nth(1).unwrap().trim_start_matches("# ").split(' ').collect();
    let row: Vec<&str> = state.lines().nth(2).unwrap().split(' ').collect();
    let of = |name: &str| row[header.iter().position(|column| *column == name).unwrap()];
    let stat = command(&side.socket, "show stat");
    let header: Vec<&str> = stat.lines().next().unwrap().trim_start_matches("# ").split(',').collect();
    let row: Vec<&str> =
        stat.lines().find(|line| line.starts_with("front,n1,")).unwrap().split(',').collect();
    let cell =
        |name: &str| row[header.iter().position(|column| *column == name).unwrap()].trim_start_matches("* ");
    format!(
        "op {} admin {} health {} result {} checks {} | {} {} {} rise {} fall {} health {} scur {}",
        of("srv_op_state"),
        of("srv_admin_state"),
        of("srv_check_health"),
        of("srv_check_result"),
        // Without its first bit: whether a check is under way at this moment.
        of("srv_check_state").parse::<u8>().unwrap() & !1,
        cell("status"),
        cell("check_status"),
        cell("check_code"),
        cell("check_rise"),
        cell("check_fall"),
        cell("check_health"),
        cell("scur"),
    )
}

/// Waits until the reading starts with `wanted`, then gives the whole of it.
fn settled(side: &Side, wanted: &str) -> String {
    wait_for(&format!("{} at {:?}, last {:?}", side.name, wanted, reading(side)), || {
        Some(reading(side)).filter(|reading| reading.starts_with(wanted))
    })
}

fn request(side: &Side, cookie: &str) -> String {
    let answer = http(side.front, "GET", "/", cookie, "").unwrap();
    format!("{} {}", answer.status, answer.header("set-cookie").unwrap_or("-"))
}

/// One script; what it writes down must not depend on whose commands these are.
fn script(mut side: Side) -> Vec<String> {
    let mut read = vec![settled(&side, "op 2 admin 0 health 3")];
    let say = |side: &Side, words: &str| format!("{words}: {:?}", command(&side.socket, words));
    let no_cookie = "";
    let cookie = "cookie: SRV=n1\r\n";
    read.push(request(&side, no_cookie));
    read.push(request(&side, cookie));
    for words in [
        "set server front/n9 state drain",
        "set server back/n1 state drain",
        "set server front state drain",
        "set server front/n1 state gone",
        "show servers state back",
        "show servers conn back",
        "shutdown sessions server front/n9",
        "set server front/n9 health down",
        "show stat back 4 -1",
    ] {
        read.push(say(&side, words));
    }
    read.push(say(&side, "set server front/n1 state drain"));
    read.push(settled(&side, "op 2 admin 8"));
    read.push(request(&side, no_cookie));
    read.push(request(&side, cookie));
    side.held.take().unwrap().shut();
    read.push(settled(&side, "op 0 admin 8 health 0"));
    read.push(request(&side, cookie));
    read.push(say(&side, "set server front/n1 state ready"));
    read.push(settled(&side, "op 0 admin 0 health 0"));
    side.held = Some(Held::start(side.server));
    read.push(settled(&side, "op 2 admin 0 health 3"));
    read.push(say(&side, "set server front/n1 state maint"));
    read.push(settled(&side, "op 0 admin 1"));
    read.push(request(&side, cookie));
    read.push(say(&side, "set server front/n1 state drain"));
    read.push(settled(&side, "op 2 admin 8 health 3"));
    // Declared down, it has to earn it back; both words in one go, before a check comes between.
    let down = "set server front/n1 health down; show servers state front";
    let row = command(&side.socket, down).lines().find(|line| line.contains(" n1 ")).unwrap().to_owned();
    read.push(row.split(' ').skip(5).take(2).collect::<Vec<_>>().join(" "));
    read.push(settled(&side, "op 2 admin 8 health 3"));
    read.push(say(&side, "set server front/n1 state maint"));
    read.push(say(&side, "set server front/n1 health down"));
    read.push(settled(&side, "op 0 admin 1"));
    side.held.take().unwrap().shut();
    // The trap: up at once, on a dead server.
    let credit = command(&side.socket, "set server front/n1 state drain; show servers state front");
    let row = credit.lines().find(|line| line.contains(" n1 ")).unwrap();
    read.push(row.split(' ').skip(5).take(2).collect::<Vec<_>>().join(" "));
    read.push(settled(&side, "op 0 admin 8 health 0"));
    read.push(say(&side, "set server front/n1 state ready"));
    side.held = Some(Held::start(side.server));
    read.push(settled(&side, "op 2 admin 0 health 3"));
    let front = side.front;
    let slow = std::thread::spawn(move || http(front, "GET", "/slow", "", "").unwrap().status);
    let waiting = |side: &Side| side.held.as_ref().is_some_and(|held| held.waiting() == 1);
    wait_for("the slow request", || waiting(&side).then_some(()));
    read.push(say(&side, "set server front/n1 state maint"));
    read.push(reading(&side));
    let conn = command(&side.socket, "show servers conn front");
    let row = conn.lines().find(|line| line.starts_with("front/n1 ")).unwrap();
    read.push(format!("used_cur {}", row.split(' ').nth(6).unwrap()));
    read.push(say(&side, "shutdown sessions server front/n1"));
    read.push(format!("the slow one got {}", slow.join().unwrap()));
    read.push(settled(&side, "op 0 admin 1"));
    read
}

fn real(bed: &Bed) -> Side {
    let [front, server] = ports();
    let held = Held::start(server);
    let (socket, file) = (bed.path("haproxy.sock"), bed.path("haproxy.cfg"));
    let configuration = format!(
        "global\n  stats socket {} mode 600 level admin\n  maxconn 100\ndefaults\n  mode http\n  retries 0\n  \
         timeout connect 1s\n  timeout client 10s\n  timeout server 10s\n  timeout check 1s\nfrontend web\n  \
         bind {front}\n  default_backend front\nbackend front\n  balance roundrobin\n  \
         cookie SRV insert indirect nocache\n  option httpchk GET /health\n  \
         default-server inter 200ms rise 2 fall 2\n  server n1 {server} check cookie n1\n",
        socket.display()
    );
    std::fs::write(&file, configuration).unwrap();
    let mut haproxy = Command::new("haproxy");
    haproxy.arg("-db").arg("-f").arg(&file).stdin(Stdio::null()).stderr(Stdio::null());
    assert!(
        Command::new("haproxy").arg("-v").stdout(Stdio::null()).status().is_ok(),
        "this test needs the Debian package haproxy; tests/run installs it"
    );
    let process = Part::start(&mut haproxy);
    wait_for("haproxy's socket", || socket.exists().then_some(()));
    Side { name: "haproxy", socket, front, server, held: Some(held), _process: process }
}

fn ours(bed: &Bed) -> Side {
    let [front, server] = ports();
    let held = Held::start(server);
    let socket = bed.path("ours.sock");
    let process = Part::start(&mut part(&[
        "balancer",
        "--listen",
        &front.to_string(),
        "--socket",
        &bed.text("ours.sock"),
        "--log",
        &bed.text("balancer.log"),
        "--server",
        &format!("n1={server}"),
    ]));
    wait_for("our socket", || socket.exists().then_some(()));
    Side { name: "ours", socket, front, server, held: Some(held), _process: process }
}

#[test]
fn commands_and_readings_are_those_of_haproxy() {
    let bed = Bed::new();
    let (real, ours) = (script(real(&bed)), script(ours(&bed)));
    for (number, (ours, real)) in (1..).zip(ours.iter().zip(&real)) {
        assert_eq!(ours, real, "reading {number}; left: ours, right: HAProxy");
    }
    assert_eq!(ours.len(), real.len());
}

#[test]
fn tables_have_haproxy_s_columns() {
    let bed = Bed::new();
    let (real, ours) = (real(&bed), ours(&bed));
    for side in [&real, &ours] {
        settled(side, "op 2 admin 0 health 3");
    }
    for (words, line) in [("show servers state front", 1), ("show servers conn front", 0), ("show stat", 0)] {
        let head = |side: &Side| command(&side.socket, words).lines().nth(line).unwrap().to_owned();
        // The last column of the connections' table is one for each thread; of the statistics we print a part.
        let cut = |head: String| {
            head.split("idle_per_thr").next().unwrap().split(",conn_rate,").next().unwrap().to_owned()
        };
        let (theirs, own) = (cut(head(&real)), cut(head(&ours)));
        assert_eq!(own.trim_end_matches(','), theirs, "{words}");
    }
    let words = |side: &Side| {
        let answer = command(&side.socket, "show servers state front");
        let row = answer.lines().nth(2).unwrap().to_owned();
        let mut words: Vec<String> = row.split(' ').map(str::to_owned).collect();
        // Both numbers, and different for good: the seconds since the last change, as the two did not start together,
        // and the port.
        for column in [9, 18] {
            words[column].parse::<u64>().unwrap();
            words[column].clear();
        }
        words
    };
    wait_for("the same row in both", || (words(&real) == words(&ours)).then_some(()));
}
