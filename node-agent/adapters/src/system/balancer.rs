//! Drain and Admit as steps: capture, act, prove by what the balancer itself reports.

use super::{SystemHost, reading_back};
use crate::{
    HostCode,
    balancer::{Admin, Haproxy, admit as admission, drain as draining},
};
use lockkeeper_agent::host::{Done, Failure, Postcheck, Precheck, Work};
use lockkeeper_core::{
    cluster::{BalancerKind, BalancerSpec},
    ids::MemberName,
    plan::action::BalancerServer,
};
use std::collections::BTreeMap;

fn balancer(work: &Work, server: &BalancerServer) -> Result<Haproxy, Failure> {
    let spec = work.targets.balancers.get(&server.balancer).ok_or_else(|| {
        HostCode::TargetMissing.failure(format!("the plan has no connection to balancer {}", server.balancer))
    })?;
    open(spec)
}

fn open(spec: &BalancerSpec) -> Result<Haproxy, Failure> {
    match spec.kind {
        BalancerKind::Haproxy => Haproxy::new(&spec.socket, &spec.backend),
    }
}

/// Sets every server to the state it has, and reads it back: that it may be set is proven, and nothing changes.
pub(super) async fn set_as_it_is(spec: &BalancerSpec) -> Result<String, Failure> {
    let balancer = open(spec)?;
    for server in spec.servers.values() {
        let before = balancer.read(server).await?.admin;
        let after = balancer.set(server, before).await?.admin;
        if after != before {
            let name = balancer.name_of(server);
            let text = format!("{name} was {}, is {} after it was set to what it was", before.as_str(), after.as_str());
            return Err(HostCode::BalancerReadBack.failure(text));
        }
    }
    Ok(format!("{} servers stand as they stood", spec.servers.len()))
}

/// What a balancer wants of each member's server, as the words that are captured.
pub(super) async fn states(spec: &BalancerSpec) -> Result<BTreeMap<MemberName, String>, Failure> {
    let balancer = open(spec)?;
    let mut states = BTreeMap::new();
    for (member, server) in &spec.servers {
        states.insert(member.clone(), balancer.read(server).await?.admin.as_str().to_owned());
    }
    Ok(states)
}

/// The state an admission gives back: what was captured, else ready. A member that was out before Lockkeeper came is
/// captured as such, and stays out.
fn wanted(work: &Work) -> Result<Admin, Failure> {
    work.captured.as_deref().map_or(Ok(Admin::Ready), Admin::parse)
}

/// Never "already done": what is out already is captured too, so that the admission gives back exactly that.
pub(super) async fn look_drained(work: &Work, server: &BalancerServer) -> Result<Precheck, Failure> {
    let balancer = balancer(work, server)?;
    match balancer.read(&server.server).await {
        Ok(reading) => Ok(Precheck::Ready { captured: reading.admin.as_str().to_owned() }),
        Err(failure) => no_such_server(&balancer, server, failure),
    }
}

fn no_such_server(
    balancer: &Haproxy,
    server: &BalancerServer,
    failure: Failure,
) -> Result<Precheck, Failure> {
    if failure.code != HostCode::BalancerNoServer.as_str() {
        return Err(failure);
    }
    let expected = format!("server {} for member {}", balancer.name_of(&server.server), server.member);
    Ok(Precheck::Mismatch { expected, found: failure.to_string() })
}

pub(super) async fn drain(work: &Work, server: &BalancerServer) -> Result<String, Failure> {
    let balancer = balancer(work, server)?;
    let drained = draining::drain(&balancer, &server.server, server.wait).await?;
    let mut told = Vec::new();
    if drained.forced > 0 {
        told.push(format!(
            "named forced deadline: {} sessions were still open after {} and were ended",
            drained.forced, server.wait
        ));
    }
    if drained.set_again > 0 {
        told.push(format!("the balancer had lost the setting {} times and was set again", drained.set_again));
    }
    Ok(told.join("\n"))
}

pub(super) async fn look_admitted(work: &Work, server: &BalancerServer) -> Result<Precheck, Failure> {
    let (balancer, wanted) = (balancer(work, server)?, wanted(work)?);
    let reading = match balancer.read(&server.server).await {
        Ok(reading) => reading,
        Err(failure) => return no_such_server(&balancer, server, failure),
    };
    if reading.admin == wanted && (wanted != Admin::Ready || reading.check_passed()) {
        let evidence = format!("{}: {reading}{}", balancer.name_of(&server.server), left_out(wanted));
        let done = Done { evidence, ..Done::default() };
        return Ok(Precheck::AlreadyDone(reading_back(work, done, wanted.as_str())));
    }
    Ok(Precheck::Ready { captured: reading.admin.as_str().to_owned() })
}

fn left_out(wanted: Admin) -> &'static str {
    match wanted {
        Admin::Ready => "",
        Admin::Drain | Admin::Maint => "; it was so before this rollout, so it stays out",
    }
}

pub(super) async fn admit(work: &Work, server: &BalancerServer) -> Result<String, Failure> {
    let balancer = balancer(work, server)?;
    let reading = admission::admit(&balancer, &server.server, wanted(work)?).await?;
    let unchecked = reading.admin == Admin::Ready && !reading.checked;
    let told =
        if unchecked { "the balancer does not check this server; it rests on the proof before" } else { "" };
    Ok(told.to_owned())
}

impl SystemHost {
    pub(super) async fn prove_drained(
        &self,
        work: &Work,
        server: &BalancerServer,
    ) -> Result<Postcheck, Failure> {
        let balancer = balancer(work, server)?;
        let reading = balancer.read(&server.server).await?;
        let evidence = format!("{}: {reading}", balancer.name_of(&server.server));
        if reading.admin == Admin::Maint && reading.sessions == 0 {
            return Ok(Postcheck::Proven(self.attempt(work).done(evidence)?));
        }
        Ok(Postcheck::NotYet(evidence))
    }

    pub(super) async fn prove_admitted(
        &self,
        work: &Work,
        server: &BalancerServer,
    ) -> Result<Postcheck, Failure> {
        let (balancer, wanted) = (balancer(work, server)?, wanted(work)?);
        let reading = balancer.read(&server.server).await?;
        let evidence = format!("{}: {reading}{}", balancer.name_of(&server.server), left_out(wanted));
        if reading.admin == wanted && (wanted != Admin::Ready || reading.check_passed()) {
            let done = self.attempt(work).done(evidence)?;
            return Ok(Postcheck::Proven(reading_back(work, done, wanted.as_str())));
        }
        Ok(Postcheck::NotYet(evidence))
    }
}
