//! Joining over real sockets, against the real replicated state.

use lockkeeper_coordinator::pki::enrol::{
    Admission, Admitted, EnrolError, EnrolledPeer, Enrolment, JoinAsk, Joined, Joiner, admit, enrol_service,
    join,
};
use lockkeeper_coordinator::pki::{
    IssuingCa, JoinToken, PkiStore, PrivateKey, RootCa, TokenSecret, Validity,
};
use lockkeeper_core::identity::{Actor, Role};
use lockkeeper_core::ids::{
    ClusterId, ClusterName, Digest, Generation, Incarnation, LogIndex, MemberName, NodeId, RequestId,
};
use lockkeeper_core::rollout::apply::apply;
use lockkeeper_core::rollout::command::{Command, Envelope, Reply};
use lockkeeper_core::rollout::state::State;
use lockkeeper_core::time::LogTime;
use lockkeeper_proto::transport::{
    Accepted, Credentials, ListenLimits, Revocations, Tls, joining_server, listen,
};
use std::sync::{Arc, Mutex};

const HOUR: u64 = 3_600_000;

fn wall() -> LogTime {
    LogTime(u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap())
}

fn member(name: &str) -> MemberName {
    MemberName::new(name).unwrap()
}

/// A group of one: the state machine without Raft around it, and the port before it.
struct Group {
    cluster: ClusterId,
    root: RootCa,
    issuing: IssuingCa,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    index: u64,
    now: LogTime,
    asked: u32,
    has_leader: bool,
    loses_answers: bool,
}

impl Group {
    fn new(id: &str) -> Arc<Self> {
        let cluster = ClusterId(id.into());
        let root = RootCa::create(&cluster, wall()).unwrap();
        let issuing = root.issuing(wall()).unwrap();
        let inner = Inner {
            state: State::default(),
            index: 0,
            now: wall(),
            asked: 0,
            has_leader: true,
            loses_answers: false,
        };
        let group = Self { cluster, root, issuing, inner: Mutex::new(inner) };
        let name = ClusterName::new("library").unwrap();
        group.commit(Command::Init { cluster: group.cluster.clone(), name, generation: Generation(1) });
        Arc::new(group)
    }

    fn commit(&self, command: Command) {
        let mut inner = self.inner.lock().unwrap();
        inner.index += 1;
        let actor = Actor { name: "anna".into(), role: Role::Admin, via: "n1".into() };
        let envelope = Envelope {
            id: RequestId(inner.index.to_string()),
            time: inner.now,
            actor: Some(actor),
            trace: String::new(),
            command,
        };
        let index = LogIndex(inner.index);
        let reply = apply(&mut inner.state, index, &envelope);
        assert!(matches!(reply, Reply::Applied { .. }), "{reply:?}");
    }

    /// What `token create NAME` does.
    fn token(&self, name: &str, addresses: &[&str]) -> JoinToken {
        let token = JoinToken {
            cluster: self.cluster.clone(),
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
            authority: self.root.digest(),
            member: member(name),
            secret: TokenSecret::generate(),
            expires: LogTime(self.inner.lock().unwrap().now.0 + HOUR),
        };
        let hash = token.token_hash();
        self.commit(Command::TokenCreate { hash, member: token.member.clone(), expires: token.expires });
        // Over its text, as a person carries it.
        JoinToken::parse(&token.to_text().unwrap()).unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap());
    }

    fn asked(&self) -> u32 {
        self.inner.lock().unwrap().asked
    }

    fn credentials(&self, name: &str) -> Credentials {
        let key = PrivateKey::generate().unwrap();
        let leaf = Validity::leaf(wall());
        let chain = self
            .issuing
            .issue_node(&key.request().unwrap(), &member(name), Incarnation(1), leaf)
            .unwrap()
            .chain;
        let roots = vec![self.root.certificate().to_vec()];
        Credentials { cluster: self.cluster.clone(), chain, key: key.to_der(), roots }
    }

    /// Opens the enrolment side of a port.
    async fn open(self: &Arc<Self>) -> String {
        let tls = Tls::new(self.credentials("n1"), Revocations::none()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let Accepted { joining, address, .. } = listen(listener, tls, ListenLimits::default()).unwrap();
        let service = enrol_service(self.clone());
        tokio::spawn(joining_server().add_service(service).serve_with_incoming(joining));
        address.to_string()
    }
}

#[tonic::async_trait]
impl Enrolment for Group {
    async fn join(&self, ask: JoinAsk) -> Result<Admitted, EnrolError> {
        let (admission, lost) = {
            let mut inner = self.inner.lock().unwrap();
            inner.asked += 1;
            if !inner.has_leader {
                return Err(EnrolError::Unavailable("no leader".into()));
            }
            (admit(&inner.state, &ask, inner.now)?, inner.loses_answers)
        };
        let (node_id, incarnation) = match admission {
            Admission::Repeat { node_id, incarnation } => (node_id, incarnation),
            Admission::New(enrol) => {
                let numbers = (enrol.node_id, enrol.incarnation);
                self.commit(Command::Enrol(enrol));
                numbers
            }
        };
        if lost {
            return Err(EnrolError::Unavailable("the answer was lost".into()));
        }
        let leaf = Validity::leaf(wall());
        let issued =
            self.issuing.issue_node(&ask.request, &ask.member, incarnation, leaf).map_err(EnrolError::Pki)?;
        let issuing = IssuingCa::from_parts(
            &self.cluster,
            self.issuing.certificate().to_vec(),
            &self.issuing.key_der(),
        );
        Ok(Admitted {
            node_id,
            incarnation,
            generation: Generation(1),
            chain: issued.chain,
            roots: vec![self.root.certificate().to_vec()],
            issuing: Some(issuing.map_err(EnrolError::Pki)?),
            peers: vec![EnrolledPeer {
                member: member("n1"),
                node_id: NodeId(1),
                address: "10.0.0.1:7440".into(),
            }],
        })
    }
}

fn machine(number: u8) -> Joiner {
    Joiner {
        address: format!("10.0.0.{number}:7440"),
        agent_version: "0.1.0".into(),
        fingerprint: Digest::of(&[number]),
    }
}

async fn join_as(token: &JoinToken, number: u8) -> Result<Joined, EnrolError> {
    join(token, &machine(number), &PrivateKey::generate().unwrap()).await
}

#[tokio::test]
async fn the_right_token_makes_a_node_once() {
    let group = Group::new("c-1");
    let address = group.open().await;
    let token = group.token("n2", &[&address]);
    let joined = join_as(&token, 2).await.unwrap();
    assert_eq!(
        (joined.node_id, joined.incarnation, &joined.member),
        (NodeId(1), Incarnation(1), &member("n2"))
    );
    assert_eq!(joined.peers.len(), 1);
    // It can be saved, loaded and used, and it can issue in its turn.
    let directory = tempfile::tempdir().unwrap();
    let store = PkiStore::open(directory.path()).unwrap();
    joined.save(&store).unwrap();
    let loaded = store.load_node().unwrap().unwrap();
    let subject = Tls::new(loaded, Revocations::none()).unwrap().subject();
    assert_eq!(subject.identity.to_string(), "node n2 (incarnation 1)");
    assert!(store.load_issuing(&group.cluster).unwrap().is_some());
    // A second machine with the same token is not let in.
    assert_eq!(join_as(&token, 3).await.unwrap_err().code(), "LK4303");
    // The log holds the hash and not the secret.
    let state = group.inner.lock().unwrap();
    assert!(state.state.join_tokens.get(&token.token_hash()).unwrap().used.is_some());
}

#[tokio::test]
async fn a_lost_answer_does_not_burn_the_token() {
    let group = Group::new("c-1");
    let address = group.open().await;
    let token = group.token("n2", &[&address]);
    group.change(|inner| inner.loses_answers = true);
    assert_eq!(join_as(&token, 2).await.unwrap_err().code(), "LK4309");
    group.change(|inner| inner.loses_answers = false);
    let again = join_as(&token, 2).await.unwrap();
    assert_eq!((again.node_id, again.incarnation), (NodeId(1), Incarnation(1)));
    // Not for another machine, not for ever, and not once the node has spoken.
    assert_eq!(join_as(&token, 3).await.unwrap_err().code(), "LK4303");
    group.commit(Command::Announce {
        member: member("n2"),
        agent_version: "0.1.0".into(),
        feature: 1,
        actions: Default::default(),
    });
    assert_eq!(join_as(&token, 2).await.unwrap_err().code(), "LK4303");
    let token = group.token("n3", &[&address]);
    join_as(&token, 3).await.unwrap();
    group.change(|inner| inner.now.0 += 61_000);
    assert_eq!(join_as(&token, 3).await.unwrap_err().code(), "LK4303");
}

#[tokio::test]
async fn a_member_that_joins_again_gets_a_new_incarnation_and_number() {
    let group = Group::new("c-1");
    let address = group.open().await;
    let first = join_as(&group.token("n2", &[&address]), 2).await.unwrap();
    let second = join_as(&group.token("n2", &[&address]), 2).await.unwrap();
    assert_eq!((first.incarnation, second.incarnation), (Incarnation(1), Incarnation(2)));
    assert!(second.node_id > first.node_id);
    let revoked: Revocations = group.inner.lock().unwrap().state.revoked.iter().cloned().collect();
    let of = |joined: Joined| Tls::new(joined.credentials, Revocations::none()).unwrap().subject();
    assert!(revoked.revoked(&of(first)));
    assert!(!revoked.revoked(&of(second)));
}

#[tokio::test]
async fn each_reason_to_refuse_has_its_code_and_uses_no_token() {
    let group = Group::new("c-1");
    let address = group.open().await;
    let good = group.token("n2", &[&address]);
    let change = |change: &dyn Fn(&mut JoinToken)| {
        let mut token = good.clone();
        change(&mut token);
        token
    };
    let wrong_secret = change(&|token| token.secret = TokenSecret::generate());
    assert_eq!(join_as(&wrong_secret, 2).await.unwrap_err().code(), "LK4301");
    let other_name = change(&|token| token.member = member("n3"));
    assert_eq!(join_as(&other_name, 2).await.unwrap_err().code(), "LK4304");
    let mut odd = machine(2);
    odd.fingerprint = Digest("x".into());
    let error = join(&good, &odd, &PrivateKey::generate().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "LK4306");
    assert!(error.to_string().contains("fingerprint"), "{error}");
    group.change(|inner| inner.now.0 += HOUR + 1);
    assert_eq!(join_as(&good, 2).await.unwrap_err().code(), "LK4302");
    group.change(|inner| inner.now.0 -= HOUR + 1);
    group.change(|inner| inner.has_leader = false);
    let error = join_as(&good, 2).await.unwrap_err();
    assert_eq!(error.code(), "LK4309");
    assert!(error.to_string().contains("LK4307"), "{error}");
    group.change(|inner| inner.has_leader = true);
    assert!(join_as(&good, 2).await.is_ok());
}

#[tokio::test]
async fn the_secret_is_not_sent_to_a_stranger() {
    let (ours, stranger) = (Group::new("c-1"), Group::new("c-1"));
    let wrong = stranger.open().await;
    let error = join_as(&ours.token("n2", &[&wrong]), 2).await.unwrap_err();
    assert_eq!(error.code(), "LK4309");
    assert!(error.to_string().contains("LK4014"), "{error}");
    assert_eq!(stranger.asked(), 0, "the stranger heard something");
    // The same port does answer its own tokens, so the test could have failed.
    assert!(join_as(&stranger.token("n2", &[&wrong]), 2).await.is_ok());
    assert_eq!(stranger.asked(), 1);
}

#[tokio::test]
async fn every_address_is_tried_until_somebody_decides() {
    let (group, stranger) = (Group::new("c-1"), Group::new("c-2"));
    let (good, wrong) = (group.open().await, stranger.open().await);
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let token = group.token("n2", &[&closed, &wrong, "nonsense", &good]);
    assert!(join_as(&token, 2).await.is_ok());
    // A decision ends the search: the second address is not asked.
    let token = group.token("n3", &[&good, &good]);
    let asked = group.asked();
    let mut spoiled = token.clone();
    spoiled.secret = TokenSecret::generate();
    assert_eq!(join_as(&spoiled, 3).await.unwrap_err().code(), "LK4301");
    assert_eq!(group.asked(), asked + 1);
    // All reasons are told when nobody could be used.
    let error = join_as(&group.token("n4", &[&closed, &wrong]), 4).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("LK4012") && text.contains("LK4014"), "{text}");
    assert!(text.contains(&closed) && text.contains(&wrong), "{text}");
}

#[tokio::test]
async fn two_machines_race_for_one_token_and_one_wins() {
    let group = Group::new("c-1");
    let address = group.open().await;
    let token = group.token("n2", &[&address]);
    let (a, b) = tokio::join!(join_as(&token, 2), join_as(&token, 3));
    assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1, "{a:?} {b:?}");
    assert_eq!(group.inner.lock().unwrap().state.nodes.len(), 1);
}

#[test]
fn messages_with_secrets_do_not_show_them() {
    let request = lockkeeper_proto::pb::JoinRequest { secret: vec![171; 32], ..Default::default() };
    assert!(!format!("{request:?}").contains("171"));
    let issuing = lockkeeper_proto::pb::IssuingAuthority { certificate: vec![], key: vec![171; 32] };
    let answer = lockkeeper_proto::pb::JoinResponse { issuing: Some(issuing), ..Default::default() };
    assert!(!format!("{answer:?}").contains("171"));
}
