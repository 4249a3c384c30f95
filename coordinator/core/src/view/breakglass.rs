//! What one node knows, for a person who has to act without Lockkeeper: how things stand, what is owed, and in which
//! order it is given back by hand.
//!
//! Knows the order and the captured values. The words of vendors come from [`Hands`], because no product is known here.

use crate::{
    ids::{DatabaseName, LogIndex, Token},
    plan::{Action, OwedKey, Plan, Step, Target, Who},
    rollout::{
        Rollout, State,
        state::{GrantState, StepPhase},
    },
    view::{CurrentView, rollout_view},
};
use serde::{Deserialize, Serialize};

/// Who knows the vendors' commands.
pub trait Hands {
    /// Lines that do an action; with the captured value to give back, if it settles something.
    fn act(&self, plan: &Plan, action: &Action, captured: Option<&str>) -> Vec<String>;
    /// Lines that keep the holder of a grant out.
    fn holder_out(&self, plan: &Plan, database: &DatabaseName, token: Token) -> Vec<String>;
    /// Lines that restore a backup set.
    fn restore(&self, plan: &Plan, database: &DatabaseName, set: &str) -> Vec<String>;
}

/// The same log at two lengths: what the node knew to be committed, and everything it holds. What lies between may or
/// may not have been committed by the others, and what follows from it may or may not have been done.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Certain.
    pub committed: &'a State,
    /// With the entries whose fate this node does not know.
    pub last: &'a State,
}

/// `breakglass show --json`, the part that comes from the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// The cluster's name; empty before `init`.
    pub cluster: String,
    /// Log time of the last entry that is known to be committed, unix ms.
    pub as_of: u64,
    /// Its index.
    pub applied: LogIndex,
    /// The last entry this node holds; beyond `applied` nothing is certain.
    pub held: LogIndex,
    /// The active rollout.
    pub rollout: Option<RolloutSheet>,
}

/// The active rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutSheet {
    /// Its id.
    pub id: u64,
    /// Its plan's hash.
    pub plan: String,
    /// From this version.
    pub from: String,
    /// To this one.
    pub to: String,
    /// As in `status`.
    pub state: String,
    /// Settled steps of the present direction.
    pub done: u32,
    /// All of them.
    pub total: u32,
    /// When the point of no return was passed, unix ms.
    pub point_of_no_return: Option<u64>,
    /// Steps that agents had: their effects may still run on those hosts.
    pub current: Vec<CurrentView>,
    /// The latest grant of each database.
    pub grants: Vec<GrantSheet>,
    /// Everything that may have to be given back.
    pub owed: Vec<OwedSheet>,
    /// The way back, in order. After the point of no return only behind a restore of the whole set.
    pub back: Vec<HandStep>,
    /// The rest of the way forward, in order.
    pub forward: Vec<HandStep>,
    /// Backup sets.
    pub backups: Vec<BackupSheet>,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantSheet {
    /// Of which database.
    pub database: String,
    /// The holder.
    pub member: String,
    /// Its token.
    pub token: String,
    /// `open`, `closing`, `closed`.
    pub state: String,
    /// Keeps the holder out; empty for a closed grant.
    pub hold_out: Vec<String>,
}

/// One owed setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedSheet {
    /// Which.
    pub key: String,
    /// The value before.
    pub captured: String,
    /// The step that changed it.
    pub step: u32,
    /// Since when, unix ms.
    pub since: u64,
    /// `owed`; `perhaps` if this node cannot know whether it was changed or given back: look before you act.
    pub state: String,
}

/// One step by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandStep {
    /// The plan's number.
    pub step: u32,
    /// What, as in the plan.
    pub what: String,
    /// On whose host.
    pub on: String,
    /// The owed setting that it gives back.
    pub settles: Option<String>,
    /// For a shell there.
    pub lines: Vec<String>,
}

/// One backup set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSheet {
    /// Of which database.
    pub database: String,
    /// Its directory.
    pub set: String,
    /// On whose host.
    pub on: String,
    /// BLAKE3 of its manifest.
    pub digest: String,
    /// What proved that it can be restored; empty: it is not proven.
    pub proof: String,
    /// Restores it.
    pub lines: Vec<String>,
}

/// The sheet.
pub fn breakglass(known: Known<'_>, hands: &dyn Hands) -> Sheet {
    let committed = known.committed;
    // A rollout that began or ended in the uncertain part is shown as well: too much is seen, never too little.
    let shown = known.last.rollout.as_ref().or(committed.rollout.as_ref());
    Sheet {
        cluster: committed.group.as_ref().map(|g| g.name.to_string()).unwrap_or_default(),
        as_of: committed.time.0,
        applied: committed.applied,
        held: known.last.applied.max(committed.applied),
        rollout: shown.map(|rollout| sheet(known, rollout, hands)),
    }
}

fn sheet(known: Known<'_>, rollout: &Rollout, hands: &dyn Hands) -> RolloutSheet {
    let view = rollout_view(rollout);
    let plan = &rollout.plan;
    let owed = owed(known, rollout);
    let hand = |step: &Step, captured: Option<&str>| HandStep {
        step: step.id.0,
        what: format!("{} {}", step.action.kind(), step.target),
        on: on(rollout, step),
        settles: step.settles.as_ref().map(ToString::to_string),
        lines: hands.act(plan, &step.action, captured),
    };
    let captured = |key: &Option<OwedKey>| {
        let key = key.as_ref()?;
        owed.iter().find(|o| o.key == key.0).map(|o| o.captured.as_str())
    };
    let back = plan
        .undo
        .iter()
        .filter_map(|step| captured(&step.settles).map(|value| hand(step, Some(value))))
        .collect();
    let forward = plan
        .steps
        .iter()
        .filter(|step| !rollout.is_settled(step.id))
        .map(|step| hand(step, captured(&step.settles)))
        .collect();
    RolloutSheet {
        id: view.id,
        plan: view.plan,
        from: view.from,
        to: view.to,
        state: view.state,
        done: view.done,
        total: view.total,
        point_of_no_return: view.point_of_no_return,
        current: view.current,
        grants: grants(rollout, hands),
        back,
        forward,
        backups: backups(rollout, hands),
        owed,
    }
}

/// Owed by what is certain or by what this node holds beyond.
fn owed(known: Known<'_>, rollout: &Rollout) -> Vec<OwedSheet> {
    let of = |state: &State, key: &OwedKey| {
        let same = state.rollout.as_ref().filter(|r| r.id == rollout.id)?;
        Some(same.owed.get(key)?.state.is_open())
    };
    let all = known.committed.rollout.as_ref().filter(|r| r.id == rollout.id).map(|r| &r.owed);
    let mut keys: Vec<_> = rollout.owed.iter().chain(all.into_iter().flatten()).collect();
    keys.sort_by_key(|(key, _)| *key);
    keys.dedup_by_key(|(key, _)| *key);
    keys.into_iter()
        .filter_map(|(key, owed)| {
            let (certain, held) = (of(known.committed, key), of(known.last, key));
            let state = match (certain.unwrap_or(false), held.unwrap_or(false)) {
                (true, true) => "owed",
                (true, false) | (false, true) => "perhaps",
                (false, false) => return None,
            };
            Some(OwedSheet {
                key: key.to_string(),
                captured: owed.captured.clone(),
                step: owed.step.0,
                since: owed.since.0,
                state: state.to_owned(),
            })
        })
        .collect()
}

fn on(rollout: &Rollout, step: &Step) -> String {
    let executor = || {
        let committed = step.target.shared().and_then(|shared| rollout.executors.get(&shared));
        committed.map_or_else(|| "an executor's".to_owned(), ToString::to_string)
    };
    match (&step.who, &step.target) {
        (Who::Member(member), _) | (_, Target::Member(member)) => member.to_string(),
        (Who::Holder(database), _) => rollout
            .grants
            .get(database)
            .map_or_else(|| "one member's".to_owned(), |grant| grant.member.to_string()),
        (Who::Executor | Who::ExecutorNotHolder, Target::Balancer(..) | Target::Database(_)) => executor(),
    }
}

fn grants(rollout: &Rollout, hands: &dyn Hands) -> Vec<GrantSheet> {
    let word = |state| match state {
        GrantState::Open => "open",
        GrantState::Closing => "closing",
        GrantState::Closed => "closed",
    };
    rollout
        .grants
        .iter()
        .map(|(database, grant)| GrantSheet {
            database: database.to_string(),
            member: grant.member.to_string(),
            token: grant.token.to_string(),
            state: word(grant.state).to_owned(),
            hold_out: match grant.state {
                GrantState::Open | GrantState::Closing => {
                    hands.holder_out(&rollout.plan, database, grant.token)
                }
                GrantState::Closed => Vec::new(),
            },
        })
        .collect()
}

fn backups(rollout: &Rollout, hands: &dyn Hands) -> Vec<BackupSheet> {
    let output = |database: &DatabaseName, what: &str| {
        rollout.outputs.get(&format!("backup.{database}.{what}")).cloned().unwrap_or_default()
    };
    let done = |wanted: fn(&Action) -> Option<&DatabaseName>, database: &DatabaseName| {
        let step = rollout.plan.steps.iter().find(|s| wanted(&s.action) == Some(database))?;
        match &rollout.record(step.id)?.phase {
            StepPhase::Done { member, evidence, .. } => Some((member.to_string(), evidence.clone())),
            StepPhase::Pending
            | StepPhase::Assigned { .. }
            | StepPhase::Failed { .. }
            | StepPhase::NotNeeded => None,
        }
    };
    let taken: fn(&Action) -> Option<&DatabaseName> =
        |action| if let Action::Backup(act) = action { Some(&act.database) } else { None };
    let proven: fn(&Action) -> Option<&DatabaseName> =
        |action| if let Action::ProveBackup(act) = action { Some(&act.database) } else { None };
    rollout
        .plan
        .targets
        .databases
        .keys()
        .filter_map(|database| {
            let (on, _) = done(taken, database)?;
            let set = output(database, "set");
            let lines = hands.restore(&rollout.plan, database, &set);
            let proof = done(proven, database).map(|(_, evidence)| evidence).unwrap_or_default();
            Some(BackupSheet {
                database: database.to_string(),
                digest: output(database, "digest"),
                set,
                on,
                proof,
                lines,
            })
        })
        .collect()
}
