//! openraft's state machine around our [`Machine`]: keeps track of what was applied, and of the membership.

use super::convert;
use super::machine::{Machine, SnapshotJob};
use super::store::{Blocking, Store};
use super::types::{OrLogId, OrPayload, OrSnapshot, OrSnapshotMeta, OrStoredMembership, Reply, Types};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use lockkeeper_core::ids::LogIndex;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{AsyncRuntime, OptionalSend, RaftSnapshotBuilder};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state machine as openraft sees it. Clones are the same one.
#[derive(Clone)]
pub(super) struct StateMachine {
    inner: Arc<Mutex<Applied>>,
    store: Store,
}

struct Applied {
    machine: Box<dyn Machine>,
    last: Option<OrLogId>,
    membership: OrStoredMembership,
}

/// A snapshot that is about to be encoded.
pub(super) struct SnapshotBuilder {
    /// In a mutex because openraft wants to share the builder; nobody ever waits for it.
    job: Mutex<Option<SnapshotJob>>,
    meta: OrSnapshotMeta,
    store: Store,
}

impl StateMachine {
    pub fn new(machine: Box<dyn Machine>, store: Store) -> Self {
        let applied = Applied { machine, last: None, membership: OrStoredMembership::default() };
        Self { inner: Arc::new(Mutex::new(applied)), store }
    }

    fn applied(&self) -> MutexGuard<'_, Applied> {
        // A machine that panicked in the middle of a command has a state nobody can vouch for, but then openraft's
        // task panicked too and nothing is applied any more; reading on is harmless.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Rt: AsyncRuntime> RaftStateMachine<Types<Rt>> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<OrLogId>, OrStoredMembership)> {
        let applied = self.applied();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types<Rt>>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let index = LogIndex(entry.log_id.index);
            let reply = {
                let mut applied = self.applied();
                let reply = match entry.payload {
                    OrPayload::Blank => Reply::default(),
                    OrPayload::Normal(command) => Reply(applied.machine.apply(index, &command.0)),
                    OrPayload::Membership(membership) => {
                        applied.membership = OrStoredMembership::new(Some(entry.log_id), membership);
                        Reply::default()
                    }
                };
                applied.last = Some(entry.log_id);
                applied.machine.applied(index);
                reply
            };
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let applied = self.applied();
        SnapshotBuilder {
            job: Mutex::new(Some(applied.machine.snapshot())),
            meta: OrSnapshotMeta { last_log_id: applied.last, last_membership: applied.membership.clone() },
            store: self.store.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &OrSnapshotMeta, state: Bytes) -> io::Result<()> {
        // The machine first: a state it cannot read must not replace one it can on disk.
        {
            let mut applied = self.applied();
            applied
                .machine
                .restore(&state)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            applied.last = meta.last_log_id;
            applied.membership = meta.last_membership.clone();
            if let Some(last) = meta.last_log_id {
                applied.machine.applied(LogIndex(last.index));
            }
        }
        self.store.put_snapshot(convert::snapshot_meta_to_wire(meta), state).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<OrSnapshot>> {
        let Some((meta, state)) = self.store.get_snapshot()? else {
            return Ok(None);
        };
        let meta = convert::snapshot_meta_from_wire(meta)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some(OrSnapshot { meta, snapshot: state }))
    }
}

impl<Rt: AsyncRuntime> RaftSnapshotBuilder<Types<Rt>> for SnapshotBuilder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<OrSnapshot> {
        let job = self.job.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let job = job.ok_or_else(|| io::Error::other("a snapshot builder builds once"))?;
        let state = match self.store.blocking() {
            Blocking::Threads => Rt::spawn_blocking(job).await?,
            Blocking::Inline => job(),
        };
        let state = Bytes::from(state);
        self.store.put_snapshot(convert::snapshot_meta_to_wire(&self.meta), state.clone()).await?;
        Ok(OrSnapshot { meta: self.meta.clone(), snapshot: state })
    }
}
