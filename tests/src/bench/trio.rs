//! Three voters with their agents in this process: the shipped wiring with TLS on loopback and three stores on disk;
//! only the host does nothing.

use super::idle_host::IdleHost;
use anyhow::{Context, Result, bail, ensure};
use lockkeeper_agent::{
    clock::SystemClock,
    facts::HostObserver,
    journal::{FsDisk, Journal},
    node::{Node, Parts as AgentParts},
};
use lockkeeper_coordinator::{
    api::LocalRights,
    assembly::{Coordinator, Parts},
    pki::{IssuingCa, Keys, PrivateKey, RootCa, Validity},
    presence::HostReport,
    raft::{Blocking, Marker, Production, Store, StoreMarker, Tuning},
};
use lockkeeper_core::{
    identity::{Actor, Role},
    ids::{ClusterId, ClusterName, Digest, Generation, Incarnation, MemberName, NodeId, RequestId},
    plan::ActionKind,
    rollout::{Command, Reply, command::Enrol},
    time::LogTime,
};
use lockkeeper_proto::{
    port::{Clock as _, Proposal},
    transport::{Credentials, ListenLimits, Revocations, Tls, TlsDialer, install_crypto, listen},
    wire::raft::Seat,
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

/// A debug build on a busy machine needs seconds to make voters of all three.
const VOTERS_WITHIN: Duration = Duration::from_secs(30);

/// One of the three.
pub struct Voter {
    /// Its name.
    pub name: MemberName,
    /// Its coordinator.
    pub coordinator: Coordinator,
    address: String,
    // Aborted when dropped.
    agent: Option<Node>,
    served: JoinHandle<()>,
    // Held: without it the agent would count as ended, and give no more signs of life.
    _report: watch::Sender<HostReport>,
}

/// The three.
pub struct Trio {
    /// The first founded the group and leads it.
    pub voters: Vec<Voter>,
    /// The group.
    pub cluster: ClusterId,
    requests: u64,
}

/// What all three are made with.
struct Makings<'a> {
    cluster: &'a ClusterId,
    root: Vec<u8>,
    issuing: IssuingCa,
    directory: &'a Path,
    now: LogTime,
}

impl Trio {
    /// Makes the group, with the files of the three below `directory`. The cluster file is made from their addresses.
    pub async fn start(directory: &Path, cluster_file: impl FnOnce(&[String]) -> String) -> Result<Self> {
        install_crypto();
        let cluster = ClusterId("bench".into());
        let now = LogTime(SystemClock.wall_ms());
        let root = RootCa::create(&cluster, now)?;
        let issuing = root.issuing(now)?;
        let makings =
            Makings { cluster: &cluster, root: root.certificate().to_vec(), issuing, directory, now };
        let mut voters = Vec::new();
        for number in 1..=3 {
            voters.push(makings.voter(number).await?);
        }
        let mut trio = Self { voters, cluster: cluster.clone(), requests: 0 };
        trio.found(now, cluster_file).await?;
        Ok(trio)
    }

    async fn found(&mut self, now: LogTime, cluster_file: impl FnOnce(&[String]) -> String) -> Result<()> {
        let first = &self.voters[0];
        let seat =
            Seat { name: first.name.clone(), address: first.address.clone(), incarnation: Incarnation(1) };
        first.coordinator.raft.initialize(seat).await?;
        let (cluster, name) = (self.cluster.clone(), ClusterName::new("bench")?);
        self.must(None, Command::Init { cluster, name, generation: Generation(1) }).await?;
        let addresses: Vec<String> = self.voters.iter().map(|v| v.address.clone()).collect();
        let admin = person("ada", Role::Admin);
        for (at, address) in addresses.iter().enumerate() {
            let member = self.voters[at].name.clone();
            let token = (at > 0).then(|| Digest::of(member.as_str().as_bytes()));
            if let Some(hash) = token.clone() {
                let expires = LogTime(now.0 + 3_600_000);
                self.must(Some(&admin), Command::TokenCreate { hash, member: member.clone(), expires })
                    .await?;
            }
            let enrol = Enrol {
                member,
                node_id: NodeId(u64::try_from(at)? + 1),
                incarnation: Incarnation(1),
                address: address.clone(),
                fingerprint: Digest::of(b"machine"),
                token,
            };
            self.must(None, Command::Enrol(enrol)).await?;
        }
        let text = cluster_file(&addresses);
        let spec = Box::new(super::planning::read(&text)?);
        self.must(Some(&admin), Command::SetCluster { text, profile: String::new(), spec }).await?;
        let mut leadership = self.voters[0].coordinator.group.consensus().leadership();
        timeout(VOTERS_WITHIN, leadership.wait_for(|l| l.leading && l.voters.len() == 3))
            .await
            .context("waited in vain for three voters")??;
        Ok(())
    }

    /// Commits a command on the first voter, which must lead.
    pub async fn commit(&mut self, actor: Option<&Actor>, command: Command) -> Result<Reply> {
        self.requests += 1;
        let id = RequestId(format!("bench-{}", self.requests));
        let proposal = Proposal { id, actor: actor.cloned(), trace: String::new(), command };
        Ok(self.voters[0].coordinator.group.propose_here(proposal).await?)
    }

    /// Commits a command that must take effect.
    pub async fn must(&mut self, actor: Option<&Actor>, command: Command) -> Result<()> {
        let kind = command.kind();
        match self.commit(actor, command).await? {
            Reply::Applied { .. } => Ok(()),
            Reply::Rejected(rejection) => bail!("{kind:?}: {rejection}"),
        }
    }

    /// A command that changes nothing: the first voter repeats what it can do.
    pub fn nothing(&self) -> Command {
        Command::Announce {
            member: self.voters[0].name.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            feature: lockkeeper_core::rollout::trust::FEATURE,
            actions: ActionKind::ALL.into_iter().collect(),
        }
    }

    /// Hands the leadership to the next voter and waits for a command it commits; the voters are turned so that it is
    /// the first.
    pub async fn hand_over(&mut self) -> Result<Duration> {
        let to = self.voters[1].coordinator.raft.local().party.node;
        let begun = std::time::Instant::now();
        self.voters[0].coordinator.raft.transfer_leader(to).await?;
        self.voters.rotate_left(1);
        let nothing = self.nothing();
        while let Err(error) = self.commit(None, nothing.clone()).await {
            ensure!(begun.elapsed() < VOTERS_WITHIN, "the successor commits nothing: {error}");
            tokio::task::yield_now().await;
        }
        Ok(begun.elapsed())
    }

    /// Ends all three.
    pub async fn stop(self) -> Result<()> {
        for voter in self.voters {
            if let Some(agent) = voter.agent {
                agent.stop().await?;
            }
            voter.coordinator.shutdown().await;
            voter.served.abort();
        }
        Ok(())
    }
}

/// A person who asks.
pub fn person(name: &str, role: Role) -> Actor {
    Actor { name: name.to_owned(), role, via: "m1".to_owned() }
}

impl Makings<'_> {
    async fn voter(&self, number: u64) -> Result<Voter> {
        let name = MemberName::new(format!("m{number}"))?;
        let directory = self.directory.join(name.as_str());
        std::fs::create_dir(&directory)?;
        let key = PrivateKey::generate()?;
        let leaf = Validity::leaf(self.now);
        let issued = self.issuing.issue_node(&key.request()?, &name, Incarnation(1), leaf)?;
        let credentials = Credentials {
            cluster: self.cluster.clone(),
            chain: issued.chain,
            key: key.to_der(),
            roots: vec![self.root.clone()],
        };
        let tls = Tls::new(credentials, Revocations::none())?;
        let marker = Marker {
            cluster: self.cluster.clone(),
            generation: Generation(1),
            node: NodeId(number),
            incarnation: Incarnation(1),
            store: StoreMarker::generate(),
        };
        let store = Store::create(&directory.join("raft.redb"), &marker, Blocking::Threads)?;
        let (clock, host) = (Arc::new(SystemClock), Arc::new(IdleHost));
        let (report, reports) = watch::channel(HostReport::default());
        let coordinator = Coordinator::start::<Production>(Parts {
            me: name.clone(),
            incarnation: Incarnation(1),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            store,
            tuning: Tuning::default(),
            dialer: Arc::new(TlsDialer::new(tls.clone())),
            observer: Arc::new(HostObserver { host: host.clone(), clock: clock.clone() }),
            clock: clock.clone(),
            local: LocalRights::default(),
            keys: Arc::new(Keys::new(None, vec![self.root.clone()])),
            report: reports,
            instance: lockkeeper_proto::port::Instance::default(),
            scope: None,
        })
        .await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let accepted = listen(listener, tls, ListenLimits::default())?;
        let serving = coordinator.serve_peers(accepted.peers, Box::pin(std::future::pending()));
        let served = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "a server has ended");
            }
        });
        let disk = FsDisk::new(directory.join("journal"))?;
        let agent = Node::start(AgentParts {
            me: name.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            allowed: ActionKind::ALL.into_iter().collect(),
            group: coordinator.group.clone(),
            host,
            clock: clock.clone(),
            journal: Journal::open(Box::new(disk), clock.wall_ms())?,
        });
        let address = accepted.address.to_string();
        Ok(Voter { name, coordinator, address, agent: Some(agent), served, _report: report })
    }
}
