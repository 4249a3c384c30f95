//! One agent process from its settings to its end.

use super::{
    Founding, NodeError, found, isolated, memory,
    trust::{Trusted, keep, remember_peers, trusted},
};
use lockkeeper_adapters::{SystemHost, system::Timed};
use lockkeeper_agent::{
    clock::SystemClock,
    data::DataDir,
    facts::{HostObserver, Sight},
    identity::Identity,
    journal::{FsDisk, Journal},
    node::{Node, Parts as AgentParts},
    quarantine::Reason,
    settings::{Fragment, LogFormat, Metrics, Settings, SocketGroup, Traces, from_file},
};
use lockkeeper_coordinator::{
    api::LocalRights,
    assembly::{Coordinator, Parts},
    machine::StateMachine,
    metrics::{self, MetricsSource},
    pki::{Keys, PkiStore, keeper::Keeper, revocations},
    presence::HostReport,
    raft::{Blocking, Marker, Offline, Production, Store, StoreMarker, Tuning, Upto},
    telemetry::{Telemetry, TelemetryConfig, tree},
};
use lockkeeper_core::rollout::trust::FEATURE;
use lockkeeper_proto::{
    port::{Clock, Group as _},
    transport::{Incoming, ListenLimits, Revocations, Tls, TlsDialer, install_crypto, listen, listen_unix},
};
use std::{path::Path, sync::Arc};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tracing::{error, info, warn};

/// Runs until a signal or a failure.
pub async fn run(config: &Path) -> Result<(), NodeError> {
    let settings = read(config)?;
    let mut telemetry = Telemetry::start(&telemetry_config(&settings))?;
    let result = serve(&settings, &mut telemetry).await;
    if let Err(error) = &result {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        error!(%error, %cause, "the agent ends");
    }
    telemetry.shutdown();
    result
}

/// Reads `agent.toml`; faults go to stderr, all at once.
pub fn read(config: &Path) -> Result<Settings, NodeError> {
    let text = std::fs::read_to_string(config)
        .map_err(|source| NodeError::Config { path: config.to_owned(), source })?;
    match from_file(&config.display().to_string(), &text, Fragment::default()) {
        Ok((settings, warnings)) => {
            if !warnings.faults.is_empty() {
                crate::out::say(&warnings.text());
            }
            Ok(settings)
        }
        Err(report) => {
            crate::out::say(&report.text());
            Err(NodeError::Faults { path: config.to_owned(), faults: report.errors() })
        }
    }
}

fn telemetry_config(settings: &Settings) -> TelemetryConfig {
    TelemetryConfig {
        otlp: match &settings.traces {
            Traces::Off => None,
            Traces::Otlp(endpoint) => Some(endpoint.clone()),
        },
        filter: settings.log.filter.clone(),
        json: settings.log.format == LogFormat::Json,
        instance: settings.name.to_string(),
    }
}

/// Identity before store, store before network.
async fn serve(settings: &Settings, telemetry: &mut Telemetry) -> Result<(), NodeError> {
    install_crypto();
    let data = DataDir::open(&settings.data)?;
    // Before anything is asked of the network.
    let _kept_isolated = isolated::restored(settings).await?;
    let Some(Trusted { identity, instance }) = trusted(settings, &data).await? else { return Ok(()) };
    let pki = PkiStore::open(data.pki())?;
    let credentials = pki.load_node()?.ok_or_else(|| NodeError::NoCertificate { path: data.pki() })?;
    let keys = Arc::new(Keys::open(pki.clone(), &identity.cluster)?);
    let tls = Tls::new(credentials.clone(), Revocations::none())?;
    known_features(&data)?;
    let store = open_store(&identity, &data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = open_journal(&data, clock.wall_ms())?;
    let host = Arc::new(Timed::new(SystemHost::new(lockkeeper_adapters::Settings {
        data_dir: settings.data.clone(),
        member: settings.name.clone(),
        program: std::env::current_exe().map_err(NodeError::Program)?,
        database_programs: std::path::PathBuf::new(),
    })));
    let (report, reports) = watch::channel(HostReport::default());
    let coordinator = Coordinator::start::<Production>(Parts {
        me: settings.name.clone(),
        incarnation: identity.incarnation,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        store,
        tuning: Tuning::default(),
        dialer: Arc::new(TlsDialer::new(tls.clone())),
        observer: Arc::new(HostObserver { host: host.clone(), clock: clock.clone() }),
        clock: clock.clone(),
        local: local_rights(settings),
        keys: keys.clone(),
        report: reports,
        instance: instance.clone(),
        scope: None,
    })
    .await?;
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| NodeError::Listen { address, source })?;
    let accepted = listen(listener, tls.clone(), ListenLimits::default())
        .map_err(|source| NodeError::Listen { address, source })?;
    let local = local_socket(settings)?;
    let (stop, stopping) = watch::channel(false);
    let stopped = || {
        let mut stopping = stopping.clone();
        Box::pin(async move { drop(stopping.wait_for(|stop| *stop).await) })
    };
    let mut servers = JoinSet::new();
    servers.spawn(coordinator.serve_peers(accepted.peers, stopped()));
    servers.spawn(coordinator.serve_joiners(accepted.joining, stopped()));
    servers.spawn(coordinator.serve_renewing(accepted.renewing, stopped()));
    servers.spawn(coordinator.serve_local(local, stopped()));
    let mut helpers = JoinSet::new();
    if let Metrics::On(address) = settings.metrics {
        let source = MetricsSource {
            views: coordinator.group.follow(),
            leadership: coordinator.group.consensus().leadership(),
            sightings: coordinator.api.sightings.clone(),
            clock: clock.clone(),
        };
        helpers.spawn(async move {
            if let Err(error) = metrics::serve(address, source).await {
                // Metrics are a convenience: an agent whose port is taken still does its work.
                warn!(code = "LK7113", %address, %error, "no metrics");
            }
        });
    }
    if let Some(exporter) = telemetry.take_exporter() {
        helpers.spawn(tree::export(coordinator.group.follow(), exporter));
    }
    helpers.spawn(revoking(coordinator.group.follow(), tls.clone()));
    let keeper = Keeper {
        me: settings.name.clone(),
        incarnation: identity.incarnation,
        group: coordinator.group.clone(),
        dialer: Arc::new(TlsDialer::new(tls.clone())),
        tls,
        keys,
        store: pki,
        clock: clock.clone(),
        instance,
        credentials,
    };
    helpers.spawn(keeper.run());
    helpers.spawn(remember_peers(coordinator.group.follow(), settings.name.clone(), data.peers()));
    if let Some(founding) = founding(&data) {
        let (identity, raft, group) = (identity.clone(), coordinator.raft.clone(), coordinator.group.clone());
        let advertise = settings.advertise.clone();
        helpers.spawn(async move {
            if let Err(error) = found(&founding, &identity, &advertise, &raft, &group).await {
                error!(code = "LK7114", %error, "the group was not founded");
            }
        });
    }
    let mut node = Node::start(AgentParts {
        me: settings.name.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        allowed: settings.allowed.clone(),
        group: coordinator.group.clone(),
        host,
        clock,
        journal,
    });
    helpers.spawn(reporting(node.sights(), report));
    helpers.spawn(memory::keep(
        settings.clone(),
        coordinator.group.clone(),
        Arc::new(SystemClock),
        node.sights(),
    ));
    info!(name = %settings.name, node = identity.node.0, listen = %settings.listen, "the agent runs");
    let result = until_end(&mut node, &coordinator, &mut servers).await;
    if let Err(NodeError::Rival(why)) = &result {
        // The next start stands in quarantine.
        keep(&data, &Reason::Rival(why.clone()))?;
    }
    info!("the agent stops");
    if let Err(error) = node.stop().await {
        warn!(%error, "the executor did not end well");
    }
    coordinator.shutdown().await;
    stop.send_replace(true);
    helpers.shutdown().await;
    drop(tokio::time::timeout(SERVERS_END, async { while servers.join_next().await.is_some() {} }).await);
    result
}

/// Open streams, such as `status --watch`, are cut after this.
const SERVERS_END: std::time::Duration = std::time::Duration::from_secs(1);

/// Waits for a signal, a failed store, a failed executor or a failed server.
async fn until_end(
    node: &mut Node,
    coordinator: &Coordinator,
    servers: &mut JoinSet<Result<(), lockkeeper_proto::transport::ServeError>>,
) -> Result<(), NodeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(NodeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(NodeError::Signals)?;
    let mut fatal = coordinator.raft.fatal();
    let mut rival = coordinator.rival.clone();
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        failed = fatal.wait_for(Option::is_some) => match failed.ok().and_then(|f| f.clone()) {
            Some(fatal) => Err(NodeError::Fatal(fatal)),
            None => Ok(()),
        },
        lives = rival.wait_for(Option::is_some) => match lives.ok().and_then(|why| why.clone()) {
            Some(why) => Err(NodeError::Rival(why)),
            None => Ok(()),
        },
        ended = node.ended() => ended.map_err(NodeError::Task),
        server = servers.join_next() => match server {
            Some(Ok(Err(error))) => Err(NodeError::Serve(error)),
            Some(Ok(Ok(())) | Err(_)) | None => Ok(()),
        },
    }
}

/// The operators' socket on this host.
pub(super) fn local_socket(settings: &Settings) -> Result<Incoming, NodeError> {
    let group_id = match &settings.socket.group {
        SocketGroup::RootOnly => None,
        SocketGroup::Named(_) => local_rights(settings).operators,
    };
    // `/run` is empty after every boot; what a unit's RuntimeDirectory would do is done here when started by hand.
    if let Some(directory) = settings.socket.path.parent().filter(|d| !d.exists()) {
        std::fs::create_dir_all(directory)
            .map_err(|source| NodeError::SocketDirectory { path: directory.to_owned(), source })?;
    }
    Ok(listen_unix(&settings.socket.path, group_id)?)
}

fn open_store(identity: &Identity, data: &DataDir) -> Result<Store, NodeError> {
    let marker = Marker {
        cluster: identity.cluster.clone(),
        generation: identity.generation,
        node: identity.node,
        incarnation: identity.incarnation,
        store: StoreMarker(identity.store),
    };
    let path = data.store();
    Store::open(&path, &marker, Blocking::Threads).map_err(|source| NodeError::Store { path, source })
}

/// Refuses a store in which commands are in use that this build does not know: it would read them wrongly, and vote.
fn known_features(data: &DataDir) -> Result<(), NodeError> {
    let path = data.store();
    let offline = match Offline::read(&path) {
        Ok(offline) => offline,
        // Opening it says the same, with all it knows.
        Err(_) => return Ok(()),
    };
    let (mut machine, state) = StateMachine::new();
    if offline.replay(&mut machine, Upto::Last).is_err() {
        return Ok(());
    }
    let found = state.borrow().floor();
    if found > FEATURE { Err(NodeError::Newer { path, found, known: FEATURE }) } else { Ok(()) }
}

fn open_journal(data: &DataDir, now_ms: u64) -> Result<Journal, NodeError> {
    let path = data.journal();
    let fault = |source| NodeError::Journal { path: path.clone(), source };
    let disk = FsDisk::new(&path).map_err(|e| fault(lockkeeper_agent::journal::JournalError::Read(e)))?;
    Journal::open(Box::new(disk), now_ms).map_err(fault)
}

fn founding(data: &DataDir) -> Option<Founding> {
    let text = std::fs::read_to_string(data.path().join("founding.json")).ok()?;
    serde_json::from_str(&text).ok()
}

fn local_rights(settings: &Settings) -> LocalRights {
    let operators = match &settings.socket.group {
        SocketGroup::RootOnly => None,
        SocketGroup::Named(name) => lockkeeper_agent::platform::group_id(Path::new("/"), name),
    };
    LocalRights { admins: vec![0, rustix::process::getuid().as_raw()], operators }
}

/// Takes revocations into TLS as they are committed.
async fn revoking(mut views: watch::Receiver<Arc<lockkeeper_proto::port::View>>, tls: Tls) {
    let mut known = Revocations::none();
    loop {
        let revoked = revocations(&views.borrow_and_update().state);
        if revoked != known {
            known.clone_from(&revoked);
            if let Err(error) = tls.revoke(revoked) {
                error!(%error, "revocations were not taken in");
            }
        }
        if views.changed().await.is_err() {
            return;
        }
    }
}

/// Hands what the agent sees to the coordinator, as it is sent.
async fn reporting(mut sights: watch::Receiver<Option<Sight>>, reports: watch::Sender<HostReport>) {
    loop {
        let sight = sights.borrow_and_update().clone();
        if let Some(sight) = sight {
            let (facts_json, digest) = (sight.json(), sight.digest().0);
            reports.send_replace(HostReport { facts_json, digest, at: sight.at });
        }
        if sights.changed().await.is_err() {
            return;
        }
    }
}
