//! The first entries of a new group, and what a node's files must be before it runs: an identity and an empty store,
//! made together by `init` and `join`. `agent run` only opens them, so a lost store is never taken for a new one.

use super::NodeError;
use lockkeeper_agent::{
    data::DataDir,
    identity::{Fingerprint, Identity, IdentityError, Strength, WEAK},
    journal::FsDisk,
    platform::{signals, unsupported},
    settings::Machine,
};
use lockkeeper_coordinator::{
    local_group::LocalGroup,
    raft::{Blocking, Marker, RaftHandle, Store, StoreMarker},
};
use lockkeeper_core::{
    ids::{ClusterId, ClusterName, Digest, Generation, Incarnation, MemberName, NodeId, RequestId},
    rollout::{Command, command::Enrol},
};
use lockkeeper_proto::{
    port::{Group as _, Proposal},
    wire::raft::Seat,
};

/// What `init` decided about a new group; kept in the data directory until the group says it itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Founding {
    /// Its name.
    pub cluster: ClusterName,
}

/// Writes identity and empty store of a new node. The store comes first: an identity without a store would be a node
/// that lost its log, a store without identity is nobody's.
pub fn enrolled(
    data: &DataDir,
    cluster: &ClusterId,
    name: &MemberName,
    node: NodeId,
    incarnation: Incarnation,
    generation: Generation,
    fingerprint: Fingerprint,
) -> Result<Identity, NodeError> {
    let path = data.identity();
    let mut disk = FsDisk::new(&path)
        .map_err(|source| IdentityError::Directory { path: path.clone(), source })?;
    match Identity::load(&mut disk) {
        Err(IdentityError::Missing) => {}
        Ok(present) => {
            return Err(IdentityError::Exists { name: present.name }.into());
        }
        Err(other) => return Err(other.into()),
    }
    let marker = Marker { cluster: cluster.clone(), generation, node, incarnation, store: StoreMarker::generate() };
    let store = data.store();
    let fault = |source| NodeError::Store { path: store.clone(), source };
    // What an earlier, interrupted run left is nobody's: there is no identity that names it.
    if store.exists() {
        std::fs::remove_file(&store)
            .map_err(|source| IdentityError::Directory { path: store.clone(), source })?;
    }
    drop(Store::create(&store, &marker, Blocking::Inline).map_err(fault)?);
    let identity = Identity {
        cluster: cluster.clone(),
        name: name.clone(),
        node,
        incarnation,
        generation,
        store: marker.store.0,
        fingerprint,
    };
    identity.create(&mut disk)?;
    Ok(identity)
}

/// This machine, sealed for a cluster. Refused where `agent.toml` names a source that cannot be read.
pub fn fingerprint(cluster: &ClusterId, machine: &Machine) -> Result<Fingerprint, IdentityError> {
    for missing in unsupported(&machine.root, &machine.sources) {
        if machine.named {
            return Err(missing.into());
        }
        tracing::info!(code = missing.code(), "{missing}");
    }
    let sealed = Fingerprint::seal(cluster, &signals(&machine.root, &machine.sources));
    if sealed.strength() == Strength::Weak {
        crate::out::say(&format!("warning: {WEAK}"));
    }
    Ok(sealed)
}

/// Says the first words of a new group: its own seat in Raft, its name, its first node. Repeating it is harmless;
/// it is left out once the group knows itself.
pub async fn found(
    founding: &Founding,
    identity: &Identity,
    address: &str,
    raft: &RaftHandle,
    group: &LocalGroup,
) -> Result<(), String> {
    let view = group.follow().borrow().clone();
    if view.state.nodes.contains_key(&identity.name) {
        return Ok(());
    }
    let seat = Seat { name: identity.name.clone(), address: address.to_owned(), incarnation: identity.incarnation };
    if let Err(error) = raft.initialize(seat).await {
        // An earlier life came this far already.
        tracing::debug!(%error, "already initialised");
    }
    let init = Command::Init {
        cluster: identity.cluster.clone(),
        name: founding.cluster.clone(),
        generation: identity.generation,
    };
    let enrol = Command::Enrol(Enrol {
        member: identity.name.clone(),
        node_id: identity.node,
        incarnation: identity.incarnation,
        address: address.to_owned(),
        fingerprint: Digest(identity.fingerprint.digest().0),
        token: None,
    });
    let mut leading = group.consensus().leadership();
    leading.wait_for(|l| l.leading).await.map_err(|_| "the Raft node has stopped".to_owned())?;
    for command in [init, enrol] {
        let id = RequestId(uuid::Uuid::now_v7().to_string());
        let proposal = Proposal { id, actor: None, trace: String::new(), command };
        match group.propose_here(proposal).await {
            Ok(reply) => tracing::info!(?reply, "founded"),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}
