//! What the boot guard can see from this host: identity, the local agent, the peers, the store on the disk, the
//! databases. Looks, each thing within its own limit, and decides nothing.

use super::memory::Memory;
use crate::{connect::Where, offline, render::moment::Moment};
use futures::future::join_all;
use lockkeeper_adapters::system::before_start;
use lockkeeper_agent::{
    clock::SystemClock,
    data::{GUARD_OPEN, ISOLATION, PEERS},
    identity::{Identity as Sealed, IdentityError},
    isolation::Note,
    journal::FsDisk,
    platform::signals,
    quarantine::Reason as Quarantine,
    settings::Settings,
};
use lockkeeper_coordinator::{limits::MESSAGE_MAX, pki::PkiStore, planning};
use lockkeeper_core::{
    guard::{self, Databases, Identity, Knowledge, Opening, Seen, Standing, Verdict},
    ids::{DatabaseName, MemberName},
    rollout::State,
    view::{RolloutView, StatusView, rollout_view},
};
use lockkeeper_proto::{
    client::operator::{OperatorClient, ViewKind},
    port::Clock as _,
    transport::{Dialer as _, ExpectedPeer, Revocations, Tls, TlsDialer, install_crypto},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// For the local agent, then for all peers at once, to confirm with a quorum. An election takes about a second.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);
/// For the databases, and for the version's command.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// What was seen.
pub struct Look {
    /// For the table.
    pub seen: Seen,
    /// For people.
    pub details: Vec<String>,
    opening: Option<(PathBuf, Opening)>,
    learn: Option<Taught>,
}

/// A version with the schemas of all its databases.
struct Taught {
    data: PathBuf,
    version: String,
    schemas: BTreeMap<DatabaseName, String>,
}

impl Look {
    /// On a host where no agent was ever enrolled, or whose package was purged.
    pub fn nobody(why: String) -> Self {
        let seen = Seen {
            identity: Identity::None,
            standing: Standing::Idle,
            knowledge: Knowledge::Nothing,
            databases: Databases::Unread,
            opened: false,
        };
        Self { seen, details: vec![why], opening: None, learn: None }
    }

    /// Before the application starts: counts the use of an opening, and keeps which schema goes with which version where
    /// the group confirmed the start. What cannot be written is said and no reason against the start.
    pub fn keep(&self, verdict: Verdict) -> Vec<String> {
        let mut troubles = Vec::new();
        if let (guard::Reason::Opened, Some((path, opening))) = (verdict.reason(), &self.opening) {
            let used = opening.clone().used(SystemClock.wall_ms());
            if let Err(error) = write_opening(path, &used, "used") {
                troubles.push(format!("that the opening was used is not written: {error}"));
            }
        }
        let confirmed = matches!(verdict.reason(), guard::Reason::Committed | guard::Reason::Unlike);
        if let Some(taught) = self.learn.as_ref().filter(|_| confirmed) {
            let mut memory = Memory::read(&taught.data);
            memory.learnt.insert(taught.version.clone(), taught.schemas.clone());
            if let Err(error) = memory.write(&taught.data) {
                troubles.push(format!("which schema goes with {} is not written: {error}", taught.version));
            }
        }
        troubles
    }
}

/// An opening as it lies in a data directory; none if the guard was never opened there or the file is not one.
pub fn opening(data: &Path) -> Option<Opening> {
    serde_json::from_slice(&std::fs::read(data.join(GUARD_OPEN)).ok()?).ok()
}

/// Writes an opening, and a line of evidence that stays: what was done (`opened`, `used`), by whom and why.
pub fn write_opening(path: &Path, opening: &Opening, what: &str) -> Result<(), crate::error::CliError> {
    let fail = |source| crate::error::CliError::Write { path: path.to_owned(), source };
    let text = serde_json::to_string(opening).map_err(|e| fail(std::io::Error::other(e)))?;
    crate::files::write_text(path, &text, 0o600, crate::files::Existing::Replace)?;
    let evidence = path.with_file_name("evidence").join("guard.jsonl");
    let line = serde_json::json!({ "at": SystemClock.wall_ms(), "what": what, "opening": opening });
    let append = || {
        std::fs::create_dir_all(path.with_file_name("evidence"))?;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&evidence)?;
        std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes())?;
        file.sync_data()
    };
    append().map_err(|source| crate::error::CliError::Write { path: evidence.clone(), source })
}

/// Looks at everything.
pub async fn look(settings: &Settings) -> Look {
    install_crypto();
    let mut details = Vec::new();
    let identity = identity(settings, &mut details);
    if identity == Identity::None {
        return Look::nobody(format!("{} holds no identity", settings.data.display()));
    }
    let mut seen = Seen {
        identity,
        standing: Standing::Idle,
        knowledge: Knowledge::Nothing,
        databases: Databases::Unread,
        opened: false,
    };
    if identity != Identity::InOrder {
        // Nothing else is looked at: nobody is asked in the name of a node that this may not be.
        return Look { seen, details, opening: None, learn: None };
    }
    let opening = opening(&settings.data);
    if let Some(opening) = opening.as_ref().filter(|opening| opening.counts(SystemClock.wall_ms())) {
        details.push(format!("opened by {}: {}", opening.by, opening.reason));
        seen.opened = true;
    }
    let opening = opening.map(|opening| (settings.data.join(GUARD_OPEN), opening));
    let state = match offline::read(&settings.data) {
        Ok(left) => Some(left.last),
        Err(error) => {
            details.push(error.to_string());
            None
        }
    };
    let (confirmed, reading) =
        tokio::join!(confirmed(settings, state.as_deref()), read(settings, state.as_deref()));
    let own =
        || state.as_deref().and_then(|s| s.rollout.as_ref().or_else(|| s.history.back().map(AsRef::as_ref)));
    let rollout = match &confirmed {
        Ok(view) => view.rollout.clone(),
        Err(why) => {
            details.extend(why.iter().cloned());
            own().map(rollout_view)
        }
    };
    seen.standing = guard::standing(rollout.as_ref(), settings.name.as_str());
    seen.knowledge = match (&confirmed, state.as_deref()) {
        (Ok(_), _) => Knowledge::Committed,
        (Err(_), Some(state)) => knowledge(settings, state, &mut details),
        (Err(_), None) => Knowledge::Nothing,
    };
    if let Some(rollout) = rollout.as_ref().filter(|_| seen.standing != Standing::Idle) {
        details.push(format!(
            "rollout {} ({} -> {}) is {}",
            rollout.id, rollout.from, rollout.to, rollout.state
        ));
    }
    let (databases, learn) = judged(settings, state.as_deref(), rollout.as_ref(), reading, &mut details);
    seen.databases = databases;
    Look { seen, details, opening, learn }
}

fn identity(settings: &Settings, details: &mut Vec<String>) -> Identity {
    let machine = &settings.machine;
    let path = settings.data.join("identity");
    let checked = FsDisk::new(&path)
        .map_err(|source| IdentityError::Directory { path: path.clone(), source })
        .and_then(|mut disk| Sealed::load(&mut disk))
        .and_then(|sealed| {
            sealed.check(&settings.name, &signals(&machine.root, &machine.sources), &machine.sources)
        });
    let mut suspicious = match checked {
        Ok(_) => false,
        Err(IdentityError::Missing) => return Identity::None,
        Err(error) => {
            details.push(error.to_string());
            true
        }
    };
    match Quarantine::kept(&settings.data.join("quarantine")) {
        Ok(None) => {}
        Ok(Some(reason)) => {
            details.push(reason.text());
            suspicious = true;
        }
        Err(error) => {
            details.push(format!("the note of a quarantine cannot be read: {error}"));
            suspicious = true;
        }
    }
    match Note::load(&settings.data.join(ISOLATION)) {
        Ok(None) if suspicious => Identity::Suspicious,
        Ok(None) => Identity::InOrder,
        Ok(Some(note)) => {
            // Rules do not outlive a boot, so an older proof proves nothing.
            let booted = SystemClock.wall_ms().saturating_sub(SystemClock.boot().0);
            let proven = note.proven_ms.is_some_and(|proven| proven >= booted);
            let how = if proven { "proven since this boot" } else { "not proven since this boot" };
            details.push(format!("isolated ({}), {how}", note.why));
            if proven { Identity::Isolated } else { Identity::Suspicious }
        }
        Err(error) => {
            details.push(format!("the note of an isolation cannot be read: {error}"));
            Identity::Suspicious
        }
    }
}

/// A view that a quorum confirmed: the local agent's, else a peer's. Else why there is none.
async fn confirmed(settings: &Settings, state: Option<&State>) -> Result<StatusView, Vec<String>> {
    let place = Where {
        context: None,
        socket: Some(settings.socket.path.clone()),
        contexts: Some(PathBuf::from("/nonexistent")),
    };
    let local = async {
        let session = place.session().map_err(|e| e.to_string())?;
        let json = session.view(ViewKind::Status, true).await.map_err(|e| e.to_string())?;
        fresh(&json)
    };
    let local = match tokio::time::timeout(CONFIRMED_WITHIN, local).await {
        Ok(Ok(view)) => return Ok(view),
        Ok(Err(why)) => format!("the agent: {why}"),
        Err(_) => format!("the agent did not confirm within {} s", CONFIRMED_WITHIN.as_secs()),
    };
    by_peers(settings, state).await.map_err(|why| vec![local, why])
}

fn fresh(json: &str) -> Result<StatusView, String> {
    let view: StatusView = serde_json::from_str(json).map_err(|e| e.to_string())?;
    if view.stamp.stale { Err("it hears no quorum".to_owned()) } else { Ok(view) }
}

async fn by_peers(settings: &Settings, state: Option<&State>) -> Result<StatusView, String> {
    let noted = std::fs::read(settings.data.join(PEERS)).unwrap_or_default();
    let mut peers: BTreeMap<MemberName, String> =
        serde_json::from_slice::<Vec<(MemberName, String)>>(&noted).unwrap_or_default().into_iter().collect();
    for (name, node) in
        state.iter().flat_map(|state| &state.nodes).filter(|(name, _)| **name != settings.name)
    {
        peers.insert(name.clone(), node.address.clone());
    }
    let credentials = PkiStore::open(settings.data.join("pki")).and_then(|store| store.load_node());
    let credentials = credentials.map_err(|e| e.to_string())?.ok_or("this node has no certificate")?;
    let dialer = TlsDialer::new(Tls::new(credentials, Revocations::none()).map_err(|e| e.to_string())?);
    let asks = peers.iter().map(|(name, address)| {
        let channel = dialer.channel(address, ExpectedPeer::Member(name.clone()));
        async move {
            let client = OperatorClient::new(channel, MESSAGE_MAX);
            // Each has a limit of its own: one whose packets vanish must not hide another's answer.
            match tokio::time::timeout(CONFIRMED_WITHIN, client.view(ViewKind::Status, true)).await {
                Ok(Ok(json)) => fresh(&json).map_err(|why| format!("{name}: {why}")),
                Ok(Err(status)) => Err(format!("{name}: {}", crate::connect::reason(&status))),
                Err(_) => Err(format!("{name} did not confirm within {} s", CONFIRMED_WITHIN.as_secs())),
            }
        }
    });
    let mut whys = Vec::new();
    for answer in join_all(asks).await {
        match answer {
            Ok(view) => return Ok(view),
            Err(why) => whys.push(why),
        }
    }
    Err(if whys.is_empty() { "there is no peer to ask".to_owned() } else { whys.join("; ") })
}

/// How old the last word is: the later of the last committed entry and the last time the agent heard a quorum.
fn knowledge(settings: &Settings, state: &State, details: &mut Vec<String>) -> Knowledge {
    let moment = Moment::system();
    let word = state.time.0.max(Memory::read(&settings.data).heard);
    details.push(format!("the last word of the group is of {}", moment.since(word)));
    guard::age(moment.now, word)
}

/// What was read of this host's application and its databases.
#[derive(Default)]
struct Reading {
    version: Option<String>,
    busy: bool,
    /// None if not all could be read.
    schemas: Option<BTreeMap<DatabaseName, String>>,
    details: Vec<String>,
}

async fn read(settings: &Settings, state: Option<&State>) -> Reading {
    let mut reading = Reading::default();
    let Some(config) = state.and_then(|state| state.config.as_ref()) else { return reading };
    let query = match planning::before_start(config, &settings.name) {
        Ok(query) => query,
        Err(why) => {
            reading.details.push(why);
            return reading;
        }
    };
    let host = host_settings(settings);
    let looks =
        async { tokio::join!(before_start::installed(&query), before_start::databases(&host, &query)) };
    let Ok((version, databases)) = tokio::time::timeout(READ_WITHIN, looks).await else {
        reading
            .details
            .push(format!("version and databases were not read within {} s", READ_WITHIN.as_secs()));
        return reading;
    };
    match version {
        Some(Ok(version)) => reading.version = Some(version),
        Some(Err(why)) => reading.details.push(format!("the application's version: {why}")),
        None => {}
    }
    let mut schemas = Some(BTreeMap::new());
    for (name, seen) in databases {
        match seen {
            Ok(seen) => {
                reading.busy |= !seen.busy.is_empty();
                reading.details.extend(seen.busy.iter().map(|text| format!("{name}: {text}")));
                if let (Some(schema), Some(schemas)) = (seen.schema, &mut schemas) {
                    schemas.insert(name, schema);
                }
            }
            Err(why) => {
                reading.details.push(format!("{name}: {why}"));
                schemas = None;
            }
        }
    }
    reading.schemas = schemas;
    reading
}

/// What an adapter must know of this host to look at databases.
pub fn host_settings(settings: &Settings) -> lockkeeper_adapters::Settings {
    lockkeeper_adapters::Settings {
        data_dir: settings.data.clone(),
        member: settings.name.clone(),
        program: PathBuf::new(),
        database_programs: PathBuf::new(),
    }
}

fn judged(
    settings: &Settings,
    state: Option<&State>,
    last: Option<&RolloutView>,
    reading: Reading,
    details: &mut Vec<String>,
) -> (Databases, Option<Taught>) {
    details.extend(reading.details);
    if reading.busy {
        return (Databases::Busy, None);
    }
    let (Some(state), Some(version)) = (state, reading.version) else { return (Databases::Unread, None) };
    let Some(schemas) = reading.schemas else {
        return (guard::out_of_step(Databases::Unread, last, &version), None);
    };
    let learnt = Memory::read(&settings.data).learnt;
    let fit = guard::fit(&guard::pairs(state), &learnt, &version, &schemas);
    let read: Vec<String> =
        schemas.iter().map(|(database, schema)| format!("{database} is at {schema}")).collect();
    details.push(format!("version {version}: {}", read.join(", ")));
    if let Some(known) = learnt.get(&version) {
        let known: Vec<String> =
            known.iter().map(|(database, schema)| format!("{database} at {schema}")).collect();
        details.push(format!("{version} was seen to work with {}", known.join(", ")));
    }
    let databases = guard::out_of_step(fit, last, &version);
    let teaches = matches!(databases, Databases::NeverSeen | Databases::Unlike) && !schemas.is_empty();
    let taught = Taught { data: settings.data.clone(), version, schemas };
    (databases, teaches.then_some(taught))
}
