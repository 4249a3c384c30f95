//! What the agent keeps for a start without it: when the group was last heard, and which schema this host saw a version
//! work with. Also tells the group that a person opened the boot guard here. Kept beside the store, because the store
//! cannot say that nothing happened.

use super::guard::{host_settings, opening};
use lockkeeper_adapters::system::before_start;
use lockkeeper_agent::{
    data::GUARD,
    facts::Sight,
    journal::{Disk as _, FsDisk},
    settings::Settings,
};
use lockkeeper_coordinator::planning;
use lockkeeper_core::{
    guard::{self, Learnt},
    ids::{MemberName, RequestId},
    observe::FactsQuery,
    rollout::{Command, Reply, State, state::Config},
    time::Millis,
};
use lockkeeper_proto::port::{Clock, Group, Proposal};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path, sync::Arc};
use tokio::sync::watch;
use tracing::warn;

/// Between two looks at what is to be kept or told.
const LOOK_EVERY: Millis = Millis::from_secs(3);
/// How exactly the last word's age is known; one small write to the disk.
const HEARD_EVERY: Millis = Millis::from_secs(60);
/// Some thousand versions.
const LENGTH_MAX: u64 = 1024 * 1024;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Version of this form.
    pub form: u32,
    /// When a quorum was last heard, unix ms by this machine's clock.
    pub heard: u64,
    /// Schemas by version and database.
    pub learnt: Learnt,
}

impl Memory {
    /// Reads it; empty if there is none. It only ever helps a start, so a damaged one is as good as none.
    pub fn read(data: &Path) -> Self {
        let bytes = FsDisk::new(data.join(GUARD)).and_then(|mut disk| disk.read(LENGTH_MAX));
        bytes.ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Writes it.
    pub fn write(&self, data: &Path) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(&Self { form: 1, ..self.clone() }).map_err(std::io::Error::other)?;
        FsDisk::new(data.join(GUARD))?.replace(&bytes)
    }
}

/// Keeps and tells until the agent ends.
pub async fn keep(
    settings: Settings,
    group: Arc<dyn Group>,
    clock: Arc<dyn Clock>,
    sights: watch::Receiver<Option<Sight>>,
) {
    let follow = group.follow();
    let mut heard = None;
    // A version whose databases could not be read is tried again with the next word.
    let mut tried = None;
    loop {
        let view = follow.borrow().clone();
        if view.quorum {
            tell(&settings, &group, &view.state, &*clock).await;
            let now = clock.boot();
            let again = heard.is_none_or(|at| now.since(at) >= HEARD_EVERY);
            if again {
                (heard, tried) = (Some(now), None);
                let memory = Memory { heard: clock.wall_ms(), ..Memory::read(&settings.data) };
                if let Err(error) = memory.write(&settings.data) {
                    warn!(code = "LK7423", %error, "when the group was heard is not written");
                }
            }
            let version = sights.borrow().as_ref().and_then(|sight| sight.facts.version.clone()?.ok());
            if let Some(version) = version.filter(|version| tried.as_ref() != Some(version)) {
                learn(&settings, &view.state, &version).await;
                tried = Some(version);
            }
        }
        // Ends with the runtime, like every helper.
        clock.sleep(LOOK_EVERY).await;
    }
}

/// Looks once at the databases of a version that neither a plan nor this host knows, outside rollouts.
async fn learn(settings: &Settings, state: &State, version: &str) {
    let Some(config) = state.config.as_ref().filter(|_| state.rollout.is_none()) else { return };
    let planned = guard::pairs(state);
    let known = Memory::read(&settings.data).learnt.contains_key(version);
    let Some(query) = query(config, &settings.name).filter(|_| !known && !planned.contains_key(version))
    else {
        return;
    };
    let mut schemas = BTreeMap::new();
    for (name, look) in before_start::databases(&host_settings(settings), &query).await {
        match look {
            Ok(look) if look.busy.is_empty() => schemas.extend(look.schema.map(|schema| (name, schema))),
            // Half a look, or one at a database that somebody upgrades, teaches nothing.
            Ok(_) | Err(_) => return,
        }
    }
    if schemas.is_empty() {
        return;
    }
    let mut memory = Memory::read(&settings.data);
    memory.learnt.insert(version.to_owned(), schemas);
    if let Err(error) = memory.write(&settings.data) {
        warn!(code = "LK7423", %error, "which schema goes with this version is not written");
    }
}

fn query(config: &Config, me: &MemberName) -> Option<FactsQuery> {
    planning::before_start(config, me).ok().filter(|query| !query.databases.is_empty())
}

/// An opening that the group does not know goes into its audit.
async fn tell(settings: &Settings, group: &Arc<dyn Group>, state: &State, clock: &dyn Clock) {
    let Some(opening) = opening(&settings.data) else { return };
    let me = &settings.name;
    if state.guard_openings.get(me) == Some(&opening) || !state.nodes.contains_key(me) {
        return;
    }
    let id = RequestId(format!("{me}/guard/{}/{}/{}", opening.opened, opening.uses, clock.wall_ms()));
    let command = Command::GuardOpened { member: me.clone(), opening };
    let proposal = Proposal { id, actor: None, trace: String::new(), command };
    match group.propose(proposal).await {
        Ok(Reply::Applied { .. }) => {}
        Ok(Reply::Rejected(why)) => {
            warn!(code = "LK7424", %why, "the group does not take the opened boot guard")
        }
        // Told again with the next look.
        Err(error) => warn!(code = "LK7424", %error, "the group was not told of the opened boot guard"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back_and_a_damaged_file_is_none() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Memory::read(home.path()), Memory::default());
        let memory = Memory { form: 1, heard: 7, ..Memory::default() };
        memory.write(home.path()).unwrap();
        assert_eq!(Memory::read(home.path()), memory);
        std::fs::write(home.path().join(GUARD), "{").unwrap();
        assert_eq!(Memory::read(home.path()), Memory::default());
    }
}
