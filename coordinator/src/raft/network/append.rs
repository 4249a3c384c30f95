//! The stream of entries to one follower.

use super::super::convert;
use super::super::limits::{APPEND_OPEN_TIMEOUT, APPEND_STALL, APPEND_STALL_PER_MIB};
use super::super::peers::describe;
use super::super::types::Types;
use super::{Connection, read, unreachable};
use futures::{Stream, StreamExt};
use lockkeeper_proto::pb;
use lockkeeper_proto::wire::raft::{AppendFrame, AppendRequest, Entry, Payload};
use openraft::base::BoxStream;
use openraft::errors::RPCError;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use openraft::{AsyncRuntime, OptionalSend};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tonic::Streaming;

type Answer<Rt> = Result<StreamAppendResult<Types<Rt>>, RPCError<Types<Rt>>>;

/// Requests under way.
#[derive(Clone)]
struct Waiting(Arc<Mutex<UnderWay>>);

struct UnderWay {
    /// Bytes of each request, the oldest first.
    sizes: VecDeque<usize>,
    /// When the oldest began to wait for the follower.
    since: Instant,
}

impl Waiting {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(UnderWay { sizes: VecDeque::new(), since: Instant::now() })))
    }

    fn get(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self, request: &AppendRequest) {
        let bytes = |entry: &Entry| match &entry.payload {
            Payload::Command(command) => command.len(),
            Payload::Blank | Payload::Membership(_) => 0,
        };
        let mut under_way = self.get();
        if under_way.sizes.is_empty() {
            under_way.since = Instant::now();
        }
        under_way.sizes.push_back(request.entries.iter().map(bytes).sum());
    }

    fn answered(&self) {
        let mut under_way = self.get();
        under_way.sizes.pop_front();
        under_way.since = Instant::now();
    }

    /// When the follower has kept the leader waiting too long; later than now if nothing is under way. The oldest
    /// request gets time for its size, or a large command would never arrive over a slow line.
    fn deadline(&self) -> Instant {
        let under_way = self.get();
        match under_way.sizes.front() {
            Some(bytes) => {
                let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
                under_way.since + APPEND_STALL + APPEND_STALL_PER_MIB.saturating_mul(mebibytes)
            }
            None => Instant::now() + APPEND_STALL,
        }
    }
}

/// Opens the stream and returns the follower's answers.
pub(super) async fn stream<'s, Rt, S>(
    connection: &'s mut Connection,
    mut input: S,
) -> Result<BoxStream<'s, Answer<Rt>>, RPCError<Types<Rt>>>
where
    Rt: AsyncRuntime,
    S: Stream<Item = AppendEntriesRequest<Types<Rt>>> + OptionalSend + Unpin + 'static,
{
    // TRAP: openraft's pause between attempts sleeps inside `input`. Failing before the first request is taken skips
    // the pause, and the leader then spins on a dead peer. So take it before anything can fail.
    let Some(first) = input.next().await else {
        return Ok(Box::pin(futures::stream::empty()));
    };
    if let Some(reason) = connection.peers.resting(connection.node) {
        return Err(unreachable(reason));
    }
    let mut call = connection.call(connection.lane).map_err(unreachable)?;
    let waiting = Waiting::new();
    let counted = waiting.clone();
    let requests = futures::stream::iter([first]).chain(input).map(move |request| {
        let request = convert::append_request_to_wire(request);
        counted.sent(&request);
        AppendFrame::Append(request)
    });
    let frames = futures::stream::iter([AppendFrame::Open(call.header)])
        .chain(requests)
        .map(pb::RaftAppendFrame::from);
    let answers =
        connection.answer(APPEND_OPEN_TIMEOUT, call.client.append(frames)).await.map_err(unreachable)?;
    let connection: &'s Connection = connection;
    Ok(Box::pin(futures::stream::unfold(Some((connection, answers, waiting)), next_answer)))
}

async fn next_answer<Rt: AsyncRuntime>(
    state: Option<(&Connection, Streaming<pb::RaftAppendResponse>, Waiting)>,
) -> Option<(Answer<Rt>, Option<(&Connection, Streaming<pb::RaftAppendResponse>, Waiting)>)> {
    let (connection, mut answers, waiting) = state?;
    loop {
        let deadline = waiting.deadline();
        let failure = match tokio::time::timeout_at(deadline, answers.message()).await {
            Ok(Ok(Some(answer))) => {
                waiting.answered();
                match read(answer) {
                    Ok(answer) => {
                        let answer = convert::append_result_from_wire(answer);
                        return Some((Ok(answer), Some((connection, answers, waiting))));
                    }
                    Err(reason) => reason,
                }
            }
            Ok(Ok(None)) => return None,
            Ok(Err(status)) => describe(&status),
            Err(_) if waiting.deadline() > Instant::now() => continue,
            Err(_) => "it takes entries and does not answer".to_owned(),
        };
        connection.peers.note(connection.node, Err(&failure));
        return Some((Err(unreachable(failure)), None));
    }
}
