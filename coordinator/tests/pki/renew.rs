//! The keeper of a node's certificate over a real port: in time, when expired, alone, refused, and under a new authority.

use async_trait::async_trait;
use lockkeeper_coordinator::pki::{
    IssuingCa, Keys, PkiStore, PrivateKey, RootCa, Validity,
    keeper::Keeper,
    renew::{RenewAsk, RenewError, Renewal, issue, renew_service},
};
use lockkeeper_core::{
    ids::{ClusterId, Digest, Incarnation, LogIndex, MemberName, NodeId},
    rollout::{Command, Reply, State, TrustCommand, state::Node, trust::CertificateReport},
    time::{BootTime, LogTime, Millis},
};
use lockkeeper_proto::{
    port::{Clock, Group, GroupError, Instance, Proposal, View},
    transport::{
        Accepted, Credentials, ListenLimits, PeerIdentity, Revocations, Subject, Tls, TlsDialer, lifetime,
        listen, renewing_server,
    },
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::sync::watch;

const DAY: u64 = 24 * 3_600_000;

fn wall() -> u64 {
    u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

fn name(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

/// The machine's clock, moved ahead by hand; pauses take no time to speak of.
#[derive(Default)]
struct Ahead(AtomicU64);

#[async_trait]
impl Clock for Ahead {
    fn boot(&self) -> BootTime {
        BootTime(self.wall_ms())
    }

    fn wall_ms(&self) -> u64 {
        wall() + self.0.load(Ordering::SeqCst)
    }

    async fn sleep(&self, _: Millis) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A group that takes everything and notes what it was told.
struct Told {
    views: watch::Sender<Arc<View>>,
    told: Mutex<Vec<CertificateReport>>,
}

#[async_trait]
impl Group for Told {
    fn follow(&self) -> watch::Receiver<Arc<View>> {
        self.views.subscribe()
    }

    async fn propose(&self, proposal: Proposal) -> Result<Reply, GroupError> {
        if let Command::Trust(TrustCommand::Certificate { report, .. }) = proposal.command {
            self.told.lock().unwrap().push(report);
        }
        Ok(Reply::Applied { index: LogIndex(1), rollout: None })
    }

    async fn read(&self) -> Result<Arc<View>, GroupError> {
        Ok(self.views.borrow().clone())
    }
}

/// The other agent.
struct Other {
    state: State,
    keys: Keys,
    clock: Arc<Ahead>,
    asked: AtomicU64,
}

impl Renewal for Other {
    fn renew(&self, ask: &RenewAsk) -> Result<Vec<Vec<u8>>, RenewError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        issue(&self.state, &self.keys, ask, LogTime(self.clock.wall_ms()))
    }
}

struct Rig {
    cluster: ClusterId,
    root: RootCa,
    issuing: IssuingCa,
    clock: Arc<Ahead>,
    directory: TempDir,
}

impl Rig {
    fn new() -> Self {
        let cluster = ClusterId("0192f0c1-renew".into());
        let root = RootCa::create(&cluster, LogTime(wall() - 100 * DAY)).unwrap();
        let issuing = root.issuing(LogTime(wall() - 100 * DAY)).unwrap();
        Self { cluster, root, issuing, clock: Arc::default(), directory: tempfile::tempdir().unwrap() }
    }

    fn copy(&self) -> IssuingCa {
        IssuingCa::from_parts(&self.cluster, self.issuing.certificate().to_vec(), &self.issuing.key_der())
            .unwrap()
    }

    fn leaf(&self, member: &str, validity: Validity) -> Credentials {
        let key = PrivateKey::generate().unwrap();
        let request = key.request().unwrap();
        let chain = self.issuing.issue_node(&request, &name(member), Incarnation(1), validity).unwrap().chain;
        let roots = vec![self.root.certificate().to_vec()];
        Credentials { cluster: self.cluster.clone(), chain, key: key.to_der(), roots }
    }

    fn state(&self, address: &str, incarnation: u32) -> State {
        let node = |id, incarnation, address: &str| Node {
            id: NodeId(id),
            incarnation: Incarnation(incarnation),
            address: address.to_owned(),
            fingerprint: Digest(String::new()),
            agent_version: String::new(),
            feature: 1,
            actions: Default::default(),
            at: LogTime(0),
        };
        let mut state = State::default();
        state.nodes.insert(name("n1"), node(1, 1, address));
        state.nodes.insert(name("n2"), node(2, incarnation, "127.0.0.1:9"));
        state
    }

    /// Opens the renewal side of `n1`, which admits `n2` with this incarnation.
    async fn other(&self, incarnation: u32) -> (Arc<Other>, String) {
        let tls = Tls::new(self.leaf("n1", Validity::leaf(LogTime(wall()))), Revocations::none()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let Accepted { renewing, address, peers, joining } =
            listen(listener, tls, ListenLimits::default()).unwrap();
        let state = self.state(&address.to_string(), incarnation);
        let keys = Keys::new(Some(self.copy()), vec![self.root.certificate().to_vec()]);
        let other = Arc::new(Other { state, keys, clock: self.clock.clone(), asked: AtomicU64::new(0) });
        let service = renew_service(other.clone());
        tokio::spawn(async move {
            let _doors = (peers, joining);
            renewing_server().add_service(service).serve_with_incoming(renewing).await
        });
        (other, address.to_string())
    }

    /// Starts the keeper of `n2`, as `agent run` does.
    fn keep(&self, credentials: Credentials, keys: Keys, state: State) -> (Tls, PkiStore, Arc<Told>) {
        let store = PkiStore::open(self.directory.path()).unwrap();
        store.save_node(&credentials).unwrap();
        let tls = Tls::new(credentials.clone(), Revocations::none()).unwrap();
        let view = View {
            state: Arc::new(state),
            applied: LogIndex(1),
            source: None,
            leader: None,
            term: 1,
            quorum: true,
        };
        let group = Arc::new(Told { views: watch::Sender::new(Arc::new(view)), told: Mutex::default() });
        let keeper = Keeper {
            me: name("n2"),
            incarnation: Incarnation(1),
            group: group.clone(),
            tls: tls.clone(),
            keys: Arc::new(keys),
            store: store.clone(),
            dialer: Arc::new(TlsDialer::new(tls.clone())),
            clock: self.clock.clone(),
            instance: Instance::default(),
            credentials,
        };
        tokio::spawn(keeper.run());
        (tls, store, group)
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn filed_end(store: &PkiStore) -> u64 {
    lifetime(&store.load_node().unwrap().unwrap().chain[0]).unwrap().not_after_ms
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_after_a_third_of_its_life_and_not_before() {
    let rig = Rig::new();
    let (other, address) = rig.other(1).await;
    let credentials = rig.leaf("n2", Validity::leaf(LogTime(wall())));
    let (tls, store, group) = rig.keep(credentials.clone(), Keys::default(), rig.state(&address, 1));
    let first = tls.lifetime();
    until("the group was told", || group.told.lock().unwrap().len() > 3).await;
    rig.clock.0.store(9 * DAY, Ordering::SeqCst);
    let told = group.told.lock().unwrap().len();
    until("a few more looks", || group.told.lock().unwrap().len() > told + 3).await;
    assert_eq!(
        (other.asked.load(Ordering::SeqCst), tls.lifetime()),
        (0, first),
        "nine days are no third of thirty"
    );
    rig.clock.0.store(10 * DAY + DAY / 24, Ordering::SeqCst);
    until("it was renewed", || tls.lifetime() != first).await;
    assert!(tls.lifetime().not_after_ms >= first.not_after_ms + 9 * DAY);
    until("it was filed", || filed_end(&store) == tls.lifetime().not_after_ms).await;
    let expires = LogTime(tls.lifetime().not_after_ms);
    until("the group was told of it", || {
        group.told.lock().unwrap().last().is_some_and(|r| r.expires == expires)
    })
    .await;
    let renewed = store.load_node().unwrap().unwrap();
    assert!(renewed.key != credentials.key, "a new key");
    assert_eq!(Subject::of(&renewed.chain[0]).unwrap().identity, tls.subject().identity);
    assert!(matches!(tls.subject().identity, PeerIdentity::Node { incarnation: Incarnation(1), .. }));
    assert_eq!(other.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_renewed_by_another_agent() {
    let rig = Rig::new();
    let (other, address) = rig.other(1).await;
    let expired = Validity { not_before: LogTime(wall() - 40 * DAY), not_after: LogTime(wall() - DAY) };
    let (tls, _, _) = rig.keep(rig.leaf("n2", expired), Keys::default(), rig.state(&address, 1));
    until("it was renewed", || tls.lifetime().not_after_ms > wall() + 29 * DAY).await;
    assert_eq!(other.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_not_gone_round_by_the_own_key() {
    let rig = Rig::new();
    // The other one knows of a second making of n2; this one has missed it, and holds the issuing key.
    let (other, address) = rig.other(2).await;
    let old = Validity { not_before: LogTime(wall() - 20 * DAY), not_after: LogTime(wall() + 10 * DAY) };
    let keys = Keys::new(Some(rig.copy()), vec![rig.root.certificate().to_vec()]);
    let (tls, _, _) = rig.keep(rig.leaf("n2", old), keys, rig.state(&address, 1));
    let first = tls.lifetime();
    until("it was refused again and again", || other.asked.load(Ordering::SeqCst) >= 3).await;
    assert_eq!(tls.lifetime(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hears_nobody_renews_by_its_own_key_if_it_has_one() {
    let rig = Rig::new();
    let expired = Validity { not_before: LogTime(wall() - 40 * DAY), not_after: LogTime(wall() - DAY) };
    let keys = Keys::new(Some(rig.copy()), vec![rig.root.certificate().to_vec()]);
    let (tls, _, _) = rig.keep(rig.leaf("n2", expired), keys, rig.state("127.0.0.1:9", 1));
    until("it was renewed", || tls.lifetime().not_after_ms > wall() + 29 * DAY).await;
}

#[test]
fn a_cross_signed_chain_is_good_under_the_old_root_and_under_the_new_one() {
    let rig = Rig::new();
    let now = LogTime(wall());
    let root = RootCa::create(&rig.cluster, now).unwrap();
    let issuing = root.issuing(now).unwrap();
    let cross = rig.root.cross(&issuing, now).unwrap();
    let key = PrivateKey::generate().unwrap();
    let issued = issuing
        .issue_node(&key.request().unwrap(), &name("n1"), Incarnation(1), Validity::leaf(now))
        .unwrap();
    let good = |chain: Vec<Vec<u8>>, root: &RootCa| {
        let roots = vec![root.certificate().to_vec()];
        Tls::new(
            Credentials { cluster: rig.cluster.clone(), chain, key: key.to_der(), roots },
            Revocations::none(),
        )
    };
    let crossed: Vec<Vec<u8>> = issued.chain.iter().cloned().chain([cross]).collect();
    assert!(good(issued.chain.clone(), &rig.root).is_err(), "the old root alone does not know the new one");
    assert!(good(crossed.clone(), &rig.root).is_ok());
    assert!(good(crossed, &root).is_ok());
}
