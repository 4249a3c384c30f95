//! A real HAProxy under load: what is drained loses no request, what is admitted is there.

use super::{
    support::{carry_out, host, proven, targets, wait_for, work},
    web::{Page, Web, get},
};
use lockkeeper_adapters::balancer::{Admin, Haproxy};
use lockkeeper_agent::host::{FactsQuery, Host, Precheck, Work};
use lockkeeper_core::{
    cluster::{BalancerKind, BalancerSpec},
    ids::{BalancerName, StepId},
    plan::{Action, action::BalancerServer},
    time::Millis,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

const HAPROXY: &str = "/usr/sbin/haproxy";

/// HAProxy in front of n1 and n2.
struct Front {
    root: TempDir,
    address: SocketAddr,
    control: SocketAddr,
    servers: [SocketAddr; 2],
    child: Child,
}

impl Drop for Front {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Front {
    async fn start(fall: u32, n1: SocketAddr, n2: SocketAddr) -> Self {
        assert!(
            std::path::Path::new(HAPROXY).exists(),
            "{HAPROXY} is missing; this test needs a real HAProxy: apt-get install haproxy"
        );
        let root = tempfile::tempdir().unwrap();
        let (address, control) = (free_address(), free_address());
        let dir = root.path().display();
        let configuration = format!(
            "global\n  stats socket {dir}/run.sock level admin\n  stats socket ipv4@{control} level admin\n  maxconn 500\n\
             defaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\n\
             frontend f\n  bind {address}\n  default_backend app\n\
             backend app\n  cookie SRV insert indirect nocache\n  option httpchk GET /check\n  option redispatch\n\
             \x20 default-server inter 100ms rise 2 fall {fall}\n\
             \x20 server n1 {n1} check cookie n1\n  server n2 {n2} check cookie n2\n"
        );
        let file = root.path().join("haproxy.cfg");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new(HAPROXY)
            .arg("-f")
            .arg(&file)
            .arg("-db")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let front = Self { root, address, control, servers: [n1, n2], child };
        let balancer = front.balancer();
        let mut up = false;
        for _ in 0..500 {
            up = match (balancer.read("n1").await, balancer.read("n2").await) {
                (Ok(a), Ok(b)) => a.check_passed() && b.check_passed(),
                _ => false,
            };
            if up {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(up, "HAProxy did not come up with both servers");
        front
    }

    fn socket(&self) -> String {
        format!("unix:{}/run.sock", self.root.path().display())
    }

    fn balancer(&self) -> Haproxy {
        Haproxy::new(&self.socket(), "app").unwrap()
    }

    /// How often a connection to a server had to be tried again or given to another.
    async fn retries(&self, server: &str) -> u64 {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::UnixStream::connect(self.root.path().join("run.sock")).await.unwrap();
        stream.write_all(b"show stat app 4 -1\n").await.unwrap();
        let mut table = String::new();
        stream.read_to_string(&mut table).await.unwrap();
        let mut lines = table.lines();
        let header: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
        let row: Vec<&str> =
            lines.map(|line| line.split(',').collect()).find(|row: &Vec<&str>| row[1] == server).unwrap();
        let value = |name: &str| {
            row[header.iter().position(|column| *column == name).unwrap()].parse::<u64>().unwrap()
        };
        value("wretr") + value("wredis")
    }

    fn data(&self) -> std::path::PathBuf {
        self.root.path().join("data")
    }

    fn work(&self, step: u32, socket: &str, wait: u64, action: fn(BalancerServer) -> Action) -> Work {
        let name = BalancerName::new("front").unwrap();
        let spec = BalancerSpec {
            kind: BalancerKind::Haproxy,
            socket: socket.to_owned(),
            backend: "app".into(),
            servers: BTreeMap::new(),
            drain_wait: Millis(wait),
            executors: Vec::new(),
        };
        let server = BalancerServer {
            balancer: name.clone(),
            member: super::support::member(),
            server: "n1".into(),
            wait: Millis(wait),
        };
        let targets = Arc::new(targets(BTreeMap::from([(name, spec)])));
        Work { step: StepId(step), targets, ..work(action(server)) }
    }

    fn drain(&self, wait: u64) -> Work {
        self.work(1, &self.socket(), wait, Action::Drain)
    }

    fn admit(&self, captured: &str) -> Work {
        Work { captured: Some(captured.into()), ..self.work(2, &self.socket(), 1000, Action::Admit) }
    }
}

async fn pair() -> (Web, Web) {
    let page = |name: &str| Page { delay: Duration::from_millis(15), ..Page::ok(name) };
    (Web::start(page("n1")).await, Web::start(page("n2")).await)
}

/// Clients without retries, until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(address: SocketAddr, clients: usize, cookie: &'static str) -> Self {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..clients)
            .map(|_| {
                let (stop, good) = (stop.clone(), good.clone());
                tokio::spawn(async move {
                    let mut failed = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        match get(address, cookie).await {
                            Ok((200, _)) => drop(good.fetch_add(1, Ordering::SeqCst)),
                            Ok((status, body)) => failed.push(format!("{status} {body}")),
                            Err(error) => failed.push(error.to_string()),
                        }
                    }
                    failed
                })
            })
            .collect();
        Self { stop, good, clients }
    }

    /// Waits until `more` further requests were good.
    async fn serve(&self, more: u64) {
        let enough = self.good.load(Ordering::SeqCst) + more;
        wait_for("requests to be served", || self.good.load(Ordering::SeqCst) >= enough).await;
    }

    async fn failures(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut failed = Vec::new();
        for client in self.clients {
            failed.extend(client.await.unwrap());
        }
        failed
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_and_in_again_under_load_loses_no_request() {
    let (n1, n2) = pair().await;
    let front = Front::start(3, n1.address, n2.address).await;
    let host = host(&front.data());
    let load = Load::start(front.address, 6, "");
    // Clients with n1's cookie: persistence pierces a drain.
    let sticky = Load::start(front.address, 2, "cookie: SRV=n1\r\n");
    load.serve(50).await;
    sticky.serve(20).await;

    assert_eq!(host.precheck(&front.drain(5000)).await, Precheck::Ready { captured: "ready".into() });
    let drained = carry_out(&host, &front.drain(5000)).await.unwrap();
    assert!(drained.evidence.contains("maint") && !drained.evidence.contains("forced"), "{drained:?}");
    let when_out = n1.count();
    load.serve(50).await;
    sticky.serve(20).await;
    assert_eq!(n1.count(), when_out, "nobody reaches it, also not with its cookie");

    // The member is stopped, upgraded, and started again on the same address.
    n1.stop().await;
    load.serve(20).await;
    let n1 = Web::at(front.servers[0], Page { delay: Duration::from_millis(15), ..Page::ok("n1") }).await;
    let admitted = carry_out(&host, &front.admit("ready")).await.unwrap();
    assert_eq!(admitted.read_back.as_deref(), Some("ready"), "{admitted:?}");
    load.serve(50).await;
    wait_for("traffic on n1", || n1.count() > 5).await;
    assert_eq!((load.failures().await, sticky.failures().await), (vec![], vec![]), "requests failed");
    assert!(matches!(host.precheck(&front.admit("ready")).await, Precheck::AlreadyDone(_)));
    drop(n2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_alone_is_pierced_by_cookies_and_the_step_is_not() {
    let (n1, n2) = pair().await;
    let front = Front::start(3, n1.address, n2.address).await;
    front.balancer().set("n1", Admin::Drain).await.unwrap();
    let sticky = Load::start(front.address, 2, "cookie: SRV=n1\r\n");
    sticky.serve(10).await;
    assert!(
        n1.count() > 0,
        "if this fails, HAProxy no longer lets cookies pierce a drain, and the order can be simpler"
    );
    // An operator's drain is captured as such, and goes back to it.
    let host = host(&front.data());
    assert_eq!(host.precheck(&front.drain(5000)).await, Precheck::Ready { captured: "drain".into() });
    carry_out(&host, &front.drain(1000)).await.unwrap();
    let when_out = n1.count();
    sticky.serve(20).await;
    assert_eq!(n1.count(), when_out);
    let admitted = carry_out(&host, &front.admit("drain")).await.unwrap();
    assert_eq!(admitted.read_back.as_deref(), Some("drain"));
    assert!(admitted.evidence.contains("stays out"), "{admitted:?}");
    assert_eq!(sticky.failures().await, Vec::<String>::new());
    drop(n2);
}

async fn a_dead_application_is_never_admitted(fall: u32) {
    let (n1, n2) = pair().await;
    let front = Front::start(fall, n1.address, n2.address).await;
    let host = host(&front.data());
    let load = Load::start(front.address, 4, "");
    // They would pierce a drain that counts the server as up; each such request is held until HAProxy gives up on it.
    let sticky = Load::start(front.address, 2, "cookie: SRV=n1\r\n");
    carry_out(&host, &front.drain(2000)).await.unwrap();
    n1.stop().await;
    // Straight out of maintenance HAProxy calls it up, without one check.
    let early =
        tokio::time::timeout(Duration::from_millis(1500), host.perform(&front.admit("ready"), &|_| {})).await;
    assert!(early.is_err(), "it was admitted dead: {early:?}");
    let reading = front.balancer().read("n1").await.unwrap();
    assert_eq!((reading.admin, reading.up), (Admin::Drain, false), "{reading}");
    assert_eq!(front.retries("n1").await, 0, "a client with a cookie was sent to the dead application");
    let begun = load.good.load(Ordering::SeqCst);
    let again = Web::at(front.servers[0], Page { delay: Duration::from_millis(15), ..Page::ok("n1") }).await;
    carry_out(&host, &front.admit("ready")).await.unwrap();
    wait_for("traffic on n1", || again.count() > 5).await;
    assert!(load.good.load(Ordering::SeqCst) > begun);
    assert_eq!(
        (load.failures().await, sticky.failures().await),
        (vec![], vec![]),
        "a client met the dead application"
    );
    drop(n2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_after_maintenance_is_not_believed() {
    a_dead_application_is_never_admitted(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_after_maintenance_is_not_believed_with_fall_1_either() {
    a_dead_application_is_never_admitted(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_had_in_maintenance_stays_there() {
    let (n1, n2) = pair().await;
    let front = Front::start(3, n1.address, n2.address).await;
    front.balancer().set("n1", Admin::Maint).await.unwrap();
    let host = host(&front.data());
    assert_eq!(host.precheck(&front.drain(500)).await, Precheck::Ready { captured: "maint".into() });
    carry_out(&host, &front.drain(500)).await.unwrap();
    let done = carry_out(&host, &front.admit("maint")).await.unwrap();
    assert_eq!(done.read_back.as_deref(), Some("maint"));
    assert_eq!(front.balancer().read("n1").await.unwrap().admin, Admin::Maint);
    drop(n2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_never_ends_meets_the_named_deadline() {
    let (n1, n2) = pair().await;
    let front = Front::start(3, n1.address, n2.address).await;
    n1.set(Page { delay: Duration::from_secs(60), ..Page::ok("never") });
    let address = front.address;
    let slow = tokio::spawn(async move { get(address, "cookie: SRV=n1\r\n").await });
    wait_for("the slow request", || n1.count() == 1).await;
    let host = host(&front.data());
    let done = carry_out(&host, &front.drain(300)).await.unwrap();
    assert!(done.evidence.contains("named forced deadline: 1 sessions"), "{done:?}");
    let ended =
        tokio::time::timeout(Duration::from_secs(5), slow).await.expect("its session was ended").unwrap();
    assert!(!matches!(ended, Ok((200, _))), "{ended:?}");
    drop(n2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_drain_is_set_again() {
    let (n1, n2) = pair().await;
    let front = Front::start(3, n1.address, n2.address).await;
    n1.set(Page { delay: Duration::from_millis(1500), ..Page::ok("slow") });
    let address = front.address;
    let slow = tokio::spawn(async move { get(address, "cookie: SRV=n1\r\n").await });
    wait_for("the slow request", || n1.count() == 1).await;
    let (host, drain) = (host(&front.data()), front.drain(10_000));
    let meddle = async {
        let balancer = front.balancer();
        while balancer.read("n1").await.unwrap().admin != Admin::Drain {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        balancer.set("n1", Admin::Ready).await
    };
    let (performed, _meddled) = tokio::join!(host.perform(&drain, &|_| {}), meddle);
    performed.unwrap();
    let done = proven(&host, &drain).await.unwrap();
    assert!(done.evidence.contains("lost the setting 1 times"), "{done:?}");
    assert!(matches!(slow.await.unwrap(), Ok((200, _))), "and the request still ended well");
    drop(n2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_name_and_a_dead_socket_are_told_apart() {
    let (n1, n2) = pair().await;
    let front = Front::start(3, n1.address, n2.address).await;
    let host = host(&front.data());
    let tcp = format!("tcp://{}", front.control);
    assert!(matches!(host.precheck(&front.work(1, &tcp, 100, Action::Drain)).await, Precheck::Ready { .. }));
    let mut unknown = front.work(1, &tcp, 100, Action::Drain);
    let Action::Drain(server) = &mut unknown.action else { panic!() };
    server.server = "n9".into();
    let Precheck::Mismatch { found, .. } = host.precheck(&unknown).await else { panic!() };
    assert!(found.contains("LK5504"), "{found}");
    assert_eq!(front.balancer().set("n9", Admin::Drain).await.unwrap_err().code, "LK5502");
    assert_eq!(front.balancer().set("n1; quit", Admin::Drain).await.unwrap_err().code, "LK5504");
    let nowhere = front.work(1, "unix:/no/such/socket", 100, Action::Drain);
    let Precheck::Unknown(why) = host.precheck(&nowhere).await else { panic!() };
    assert!(why.contains("LK5501"), "{why}");
    assert_eq!(Haproxy::new("/no/scheme", "app").unwrap_err().code, "LK5501");
    drop(n2);
}

/// `check` sets each server to the state it has.
#[tokio::test]
async fn a_check_may_set_servers_and_changes_none() {
    let (n1, n2) = pair().await;
    let front = Front::start(2, n1.address, n2.address).await;
    let balancer = front.balancer();
    balancer.set("n1", Admin::Maint).await.unwrap();
    let name = BalancerName::new("front").unwrap();
    let mut spec = front.drain(1000).targets.balancers[&name].clone();
    let ask = async |spec: &BalancerSpec| {
        let prove = Some(BTreeMap::from([(name.clone(), spec.clone())]));
        let mut facts = host(&front.data()).facts(&FactsQuery { prove, ..FactsQuery::default() }).await;
        assert_eq!(facts.proofs.len(), 1, "{facts:?}");
        facts.proofs.remove(0).seen
    };
    let member = |name: &str| lockkeeper_core::ids::MemberName::new(name).unwrap();
    spec.servers = BTreeMap::from([(member("n1"), "n1".into()), (member("n2"), "n2".into())]);
    assert_eq!(ask(&spec).await, Ok("2 servers stand as they stood".to_owned()));
    assert_eq!(balancer.read("n1").await.unwrap().admin, Admin::Maint);
    let ready = balancer.read("n2").await.unwrap();
    assert!(ready.admin == Admin::Ready && ready.check_passed(), "{ready}");
    spec.servers.insert(member("n3"), "n3".into());
    assert!(ask(&spec).await.is_err_and(|why| why.contains("n3")));
}

/// A balancer knows no tokens: which of two groups may work it, the ledger of the database says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_whole_group_drains_and_admits_nothing() {
    let (n1, n2) = pair().await;
    let front = Front::start(2, n1.address, n2.address).await;
    let host = host(&front.data());
    let database = lockkeeper_core::ids::DatabaseName::new("main").unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("main.db", directory.path().join("current")).unwrap();
    let spec = lockkeeper_core::cluster::DatabaseSpec {
        engine: lockkeeper_core::cluster::Engine::Sqlite,
        instances: vec![directory.path().to_string_lossy().into_owned()],
        name: "main".into(),
        admin: None,
        tls: None,
        door: lockkeeper_core::cluster::Door::PathPerEpoch,
        owner: String::new(),
        infrastructure: Vec::new(),
        backups: String::new(),
        executors: Vec::new(),
    };
    let of_group = |work: Work, nonces: &[u64]| {
        let mut targets = (*work.targets).clone();
        targets.databases.insert(database.clone(), spec.clone());
        let mut marks = lockkeeper_core::rollout::Marks::default();
        for (index, nonce) in (10..).zip(nonces) {
            let token =
                lockkeeper_core::ids::Token { index: lockkeeper_core::ids::LogIndex(index), ..work.token };
            marks.add([&database], lockkeeper_core::rollout::Mark { token, nonce: *nonce });
        }
        Work { targets: Arc::new(targets), marks: marks.into(), ..work }
    };
    // Copied after the first effect; the original went on.
    carry_out(&host, &of_group(front.drain(100), &[1])).await.unwrap();
    carry_out(&host, &of_group(front.admit("ready"), &[1, 2])).await.unwrap();
    let copy = of_group(front.drain(100), &[1, 3]);
    let Precheck::Refused(refusal) = host.precheck(&copy).await else { panic!("the look lets it pass") };
    assert_eq!(refusal.code, "LK5239");
    for work in [copy, of_group(front.admit("ready"), &[1, 3])] {
        assert_eq!(host.perform(&work, &|_| {}).await.unwrap_err().code, "LK5239");
    }
    let n1_now = front.balancer().read("n1").await.unwrap();
    assert_eq!(n1_now.admin, Admin::Ready, "the original's last word stands");
    carry_out(&host, &of_group(front.drain(100), &[1, 2, 4])).await.unwrap();

    // Who cannot ask does not act either.
    let away = directory.path().with_extension("away");
    std::fs::rename(directory.path(), &away).unwrap();
    let admit = of_group(front.admit("ready"), &[1, 2, 4, 5]);
    assert!(host.perform(&admit, &|_| {}).await.is_err());
    assert_eq!(front.balancer().read("n1").await.unwrap().admin, Admin::Maint);
    std::fs::rename(&away, directory.path()).unwrap();
    carry_out(&host, &admit).await.unwrap();
    drop(n2);
}
