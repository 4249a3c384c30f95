//! The same code on the runtime of simulation: no thread, and every request in a scope of its own.
use lockkeeper_coordinator::raft::{
    self, Blocking, RaftHandle, RaftService, ScopeLayer, Setup, Simulation, Standing, Store, Tuning,
};
use lockkeeper_core::ids::{Incarnation, NodeId};
use lockkeeper_proto::wire::raft::Seat;
use super::bed::{Ledger, Valves, marker, name, until};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

async fn start(scope: &ScopeLayer, id: NodeId, directory: &std::path::Path) -> (RaftHandle, SocketAddr) {
    let path = directory.join(format!("{id}.redb"));
    let (machine, _) = Ledger::new();
    let setup = Setup {
        name: name(id),
        store: Store::create(&path, &marker(id), Blocking::Inline).unwrap(),
        machine: Box::new(machine),
        dialer: Arc::new(Valves::default().dialer(id)),
        tuning: Tuning { snapshot_entries: 20, entries_kept: 5, ..Tuning::default() },
        instance: Default::default(),
        alarm: Default::default(),
    };
    let handle = scope.run(raft::start::<Simulation>(setup)).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let allow_all = |_: &_, _: &tonic::Extensions| Ok(());
    tokio::spawn(
        tonic::transport::Server::builder()
            .layer(scope.clone())
            .add_service(RaftService::server(handle.clone(), allow_all))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)),
    );
    (handle, address)
}

/// One thread, as in simulation. Two nodes, so that requests cross the server and its scope; a snapshot, because
/// that is the one thing the other mode does on a thread.
#[tokio::test(flavor = "current_thread")]
async fn two_nodes_run_on_the_runtime_of_simulation() {
    let directory = tempfile::tempdir().unwrap();
    let scope = ScopeLayer::new(7);
    let (first, first_address) = start(&scope, NodeId(1), directory.path()).await;
    let (second, second_address) = start(&scope, NodeId(2), directory.path()).await;
    let seat = |id: u64, address: SocketAddr| Seat {
        name: name(NodeId(id)),
        address: address.to_string(),
        incarnation: Incarnation(1),
    };
    scope
        .run(async {
            first.initialize(seat(1, first_address)).await.unwrap();
            for number in 0..50 {
                first.propose(format!("{number}").into_bytes()).await.unwrap();
            }
            until(&first, "a snapshot", |status| status.snapshot.is_some() && status.purged.is_some()).await;
            first.add_learner(NodeId(2), seat(2, second_address)).await.unwrap();
            until(&first, "caught up", |status| status.caught_up(NodeId(2))).await;
            first.set_voters(BTreeSet::from([NodeId(1), NodeId(2)])).await.unwrap();
            first.transfer_leader(NodeId(2)).await.unwrap();
            until(&second, "leads", |status| status.standing == Standing::Leader).await;
            second.propose(b"after".to_vec()).await.unwrap();
            second.linearizable_read().await.unwrap();
            tokio::time::timeout(Duration::from_secs(20), second.shutdown()).await.unwrap();
            tokio::time::timeout(Duration::from_secs(20), first.shutdown()).await.unwrap();
        })
        .await;
}
