//! The evidence of a recorded demo in which everything held, thinned out by `tests/oracle/demo_record.py`.

use crate::demo::{
    client::{Record, Summary},
    evidence::{AppEvent, AuditRow, Backup, BalancerRequest, Evidence, Live, Replayed, ServerState},
    figures::{Database, Figures, Requests},
};
use lockkeeper_core::{ids::MemberName, plan::Plan, view::RolloutView};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Recorded {
    plan: Plan,
    rollout: RolloutView,
    apps: BTreeMap<MemberName, Vec<AppEvent>>,
    servers: Vec<ServerState>,
    passed: Vec<BalancerRequest>,
    requests: Vec<Record>,
    audit: Vec<AuditRow>,
    from: u64,
    to: u64,
}

/// A fresh copy, to be changed.
pub fn evidence() -> Evidence {
    let recorded: Recorded = serde_json::from_str(include_str!("healthy.json")).unwrap();
    let Recorded { plan, rollout, apps, servers, passed, requests, audit, from, to } = recorded;
    let members: Vec<MemberName> = plan.bound.members.keys().cloned().collect();
    let begin = audit.iter().find(|row| row.what == "upgrade-begin").unwrap();
    let backup = Backup { set: "lk-main".into(), proven: true, schema: 1, last_row: begin.id - 1 };
    let digests: BTreeMap<u64, String> = (1..9).map(|index| (index * 8, format!("state {index}"))).collect();
    let store = Replayed { digests, approvers: BTreeMap::new() };
    let upgrader = begin.member.parse().unwrap();
    Evidence {
        approvers: BTreeSet::from(["rita".to_owned()]),
        stores: members.iter().map(|member| (member.clone(), store.clone())).collect(),
        old_releases: members.iter().map(|m| (m.clone(), ("same".to_owned(), "same".to_owned()))).collect(),
        live: Live { file: "library-1-56.db".into(), schema: 2, audit, corruption: Vec::new() },
        cut_off: Vec::new(),
        backup: Some(backup),
        figures: figures(upgrader, from, to),
        plan,
        rollout,
        apps,
        servers,
        passed,
        requests,
    }
}

fn figures(upgrader: MemberName, from: u64, to: u64) -> Figures {
    Figures {
        requests: Requests { total: 100, ok: 60, failed_outside_outage: 0 },
        outage_ms: 4_000,
        windows: Vec::new(),
        database: Database {
            schema: 2,
            database_upgrades: 1,
            attempts: 1,
            upgrader: Some(upgrader),
            tokens: vec![Some("1-56".to_owned())],
            corruption: Vec::new(),
            rows_lost: 0,
            fenced: Vec::new(),
        },
        lanes: Vec::new(),
        client: Summary {
            total: 100,
            ok: 60,
            failed: 40,
            written: 10,
            from,
            to,
            lag_ms: 1,
            spans: Vec::new(),
            incomplete: None,
        },
    }
}
