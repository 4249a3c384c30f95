//! What a finished demo left behind, read once for the invariants: logs, databases, release trees, agents' stores, and
//! the group's own record of the rollout. Judges nothing.

mod database;
mod late;
mod logs;
mod stores;
mod tree;

pub use database::{AuditRow, Backup, CutOff, Live};
pub use late::{LateWrites, late_writes};
pub use logs::{AppEvent, BalancerRequest, ServerState, app_events, balancer_states};
pub use stores::{Replayed, replay};
pub use tree::tree_hash;

use super::{client, figures::Figures, layout::Layout};
use anyhow::Context as _;
use lockkeeper_core::{ids::MemberName, plan::Plan, view::RolloutView};
use std::collections::{BTreeMap, BTreeSet};

/// Everything the invariants look at.
#[derive(Debug)]
pub struct Evidence {
    /// The approved plan, from its file.
    pub plan: Plan,
    /// The rollout as the group shows it at the end.
    pub rollout: RolloutView,
    /// Who approved the plan, by the replicated log.
    pub approvers: BTreeSet<String>,
    /// What each application said, in order.
    pub apps: BTreeMap<MemberName, Vec<AppEvent>>,
    /// How the balancer's servers changed, in order.
    pub servers: Vec<ServerState>,
    /// What the balancer passed on.
    pub passed: Vec<BalancerRequest>,
    /// What users sent and were answered, in the order it was sent.
    pub requests: Vec<client::Record>,
    /// The live database.
    pub live: Live,
    /// Files that were taken away from an upgrader while it was at work.
    pub cut_off: Vec<CutOff>,
    /// The backup set of the plan, if it is there.
    pub backup: Option<Backup>,
    /// Hashes of the old release on every member: before, after.
    pub old_releases: BTreeMap<MemberName, (String, String)>,
    /// Each agent's state by log index, replayed from its store.
    pub stores: BTreeMap<MemberName, Replayed>,
    /// The figures of the report.
    pub figures: Figures,
}

/// What was noted while the demo ran and cannot be read off the files afterwards.
#[derive(Debug)]
pub struct Noted {
    /// The plan.
    pub plan: Plan,
    /// The rollout's last view.
    pub rollout: RolloutView,
    /// Hashes of the old release on every member, taken before the rollout.
    pub old_releases: BTreeMap<MemberName, String>,
}

impl Evidence {
    /// From the first upgrade's beginning to the end of the one that succeeded on the live database.
    pub fn upgrade_at(&self) -> Option<(u64, u64)> {
        let of =
            |what: &'static str| self.live.audit.iter().filter(move |row| row.what == what).map(|row| row.at);
        Some((of("upgrade-begin").min()?, of("upgrade-end").max()?))
    }

    /// The tokens of the upgrades that began on the live database, in the order of commits.
    pub fn tokens(&self) -> Vec<String> {
        let begins = self.live.audit.iter().filter(|row| row.what == "upgrade-begin");
        begins.map(|row| row.token.clone().unwrap_or_default()).collect()
    }

    /// Reads everything. No process of the demo runs any more.
    pub fn gather(layout: &Layout, noted: Noted, figures: Figures) -> anyhow::Result<Self> {
        let Noted { plan, rollout, old_releases } = noted;
        let mut apps = BTreeMap::new();
        let mut stores = BTreeMap::new();
        let mut trees = BTreeMap::new();
        for (member, before) in old_releases {
            apps.insert(member.clone(), app_events(&layout.app_log(&member))?);
            let store = replay(&layout.agent_data(&member).join("raft.redb"));
            stores.insert(member.clone(), store.with_context(|| format!("in the store of {member}"))?);
            let after = tree_hash(&layout.installed(&member, &plan.from))?;
            trees.insert(member, (before, after));
        }
        let approvers = stores.values().filter_map(|store| store.approvers.get(&plan.hash));
        let approvers = approvers.flatten().cloned().collect();
        let log = layout.balancer_log();
        let lines = client::read(&layout.client_log())?;
        let mut requests: Vec<client::Record> = client::records(&lines).cloned().collect();
        requests.sort_by_key(|request| request.sent_us);
        Ok(Self {
            backup: Backup::of(&layout.backups(), &plan)?,
            live: Live::read(&layout.db())?,
            cut_off: CutOff::all(&layout.db())?,
            servers: balancer_states(&log)?,
            passed: logs::balancer_requests(&log)?,
            plan,
            rollout,
            approvers,
            apps,
            requests,
            old_releases: trees,
            stores,
            figures,
        })
    }
}
