//! The client: a schedule that nothing slows down, and a log that is whole when it ends.

use crate::bed::{Bed, Part, part, ports, wait_for};
use crate::held::Held;
use std::process::Stdio;

#[test]
fn it_keeps_its_schedule_when_no_answer_comes() {
    let bed = Bed::new();
    let [front, addr] = ports();
    let held = Held::start(addr);
    let socket = bed.text("b.sock");
    // Every answer hangs in a server that a balancer cannot do without: nobody gets an answer until released.
    let _balancer = Part::start(&mut part(&[
        "balancer",
        "--listen",
        &front.to_string(),
        "--socket",
        &socket,
        "--log",
        &bed.text("balancer.log"),
        "--server",
        &format!("n1={addr}"),
    ]));
    wait_for("the balancer", || crate::bed::get(front, "/").filter(|answer| answer.status == 200));
    held.hold_all();
    let mut load = part(&[
        "client",
        "--target",
        &front.to_string(),
        "--log",
        &bed.text("client.log"),
        "--rate",
        "200",
        "--until-stdin-closes",
    ]);
    let mut load = Part::start(load.stdin(Stdio::piped()));
    wait_for("200 requests to wait for an answer at the same time", || (held.waiting() >= 200).then_some(()));
    assert!(!bed.read("client.log").contains("\"request\""));
    held.release();
    load.close_stdin();
    assert!(load.wait().success());
    let log = bed.read("client.log");
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let requests = log.lines().filter(|line| line.contains("\"request\"")).count();
    assert_eq!((last["event"].as_str(), last["scheduled"].as_u64()), (Some("end"), Some(requests as u64)));
    assert!(requests >= 200);
}

#[test]
fn a_refused_connection_is_one_failure_and_no_second_try() {
    let bed = Bed::new();
    let [nobody] = ports();
    let mut load = part(&["client", "--target", &nobody.to_string(), "--log", &bed.text("client.log")]);
    let load = Part::start(&mut load);
    wait_for("some requests", || (bed.read("client.log").lines().count() > 30).then_some(()));
    assert!(load.stop().0.success());
    for line in bed.read("client.log").lines().filter(|line| line.contains("\"request\"")) {
        assert!(line.contains("\"status\":null,\"error\":\"cannot connect"), "{line}");
    }
}
