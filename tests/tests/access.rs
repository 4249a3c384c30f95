//! A scripted client tries every call of every service as nobody, a stranger, a late comer, a person of each role, a
//! node, a joining machine and root on the local socket. Prints the table of outcomes; any difference from the
//! contract fails, and so does a call of which the contract does not say who may make it.

use anyhow::{Context, Result, bail, ensure};
use lockkeeper_coordinator::pki::PkiStore;
use lockkeeper_core::{identity::Role, ids::ClusterId, time::LogTime};
use lockkeeper_proto::{
    pb,
    transport::{channel, unix_channel},
};
use lockkeeper_tests::{
    access::{
        answer::Answer,
        caller::{self, Caller, Forge},
        calls::{self, Call, Needs},
        raw::{self, Door, Heard},
    },
    loopback::Loopback,
};
use prost::Message as _;
use std::{io, sync::Mutex, time::UNIX_EPOCH};

struct Bench {
    group: Loopback,
    forge: Forge,
}

impl Bench {
    fn start() -> Result<Self> {
        let group = Loopback::start(&["n1"])?;
        let pki = PkiStore::open(group.agents[0].data().join("pki"))?;
        let cluster = pki.load_node()?.context("n1 has a certificate")?.cluster;
        // The root that `init` handed out is the one its certificates lead to.
        let root = PkiStore::read_root(&group.root(), &cluster)?;
        ensure!(pki.load_roots()? == [root.certificate().to_vec()]);
        let ours = pki.load_issuing(&cluster)?.context("n1 holds the issuing key")?;
        let now = LogTime(u64::try_from(UNIX_EPOCH.elapsed()?.as_millis())?);
        Ok(Self { group, forge: Forge { cluster, ours, now } })
    }

    fn cluster(&self) -> &ClusterId {
        &self.forge.cluster
    }

    /// What a message for this call looks like at its least. Raft's say who speaks to whom, and that is checked first.
    fn body(&self, call: &Call) -> Result<Vec<u8>> {
        let party =
            |node_id, name: &str| Some(pb::RaftParty { node_id, name: name.to_owned(), incarnation: 1 });
        let header = Some(pb::RaftHeader {
            cluster_id: self.cluster().to_string(),
            generation: 1,
            from: party(2, caller::NODE),
            to: party(1, "n1"),
            instance: String::new(),
        });
        // Of a term long gone, so that even the node it comes from changes nothing by it.
        let vote = Some(pb::RaftVote { term: 0, node_id: 2, committed: false });
        Ok(match (call.service.as_str(), call.method.as_str()) {
            ("Raft", "Vote" | "PreVote") => {
                pb::RaftVoteRequest { header, vote, ..Default::default() }.encode_to_vec()
            }
            ("Raft", "TransferLeader") => {
                pb::RaftTransferRequest { header, from_leader: vote, to_node_id: 1, last_log: None }
                    .encode_to_vec()
            }
            ("Raft", "Append") => {
                let frame = header.map(pb::raft_append_frame::Frame::Open);
                pb::RaftAppendFrame { frame }.encode_to_vec()
            }
            ("Raft", "Snapshot") => {
                let frame = header.map(pb::raft_snapshot_frame::Frame::Open);
                pb::RaftSnapshotFrame { frame }.encode_to_vec()
            }
            ("Raft", other) => bail!("no message for Raft.{other}"),
            _ => Vec::new(),
        })
    }

    /// One call on a connection of its own.
    async fn ask(&self, caller: Caller, path: &str, body: Vec<u8>) -> Result<(Answer, Option<Heard>)> {
        let agent = &self.group.agents[0];
        if caller == Caller::Socket {
            let heard = raw::call(unix_channel(agent.socket()), path, body).await?;
            return Ok((Answer::of(&heard), Some(heard)));
        }
        let protocol = match caller {
            Caller::Joining => raw::JOIN,
            Caller::Renewing => raw::RENEW,
            _ => raw::H2,
        };
        let config = raw::config(self.forge.shown(caller)?.as_ref(), protocol)?;
        match raw::knock(&agent.address, config.clone()).await? {
            Door::Open(wire) => {
                let wire = Mutex::new(Some(wire));
                let once = channel(move || {
                    let wire = wire.lock().map(|mut wire| wire.take()).unwrap_or_default();
                    async move { wire.ok_or_else(|| io::Error::other("the connection has ended")) }
                });
                let heard = raw::call(once, path, body).await?;
                Ok((Answer::of(&heard), Some(heard)))
            }
            Door::Alert(alert) => {
                // And through the shut door: nothing that was said before the server had looked may be answered.
                let address = agent.address.clone();
                let deaf = channel(move || {
                    let (address, config) = (address.clone(), config.clone());
                    async move { raw::connect(&address, config).await }
                });
                let answer = match raw::call(deaf, path, body).await? {
                    // Of the connection, not of a service: those carry a code of ours.
                    Heard::Status { page: None, .. } => Answer::Alert(alert),
                    other => Answer::Odd(format!("an alert ({alert}), and yet {other:?}")),
                };
                Ok((answer, None))
            }
        }
    }

    /// The replicated state to the byte, with the index it stands at.
    async fn state(&self) -> Result<(u64, Vec<u8>)> {
        let (_, heard) = self.ask(Caller::Node, "/lockkeeper.v1.Group/Follow", Vec::new()).await?;
        let Some(Heard::Message(frame)) = heard else { bail!("no state: {heard:?}") };
        let frame = pb::GroupStateFrame::decode(frame.as_slice())?;
        Ok((frame.applied, frame.state))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_open_to_those_it_is_for_and_to_nobody_else() -> Result<()> {
    let bench = Bench::start()?;
    let calls = calls::all()?;
    ensure!(calls.len() >= 30, "the descriptors hold {} calls only", calls.len());
    let before = bench.state().await?;
    let mut differences = Vec::new();
    let mut table = line("call", caller::ALL.map(|caller| caller.to_string()));
    for call in &calls {
        let mut cells = Vec::new();
        for caller in caller::ALL {
            let (found, heard) = bench
                .ask(caller, &call.path, bench.body(call)?)
                .await
                .with_context(|| format!("{} as {caller}", call.path))?;
            let wanted = caller.expected(call.needs);
            if found != wanted {
                differences.push(format!("{} as {caller}: {found}, wanted {wanted} ({heard:?})", call.path));
            }
            cells.push(found.to_string());
        }
        table.push_str(&line(&format!("{}.{}", call.service, call.method), cells));
    }
    println!("{table}\n{LEGEND}");
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    let after = bench.state().await?;
    ensure!(before == after, "the calls have changed the state: index {} -> {}", before.0, after.0);
    // The agent says why it let nobody in, each reason by its code.
    let log = bench.group.agents[0].log()?;
    for code in ["LK4001", "LK4002", "LK4003"] {
        ensure!(log.contains(code), "the agent's log does not hold {code}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_call_is_not_served_to_anybody() -> Result<()> {
    let bench = Bench::start()?;
    for path in
        ["/lockkeeper.v1.Operator/Nothing", "/lockkeeper.v1.Nobody/Status", "/grpc.health.v1.Health/Check"]
    {
        for caller in
            [Caller::Person(Role::Admin), Caller::Node, Caller::Joining, Caller::Renewing, Caller::Socket]
        {
            let (found, _) = bench.ask(caller, path, Vec::new()).await?;
            ensure!(found == Answer::NotServed, "{path} as {caller}: {found}");
        }
    }
    // Offering both protocols is asking for everything, so it takes a certificate.
    let mut both = (*raw::config(None, raw::JOIN)?).clone();
    both.alpn_protocols.push(raw::H2.to_vec());
    let door = raw::knock(&bench.group.agents[0].address, both.into()).await?;
    ensure!(
        matches!(door, Door::Alert("certificate required")),
        "both protocols without a certificate got in"
    );
    Ok(())
}

const LEGEND: &str = "\
tls: ...  the handshake ended with this alert, and a call sent behind it was not answered
-         not served on this connection
LKnnnn    refused for who the caller is
reached   let in; the empty message then takes no effect";

fn line(call: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut line = format!("{call:<22}");
    for (cell, caller) in cells.into_iter().zip(caller::ALL) {
        let width = caller.expected(Needs::Peer).to_string().len().max(caller.to_string().len()).max(7) + 2;
        line.push_str(&format!("{cell:<width$}"));
    }
    format!("{}\n", line.trim_end())
}
