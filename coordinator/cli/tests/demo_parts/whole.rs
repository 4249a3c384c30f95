//! All parts together, upgraded by hand the way Lockkeeper will do it, and the figures computed twice.

use crate::bed::{Bed, Part, command, done, part, ports, wait_for};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub const MEMBERS: [&str; 3] = ["n1", "n2", "n3"];

/// Three members behind the balancer, under load.
pub struct Cluster {
    bed: Bed,
    addrs: [SocketAddr; 3],
    members: BTreeMap<usize, Part>,
    pub socket: PathBuf,
    balancer: Option<Part>,
    client: Option<Part>,
}

impl Cluster {
    /// All in 1.0 and admitted; the client has been served a while.
    pub fn start() -> Self {
        let bed = Bed::seeded(1_000, 300);
        let [front, addrs @ ..] = ports::<4>();
        let start = |(place, name): (usize, &&str)| (place, bed.ready(name, "1.0", addrs[place]));
        let members = MEMBERS.iter().enumerate().map(start).collect();
        let servers: Vec<String> =
            MEMBERS.iter().zip(addrs).map(|(name, addr)| format!("--server={name}={addr}")).collect();
        let mut command = part(&["balancer", "--until-stdin-closes", "--listen", &front.to_string()]);
        command.args(["--socket", &bed.text("b.sock"), "--log", &bed.text("balancer.log")]).args(servers);
        let balancer = Part::start(command.stdin(Stdio::piped()));
        let socket = bed.path("b.sock");
        wait_for("the balancer", || socket.exists().then_some(()));
        let mut command = part(&["client", "--until-stdin-closes", "--target", &front.to_string()]);
        let client = Part::start(command.args(["--log", &bed.text("client.log")]).stdin(Stdio::piped()));
        let cluster = Self { bed, addrs, members, socket, balancer: Some(balancer), client: Some(client) };
        cluster.serve_for(60);
        cluster
    }

    /// Waits until the client has `count` more lines.
    pub fn serve_for(&self, count: usize) {
        let lines = || self.bed.read("client.log").lines().count();
        let before = lines();
        wait_for("more requests", || (lines() >= before + count).then_some(()));
    }

    fn set(&self, member: &str, state: &str) {
        assert_eq!(command(&self.socket, &format!("set server front/{member} state {state}")), "\n");
    }

    fn stat(&self, member: &str, column: usize) -> String {
        let answer = command(&self.socket, "show stat");
        let row = answer.lines().find(|line| line.starts_with(&format!("front,{member},"))).unwrap();
        row.split(',').nth(column).unwrap().to_owned()
    }

    /// The order of `testbed.md`: drain, maint, no session, then SIGTERM.
    fn take_out(&mut self, place: usize) {
        let name = MEMBERS[place];
        self.set(name, "drain");
        self.set(name, "maint");
        wait_for("no session", || (self.stat(name, 4) == "0").then_some(()));
        self.stop(place);
    }

    /// SIGTERM and the end it promises.
    pub fn stop(&mut self, place: usize) {
        let (status, took) = self.members.remove(&place).unwrap().stop();
        assert!(status.success() && took < Duration::from_secs(2), "{status:?} {took:?}");
    }

    /// Starts a member and does not wait.
    pub fn start_member(&mut self, place: usize, version: &str) {
        self.members.insert(place, self.bed.serve(MEMBERS[place], version, self.addrs[place]));
    }

    /// Start, ready by its own word, then maint -> drain -> fully up -> ready.
    fn bring_in(&mut self, place: usize) {
        let name = MEMBERS[place];
        self.members.insert(place, self.bed.ready(name, "2.0", self.addrs[place]));
        self.set(name, "drain");
        wait_for("it to be up", || (self.stat(name, 17) == "DRAIN").then_some(()));
        self.set(name, "ready");
    }

    /// Ends client, members and balancer, in this order.
    pub fn end(mut self) -> Bed {
        for part in [self.client.take(), self.balancer.take()].into_iter().flatten() {
            let mut part = part;
            part.close_stdin();
            assert!(part.wait().success());
        }
        for member in std::mem::take(&mut self.members).into_values() {
            assert!(member.stop().0.success());
        }
        self.bed
    }
}

fn upgraded() -> Bed {
    let mut cluster = Cluster::start();
    for place in 0..3 {
        cluster.take_out(place);
    }
    assert!(done(&mut cluster.bed.app("migrate", "n2", "2.0")).status.success());
    for place in [1, 0, 2] {
        cluster.bring_in(place);
        cluster.serve_for(30);
    }
    cluster.end()
}

pub fn figures(bed: &Bed) -> serde_json::Value {
    let printed = done(&mut part(&["figures", "--keep", &bed.text(".")]));
    assert!(printed.status.success(), "{printed:?}");
    serde_json::from_slice(&printed.stdout).unwrap()
}

/// The oracle, with `result` as the report.
fn oracle(bed: &Bed, result: &serde_json::Value) -> Output {
    let mut result = result.clone();
    // Nobody was shut out here; the demo as a whole counts what came late.
    result["late_writes"] = serde_json::json!({"attempted": 0, "landed": 0});
    std::fs::write(bed.path("result.json"), result.to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracle/demo.py");
    done(Command::new("python3").arg(script).arg("--keep").arg(bed.path(".")))
}

fn agrees(output: &Output) -> bool {
    output.status.success()
}

#[test]
fn an_offline_upgrade_fails_nothing_outside_the_outage_and_both_computations_agree() {
    let bed = upgraded();
    let figures = figures(&bed);
    assert_eq!(figures["requests"]["failed_outside_outage"], 0, "{figures:#}");
    assert!(figures["requests"]["total"].as_u64() > figures["requests"]["ok"].as_u64(), "{figures:#}");
    assert_eq!(
        (&figures["database_upgrades"], &figures["upgrader"]),
        (&1.into(), &"n2".into()),
        "{figures:#}"
    );
    assert_eq!(
        (&figures["rows_lost"], &figures["client"]["incomplete"]),
        (&0.into(), &serde_json::Value::Null)
    );
    assert!(figures["outage_ms"].as_u64() > Some(300), "{figures:#}");
    assert_eq!(figures["windows"].as_array().unwrap().len(), 1, "{figures:#}");
    let signs = |lane: usize| {
        let mut picture: Vec<char> = figures["lanes"][lane]["picture"].as_str().unwrap().chars().collect();
        picture.dedup();
        picture.into_iter().filter(|sign| "=.U".contains(*sign)).collect::<String>()
    };
    assert_eq!((signs(0).as_str(), signs(2).as_str()), ("=.=", "=.="), "{figures:#}");
    assert!(signs(1).contains('U'), "{figures:#}");

    let same = oracle(&bed, &figures);
    assert!(
        agrees(&same),
        "{}{}",
        String::from_utf8_lossy(&same.stdout),
        String::from_utf8_lossy(&same.stderr)
    );
    for (field, value) in [
        ("outage_ms", serde_json::json!(figures["outage_ms"].as_u64().unwrap() + 40)),
        ("database_upgrades", serde_json::json!(2)),
        ("upgrader", serde_json::json!("n1")),
        ("requests", serde_json::json!({"total": 1, "ok": 1, "failed_outside_outage": 0})),
    ] {
        let mut wrong = figures.clone();
        wrong[field] = value;
        let output = oracle(&bed, &wrong);
        assert!(!agrees(&output), "a wrong {field} was not noticed");
        assert!(String::from_utf8_lossy(&output.stdout).contains("DIFFERS"), "{output:?}");
    }
    let id = bed.one("select cast(max(id) as text) from notes");
    bed.database().execute("delete from notes where id = ?1", [id]).unwrap();
    assert!(!agrees(&oracle(&bed, &figures)), "a lost note was not noticed");
    assert_eq!(self::figures(&bed)["rows_lost"], 1);
}

#[test]
fn a_member_cut_off_without_a_drain_shows_as_failures_outside() {
    let mut cluster = Cluster::start();
    cluster.members.remove(&0).unwrap().kill();
    wait_for("it to be down", || (cluster.stat("n1", 17) == "DOWN").then_some(()));
    cluster.serve_for(30);
    let bed = cluster.end();
    let figures = figures(&bed);
    assert!(figures["requests"]["failed_outside_outage"].as_u64() > Some(0), "{figures:#}");
    assert_eq!((&figures["outage_ms"], &figures["database_upgrades"]), (&0.into(), &0.into()));
    let same = oracle(&bed, &figures);
    assert!(
        agrees(&same),
        "{}{}",
        String::from_utf8_lossy(&same.stdout),
        String::from_utf8_lossy(&same.stderr)
    );
}
