//! Whether this process may be the node its files say: the machine is compared, then the peers are asked. Only then
//! is the store opened. Who is not trusted stands in quarantine.

use super::{
    NodeError,
    quarantine::{Ended, stand},
};
use lockkeeper_agent::{
    clock::SystemClock,
    data::DataDir,
    identity::{Fingerprint, Identity, IdentityError, Strength, WEAK},
    journal::{Disk as _, FsDisk},
    platform::{boot_id, signals},
    quarantine::Reason,
    settings::Settings,
};
use lockkeeper_coordinator::{
    claim::{Answer, Claim},
    pki::PkiStore,
};
use lockkeeper_core::ids::MemberName;
use lockkeeper_proto::{
    port::{Clock, Instance, View},
    transport::{Revocations, Tls, TlsDialer},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;
use tracing::{error, warn};

/// Between two questions to the peers while a weak identity waits for their word.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// More than the peers of the largest group with the longest names.
const PEERS_MAX: u64 = 256 * 1024;

/// A node that may open its store.
pub struct Trusted {
    /// Who it is.
    pub identity: Identity,
    /// Which running of it this is.
    pub instance: Instance,
}

/// The identity, once nothing speaks against it; none if the agent was told to stop while it stood in quarantine.
pub async fn trusted(settings: &Settings, data: &DataDir) -> Result<Option<Trusted>, NodeError> {
    let boot = boot_id(&settings.machine.root);
    let instance = Instance::new(boot.as_deref(), uuid::Uuid::now_v7());
    let note = data.quarantine();
    if let Some(rival) = Reason::kept(&note).map_err(|e| directory(note, e))? {
        stand(settings, &rival, std::future::pending()).await?;
        return Ok(None);
    }
    let suspicion = match identity(settings, data) {
        Ok(identity) => match claim(settings, data, &identity, &instance)?.ask().await {
            Answer::Free { .. } => return Ok(Some(Trusted { identity, instance })),
            Answer::Rival(why) => {
                let reason = Reason::Rival(why);
                keep(data, &reason)?;
                reason
            }
        },
        Err(error) => match Reason::of(&error) {
            Some(reason) => reason,
            None => return Err(error.into()),
        },
    };
    let Reason::Weak(_) = suspicion else {
        stand(settings, &suspicion, std::future::pending()).await?;
        return Ok(None);
    };
    let sealed = load(data)?;
    let asking = claim(settings, data, &sealed, &instance)?;
    match stand(settings, &suspicion, confirmed(&asking, data)).await? {
        Ended::Told => Ok(None),
        Ended::Released => {
            warn!(
                code = "LK6212",
                "a running peer confirms that the original is not alive: this machine is sealed anew"
            );
            Ok(Some(Trusted { identity: sealed_anew(settings, data, sealed)?, instance }))
        }
    }
}

/// Keeps the note of a rival, so that a restart does not forget it.
pub fn keep(data: &DataDir, reason: &Reason) -> Result<(), NodeError> {
    let path = data.quarantine();
    Ok(reason.keep(&path, SystemClock.wall_ms()).map_err(|e| directory(path, e))?)
}

/// Writes down whom to ask at the next start, whenever the group's nodes change.
pub async fn remember_peers(mut views: watch::Receiver<Arc<View>>, me: MemberName, path: PathBuf) {
    let mut known = None;
    loop {
        let state = views.borrow_and_update().state.clone();
        let others = state.nodes.iter().filter(|(name, _)| **name != me);
        let peers: Vec<(MemberName, String)> =
            others.map(|(n, node)| (n.clone(), node.address.clone())).collect();
        if known.as_ref() != Some(&peers) {
            let written = serde_json::to_vec(&peers)
                .map_err(std::io::Error::other)
                .and_then(|text| FsDisk::new(&path)?.replace(&text));
            match written {
                Ok(()) => known = Some(peers),
                Err(error) => {
                    warn!(code = "LK7117", %error, "the peers to ask at the next start were not noted")
                }
            }
        }
        if views.changed().await.is_err() {
            return;
        }
    }
}

/// Done when a running peer said that the original is not alive; never once one said that it is.
async fn confirmed(asking: &Claim, data: &DataDir) {
    loop {
        match asking.ask().await {
            Answer::Free { confirmed: true } => return,
            Answer::Free { confirmed: false } => tokio::time::sleep(ASK_AGAIN).await,
            Answer::Rival(why) => {
                let reason = Reason::Rival(why);
                error!(code = reason.code(), "{}", reason.text());
                if let Err(error) = keep(data, &reason) {
                    error!(%error, "the rival was not noted: a restart will ask again");
                }
                return std::future::pending().await;
            }
        }
    }
}

fn claim(
    settings: &Settings,
    data: &DataDir,
    identity: &Identity,
    instance: &Instance,
) -> Result<Claim, NodeError> {
    let credentials = PkiStore::open(data.pki())?
        .load_node()?
        .ok_or_else(|| NodeError::NoCertificate { path: data.pki() })?;
    let path = data.peers();
    let bytes =
        FsDisk::new(&path).and_then(|mut disk| disk.read(PEERS_MAX)).map_err(|e| directory(path, e))?;
    // A list that cannot be read is a list of nobody: the running peers' own refusal is the second line.
    let peers = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    Ok(Claim {
        me: identity.name.clone(),
        instance: instance.clone(),
        peers,
        dialer: Arc::new(TlsDialer::new(Tls::new(credentials, Revocations::none())?)),
        clock: Arc::new(SystemClock),
    })
    .inspect(|claim| tracing::debug!(name = %settings.name, peers = claim.peers.len(), "asking the peers"))
}

fn identity(settings: &Settings, data: &DataDir) -> Result<Identity, IdentityError> {
    let (root, sources) = (&settings.machine.root, &settings.machine.sources);
    let checked = load(data)?.check(&settings.name, &signals(root, sources), sources)?;
    if checked.strength == Strength::Weak {
        warn!("{WEAK}");
    }
    Ok(checked.identity)
}

fn load(data: &DataDir) -> Result<Identity, IdentityError> {
    Identity::load(&mut disk(data)?)
}

fn sealed_anew(settings: &Settings, data: &DataDir, identity: Identity) -> Result<Identity, IdentityError> {
    let machine = &settings.machine;
    let fingerprint = Fingerprint::seal(&identity.cluster, &signals(&machine.root, &machine.sources));
    let anew = Identity { fingerprint, ..identity };
    anew.replace(&mut disk(data)?)?;
    Ok(anew)
}

fn disk(data: &DataDir) -> Result<FsDisk, IdentityError> {
    let path = data.identity();
    FsDisk::new(&path).map_err(|e| directory(path, e))
}

fn directory(path: PathBuf, source: std::io::Error) -> IdentityError {
    IdentityError::Directory { path, source }
}
