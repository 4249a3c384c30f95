//! Making a new generation of a group out of one node's files. Every step is by rename, and a second run goes on where
//! the first one ended. Knows files and their order; what becomes of the state is `core::rollout`'s.

use super::{NodeError, fingerprint};
use crate::{error::CliError, offline::causes};
use lockkeeper_agent::{
    data::DataDir,
    identity::{Identity, IdentityError},
    journal::{FsDisk, Journal},
    settings::Settings,
};
use lockkeeper_coordinator::{
    machine::StateMachine,
    raft::{Founding, Marker, Offline, Store, StoreMarker, Upto},
};
use lockkeeper_core::{
    identity::{Actor, Role},
    ids::{Generation, LogIndex, MemberName, NodeId, RequestId},
    rollout::{Command, Envelope, Reply, State, apply_audited},
    stored,
    time::LogTime,
};
use lockkeeper_proto::wire::raft::{LogId, Seat};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// What an operator answers for.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// Who is left, this node included.
    pub survivors: BTreeSet<MemberName>,
    /// Where the logs of the other survivors end: term and index.
    pub logs: BTreeMap<MemberName, (u64, u64)>,
    /// Why.
    pub reason: String,
    /// `host:port` of this node's agent.
    pub advertise: String,
}

/// A recovery that was checked and not begun.
pub struct Ready<'a> {
    data: &'a DataDir,
    identity: Identity,
    new: Marker,
    founding: Option<Founding>,
    text: String,
}

/// Checks everything and changes nothing.
pub fn recover<'a>(data: &'a DataDir, settings: &Settings, wish: Recovery) -> Result<Ready<'a>, CliError> {
    let identity = load(data)?;
    let machine = &settings.machine;
    let signals = lockkeeper_agent::platform::signals(&machine.root, &machine.sources);
    let identity = identity.check(&settings.name, &signals, &machine.sources)?.identity;
    if let Some(begun) = begun(data, &identity)? {
        let text = format!("an earlier run made generation {}; it is brought to its end", begun.generation);
        return Ok(Ready { data, identity, new: begun, founding: None, text });
    }
    let path = data.store();
    let unread = |reason: String| CliError::StoreUnread { path: path.clone(), reason };
    if !path.exists() {
        return Err(CliError::NoStore { path });
    }
    let offline = Offline::read_copy(&path).map_err(|error| unread(causes(&error)))?;
    marker(&identity).check(&offline.marker).map_err(|error| unread(error.to_string()))?;
    let (mut machine, seen) = StateMachine::new();
    offline.replay(&mut machine, Upto::Last).map_err(|error| unread(causes(&error)))?;
    let mut state = (**seen.borrow()).clone();
    let last = offline.last_log.ok_or_else(|| unread("its log is empty".to_owned()))?;
    let lost = lost(&state, &identity.name, &wish, last)?;
    not_a_quorum(&offline, &wish.survivors)?;

    let generation = Generation(highest(data, &state, &identity)?.0 + 1);
    let index = LogIndex(last.index.0 + 1);
    let envelope = Envelope {
        id: RequestId(uuid::Uuid::now_v7().to_string()),
        time: LogTime(crate::render::moment::Moment::system().now),
        // Whoever can write this directory can do anything to this node; the reason is the person's word.
        actor: Some(Actor { name: "recover".to_owned(), role: Role::Admin, via: identity.name.to_string() }),
        trace: String::new(),
        command: Command::Recover { generation, lost: lost.clone(), reason: wish.reason.clone() },
    };
    let (reply, entry) = apply_audited(&mut state, index, &envelope);
    if let Reply::Rejected(rejection) = reply {
        return Err(CliError::CannotRecover(rejection.to_string()));
    }
    // The audit goes on unbroken over the new generation.
    let mut trail = (*machine.trail().read()).clone();
    if let Some(entry) = entry {
        trail.push(entry);
    }
    let new = Marker { generation, store: StoreMarker::generate(), ..offline.marker.clone() };
    let seat =
        Seat { name: identity.name.clone(), address: wish.advertise, incarnation: identity.incarnation };
    let founding = Founding {
        after: LogId { index, ..last },
        term: offline.term,
        seat,
        state: stored::encode_snapshot(&state, &trail),
    };
    let names =
        |set: &BTreeSet<MemberName>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let rollout = state.rollout.as_ref().map_or_else(
        || "no rollout is active".to_owned(),
        |r| {
            format!(
                "rollout {} ({} -> {}) is HALTed, {} owed",
                r.id,
                r.plan.from,
                r.plan.to,
                r.owed_open().count()
            )
        },
    );
    let text = format!(
        "new generation {generation} after {last} on {}; survivors {}; lost {}; {rollout}",
        identity.name,
        names(&wish.survivors),
        if lost.is_empty() { "nobody".to_owned() } else { names(&lost) },
    );
    Ok(Ready { data, identity, new, founding: Some(founding), text })
}

impl Ready<'_> {
    /// What will be done, for people.
    pub fn text(&self) -> String {
        self.text.clone()
    }

    /// Does it. The new store is whole before the old one moves, and the identity names it last.
    pub fn carry_out(self) -> Result<Generation, CliError> {
        let (path, fresh, old) = places(self.data, self.identity.generation);
        let write = |path: &Path, source: io::Error| CliError::Write { path: path.to_owned(), source };
        if let Some(founding) = self.founding {
            // An unfinished one of an earlier run is nobody's.
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(write(&fresh, error)),
                Ok(()) | Err(_) => {}
            }
            Store::found(&fresh, &self.new, founding)
                .map_err(|source| NodeError::Store { path: fresh.clone(), source })?;
            fs::rename(&path, &old).map_err(|e| write(&old, e))?;
        }
        if fresh.exists() {
            fs::rename(&fresh, &path).map_err(|e| write(&path, e))?;
        }
        File::open(self.data.path()).and_then(|d| d.sync_all()).map_err(|e| write(self.data.path(), e))?;
        let identity = Identity { generation: self.new.generation, store: self.new.store.0, ..self.identity };
        identity.replace(&mut disk(self.data)?)?;
        Ok(identity.generation)
    }
}

/// Seals this node's identity to the machine it is on now.
pub fn reseal(data: &DataDir, settings: &Settings) -> Result<Identity, CliError> {
    let identity = load(data)?;
    if identity.name != settings.name {
        return Err(IdentityError::Name { configured: settings.name.clone(), sealed: identity.name }.into());
    }
    let sealed = Identity { fingerprint: fingerprint(&identity.cluster, &settings.machine)?, ..identity };
    sealed.replace(&mut disk(data)?)?;
    Ok(sealed)
}

fn disk(data: &DataDir) -> Result<FsDisk, CliError> {
    let path = data.identity();
    Ok(FsDisk::new(&path).map_err(|source| IdentityError::Directory { path: path.clone(), source })?)
}

fn load(data: &DataDir) -> Result<Identity, CliError> {
    Ok(Identity::load(&mut disk(data)?)?)
}

fn marker(identity: &Identity) -> Marker {
    Marker {
        cluster: identity.cluster.clone(),
        generation: identity.generation,
        node: identity.node,
        incarnation: identity.incarnation,
        store: StoreMarker(identity.store),
    }
}

/// The store, the new one before it has its name, and the old one after it lost its name.
fn places(data: &DataDir, old: Generation) -> (PathBuf, PathBuf, PathBuf) {
    let path = data.store();
    let beside = |word: String| path.with_file_name(format!("raft.redb.{word}"));
    let (fresh, kept) = (beside("recovering".to_owned()), beside(format!("generation-{old}")));
    (path, fresh, kept)
}

/// The marker of the store that an interrupted run left, if the old one was already moved.
fn begun(data: &DataDir, identity: &Identity) -> Result<Option<Marker>, CliError> {
    let (path, fresh, old) = places(data, identity.generation);
    if !old.exists() {
        return Ok(None);
    }
    let made = if fresh.exists() { fresh } else { path };
    let offline = Offline::read_copy(&made)
        .map_err(|error| CliError::StoreUnread { path: made.clone(), reason: causes(&error) })?;
    let ours = offline.marker.cluster == identity.cluster && offline.marker.node == identity.node;
    if !ours || offline.marker.generation <= identity.generation {
        return Err(CliError::CannotRecover(format!(
            "{} is kept from an earlier recovery, but {} does not go on from it",
            old.display(),
            made.display()
        )));
    }
    Ok(Some(offline.marker))
}

/// Everybody who is enrolled and not left; or why this is no recovery.
fn lost(
    state: &State,
    me: &MemberName,
    wish: &Recovery,
    last: LogId,
) -> Result<BTreeSet<MemberName>, CliError> {
    if !wish.survivors.contains(me) {
        return Err(CliError::NotASurvivor(format!(
            "this node, {me}, is not among the survivors; run it on one"
        )));
    }
    if let Some(unknown) = wish.survivors.iter().find(|name| !state.nodes.contains_key(*name)) {
        return Err(CliError::NotASurvivor(format!("{unknown} is no node of this group")));
    }
    for other in wish.survivors.iter().filter(|name| *name != me) {
        match wish.logs.get(other) {
            None => {
                return Err(CliError::LongerLog(format!(
                    "where the log of {other} ends is not known; say --log-of {other}=TERM.INDEX as its `breakglass show` prints it"
                )));
            }
            Some((term, index)) if (*term, *index) > (last.term.0, last.index.0) => {
                return Err(CliError::LongerLog(format!(
                    "the log of {other} ends at {term}.{index}, this one at {}.{}; run it on {other}",
                    last.term, last.index
                )));
            }
            Some(_) => {}
        }
    }
    Ok(state.nodes.keys().filter(|name| !wish.survivors.contains(*name)).cloned().collect())
}

/// A group that can still decide is not recovered: its voters would go on as a second group.
fn not_a_quorum(offline: &Offline, survivors: &BTreeSet<MemberName>) -> Result<(), CliError> {
    let seats = &offline.membership.nodes;
    let left = |id: &NodeId| seats.get(id).is_some_and(|seat| survivors.contains(&seat.name));
    let quorum = |voters: &BTreeSet<NodeId>| voters.iter().filter(|id| left(id)).count() * 2 > voters.len();
    if !offline.membership.configs.is_empty() && offline.membership.configs.iter().all(quorum) {
        return Err(CliError::StillQuorum);
    }
    Ok(())
}

/// The highest generation that this node has ever seen.
fn highest(data: &DataDir, state: &State, identity: &Identity) -> Result<Generation, CliError> {
    let path = data.journal();
    let fault = |source| NodeError::Journal { path: path.clone(), source };
    let mut highest = identity.generation.max(state.group.as_ref().map_or(Generation(0), |g| g.generation));
    if path.exists() {
        let disk = FsDisk::new(&path).map_err(|e| fault(lockkeeper_agent::journal::JournalError::Read(e)))?;
        let journal = Journal::open(Box::new(disk), 0).map_err(fault)?;
        let seen = journal.ledger().fence().tokens().map(|(_, token)| token.generation);
        highest = seen.fold(highest, Generation::max);
    }
    Ok(highest)
}
