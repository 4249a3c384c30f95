//! Prometheus metrics on loopback. Names are constants here; a metric that nothing sets does not exist.

use crate::{consensus::Leadership, sight::Sightings};
use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use lockkeeper_core::rollout::state::OwedState;
use lockkeeper_proto::port::{Clock, View};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::watch};

/// What is read at each scrape. Nothing is counted in between: the state and the sightings are the truth.
#[derive(Clone)]
pub struct MetricsSource {
    /// The group's views.
    pub views: watch::Receiver<Arc<View>>,
    /// Who leads.
    pub leadership: watch::Receiver<Leadership>,
    /// Signs of life.
    pub sightings: Arc<Sightings>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MemberLabel {
    member: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

impl MetricsSource {
    /// The page.
    pub fn page(&self) -> String {
        let view = self.views.borrow().clone();
        let leadership = self.leadership.borrow().clone();
        let mut registry = Registry::with_prefix("lockkeeper");
        let mut put = |name: &str, help: &str, value: u64| {
            let gauge = Gauge::<i64>::default();
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(name, help, gauge);
        };
        put("raft_term", "Raft term", view.term);
        put("raft_leading", "1 on the leader", u64::from(leadership.leading));
        put("raft_quorum", "1 while this node hears a quorum", u64::from(view.quorum));
        put("raft_voters", "Voters", u64::try_from(leadership.voters.len()).unwrap_or(0));
        put("log_applied", "Last applied log index", view.applied.0);
        let rollout = view.state.rollout.as_ref();
        let owed = |r: &lockkeeper_core::rollout::Rollout| {
            r.owed.values().filter(|o| matches!(o.state, OwedState::Intent | OwedState::Owed)).count()
        };
        put("owed", "Settings changed and not given back", rollout.map_or(0, |r| u64::try_from(owed(r)).unwrap_or(0)));
        put("rollout_failures", "Failed attempts of the active rollout", rollout.map_or(0, |r| u64::from(r.failures)));
        let states = Family::<StateLabel, Gauge>::default();
        if let Some(rollout) = rollout {
            states.get_or_create(&StateLabel { state: rollout.status.word().to_owned() }).set(1);
        }
        registry.register("rollout_state", "1 for the state of the active rollout", states);
        let silence = Family::<MemberLabel, Gauge>::default();
        for (member, sighting) in self.sightings.view(self.clock.boot()) {
            if let Some(ms) = sighting.silent_ms {
                let label = MemberLabel { member: member.to_string() };
                silence.get_or_create(&label).set(i64::try_from(ms).unwrap_or(i64::MAX));
            }
        }
        registry.register(
            "member_silence_milliseconds",
            "Since an agent was last heard of, on the leader",
            silence,
        );
        let certificates = Family::<MemberLabel, Gauge>::default();
        let now = self.clock.wall_ms();
        for (member, report) in &view.state.trust.certificates {
            let label = MemberLabel { member: member.to_string() };
            let left = i128::from(report.expires.0) - i128::from(now);
            certificates.get_or_create(&label).set(i64::try_from(left / 1000).unwrap_or(i64::MAX));
        }
        registry.register(
            "certificate_left_seconds",
            "Until an agent's certificate ends, negative after it",
            certificates,
        );
        put_feature(&mut registry, view.state.floor());
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

fn put_feature(registry: &mut Registry, floor: u32) {
    let gauge = Gauge::<i64>::default();
    gauge.set(i64::from(floor));
    registry.register("feature_floor", "Commands up to this feature may be used", gauge);
}

/// Serves `/metrics` on `address`, which the settings keep on loopback, until the task is dropped.
pub async fn serve(address: SocketAddr, source: MetricsSource) -> std::io::Result<()> {
    let app = Router::new().route("/metrics", get(page)).with_state(source);
    axum::serve(TcpListener::bind(address).await?, app).await
}

async fn page(State(source): State<MetricsSource>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], source.page())
}
