//! Real nodes on loopback sockets, each on a runtime of its own, so that one can be killed like a process.
//!
//! Connections are plain TCP, and every node's way to every other has a valve that a test can shut.
#![allow(dead_code, unused_imports, reason = "every test binary uses another part")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod failing_disk;
mod ledger;
mod wires;

pub use failing_disk::FailingDisk;
pub use ledger::Ledger;
pub use wires::{Valves, Way};

use lockkeeper_coordinator::raft::{
    self, Blocking, Marker, Production, RaftHandle, RaftService, RaftStatus, Setup, Standing, Store,
    StoreError, StoreMarker, Tuning,
};
use lockkeeper_core::ids::{ClusterId, Generation, Incarnation, MemberName, NodeId};
use lockkeeper_proto::wire::raft::Seat;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Longer than anything a test waits for; only a failure takes as long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One running node.
pub struct Node {
    pub id: NodeId,
    pub handle: RaftHandle,
    pub ledger: watch::Receiver<Arc<ledger::Book>>,
    runtime: Option<Runtime>,
}

/// A group under test.
pub struct Bed {
    directory: tempfile::TempDir,
    addresses: BTreeMap<NodeId, SocketAddr>,
    pub nodes: BTreeMap<NodeId, Node>,
    pub valves: Valves,
    pub tuning: Tuning,
    /// Whose store a node has, where that is not [`marker`].
    pub markers: BTreeMap<NodeId, Marker>,
}

pub fn name(id: NodeId) -> MemberName {
    MemberName::new(format!("n{id}")).unwrap()
}

pub fn marker(id: NodeId) -> Marker {
    Marker {
        cluster: ClusterId("bed".into()),
        generation: Generation(1),
        node: id,
        incarnation: Incarnation(1),
        store: StoreMarker(uuid::Uuid::from_u128(u128::from(id.0))),
    }
}

/// Waits until a node's status is as wanted.
pub async fn until(handle: &RaftHandle, what: &str, wanted: impl FnMut(&RaftStatus) -> bool) -> RaftStatus {
    let mut status = handle.status();
    match tokio::time::timeout(PATIENCE, status.wait_for(wanted)).await {
        Ok(Ok(seen)) => return seen.clone(),
        Ok(Err(_)) => panic!("the node ended while the test waited for: {what}"),
        Err(_) => {}
    }
    panic!("waited in vain for: {what}\n{:#?}", handle.status().borrow())
}

/// A killed node's writer thread closes the file a moment after the rest is gone.
async fn open_when_free(path: &std::path::Path, marker: &Marker) -> Store {
    let opened = async {
        loop {
            match Store::open(path, marker, Blocking::Threads) {
                Err(StoreError::InUse) => tokio::time::sleep(Duration::from_millis(5)).await,
                opened => return opened.unwrap(),
            }
        }
    };
    tokio::time::timeout(PATIENCE, opened).await.expect("somebody keeps the store of a killed node open")
}

impl Bed {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            addresses: BTreeMap::new(),
            nodes: BTreeMap::new(),
            valves: Valves::default(),
            tuning: Tuning::default(),
            markers: BTreeMap::new(),
        }
    }

    /// A group of voters `1..=count`, with a leader.
    pub async fn group(count: u64) -> Self {
        let mut bed = Self::new();
        for id in 1..=count {
            bed.start(NodeId(id)).await;
        }
        bed.form(count).await;
        bed
    }

    /// Node 1 makes the group and admits the others as voters, one at a time.
    pub async fn form(&mut self, count: u64) {
        let first = &self.nodes[&NodeId(1)].handle;
        first.initialize(self.seat(NodeId(1))).await.unwrap();
        until(first, "node 1 leads", |status| status.standing == Standing::Leader).await;
        for id in 2..=count {
            self.admit(NodeId(1), NodeId(id)).await;
        }
    }

    /// `leader` makes `id` a learner and then a voter.
    pub async fn admit(&self, leader: NodeId, id: NodeId) {
        let handle = &self.nodes[&leader].handle;
        handle.add_learner(id, self.seat(id)).await.unwrap();
        until(handle, "the learner is caught up", |status| status.caught_up(id)).await;
        let mut voters = handle.status().borrow().voters();
        voters.insert(id);
        handle.set_voters(voters).await.unwrap();
    }

    pub fn path(&self, id: NodeId) -> PathBuf {
        self.directory.path().join(format!("{id}.redb"))
    }

    pub fn address(&self, id: NodeId) -> SocketAddr {
        self.addresses[&id]
    }

    pub fn seat(&self, id: NodeId) -> Seat {
        let address = self.addresses.get(&id).map_or_else(|| "127.0.0.1:1".to_owned(), ToString::to_string);
        Seat { name: name(id), address, incarnation: Incarnation(1) }
    }

    /// Starts a node on its store, making one if there is none, on the address it had before, if any.
    pub async fn start(&mut self, id: NodeId) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(format!("node-{id}"))
            .enable_all()
            .build()
            .unwrap();
        let (path, address) = (self.path(id), self.addresses.get(&id).copied());
        let (dialer, tuning) = (self.valves.dialer(id), self.tuning);
        let marker = self.markers.get(&id).cloned().unwrap_or_else(|| marker(id));
        let started = runtime.spawn(async move {
            let store = if path.exists() {
                open_when_free(&path, &marker).await
            } else {
                Store::create(&path, &marker, Blocking::Threads).unwrap()
            };
            let listener =
                tokio::net::TcpListener::bind(address.unwrap_or(([127, 0, 0, 1], 0).into())).await.unwrap();
            let address = listener.local_addr().unwrap();
            let (machine, ledger) = Ledger::new();
            let setup =
                Setup {
                    name: name(id),
                    store,
                    machine: Box::new(machine),
                    dialer: Arc::new(dialer),
                    tuning,
                    instance: Default::default(),
                    alarm: Default::default(),
                };
            let handle = raft::start::<Production>(setup).await.unwrap();
            let allow_all = |_: &_, _: &tonic::Extensions| Ok(());
            let server = tonic::transport::Server::builder()
                .tcp_nodelay(true)
                .add_service(RaftService::server(handle.clone(), allow_all))
                .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
            tokio::spawn(server);
            (handle, ledger, address)
        });
        let (handle, ledger, address) = started.await.unwrap();
        self.addresses.insert(id, address);
        self.valves.place(id, address);
        self.nodes.insert(id, Node { id, handle, ledger, runtime: Some(runtime) });
    }

    /// Ends a node without a word, like `kill -9`: none of its tasks runs on.
    pub fn kill(&mut self, id: NodeId) {
        let mut node = self.nodes.remove(&id).unwrap();
        let runtime = node.runtime.take().unwrap();
        drop(node);
        // Off this thread, because a runtime may not be dropped inside another; joined, so that the file is free.
        std::thread::spawn(move || drop(runtime)).join().unwrap();
    }

    /// The next start of this node takes another port.
    pub fn move_away(&mut self, id: NodeId) {
        self.addresses.remove(&id);
    }

    /// The node that leads by its own account and that the others follow.
    pub async fn leader(&self) -> NodeId {
        let mut found = None;
        let agreed = async {
            loop {
                for node in self.nodes.values() {
                    let status = node.handle.status().borrow().clone();
                    if status.standing == Standing::Leader && status.leader == Some(node.id) {
                        found = Some(node.id);
                        if node.handle.linearizable_read().await.is_ok() {
                            return;
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, agreed).await.expect("nobody leads");
        found.unwrap()
    }

    pub fn handle(&self, id: NodeId) -> &RaftHandle {
        &self.nodes[&id].handle
    }

    /// Commits a command at whoever leads.
    pub async fn write(&self, command: &[u8]) -> u64 {
        let written = async {
            loop {
                for node in self.nodes.values() {
                    if let Ok((index, _)) = node.handle.propose(command.to_vec()).await {
                        return index.0;
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("nobody commits")
    }

    /// Waits until every running node has applied `index`, and returns what they all hold.
    pub async fn agree(&self, index: u64) -> Vec<Vec<u8>> {
        let mut books = BTreeSet::new();
        for node in self.nodes.values() {
            let mut ledger = node.ledger.clone();
            let seen = tokio::time::timeout(PATIENCE, ledger.wait_for(|book| book.applied.0 >= index)).await;
            let seen = seen.unwrap_or_else(|_| panic!("node {} never applies {index}", node.id)).unwrap();
            books.insert(seen.commands.clone());
        }
        assert_eq!(books.len(), 1, "the nodes hold different states");
        books.pop_first().unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.kill(id);
        }
    }
}
