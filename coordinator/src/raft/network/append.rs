//! The stream of entries to one follower.

use super::super::convert;
use super::super::limits::{APPEND_OPEN_TIMEOUT, APPEND_STALL};
use super::super::peers::describe;
use super::super::types::Types;
use super::{Connection, read, unreachable};
use futures::{Stream, StreamExt};
use lockkeeper_proto::pb;
use lockkeeper_proto::wire::raft::AppendFrame;
use openraft::base::BoxStream;
use openraft::errors::RPCError;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use openraft::{AsyncRuntime, OptionalSend};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tonic::Streaming;

type Answer<Rt> = Result<StreamAppendResult<Types<Rt>>, RPCError<Types<Rt>>>;

/// Requests under way, and since when the oldest has waited.
#[derive(Clone)]
struct Waiting(Arc<Mutex<(u64, Instant)>>);

impl Waiting {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((0, Instant::now()))))
    }

    fn get(&self) -> MutexGuard<'_, (u64, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) {
        let mut waiting = self.get();
        if waiting.0 == 0 {
            waiting.1 = Instant::now();
        }
        waiting.0 += 1;
    }

    fn answered(&self) {
        let mut waiting = self.get();
        *waiting = (waiting.0.saturating_sub(1), Instant::now());
    }

    /// When the follower has kept the leader waiting too long; later than now if nothing is under way.
    fn deadline(&self) -> Instant {
        let waiting = self.get();
        let since = if waiting.0 == 0 { Instant::now() } else { waiting.1 };
        since + APPEND_STALL
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
    let mut call = connection.call().map_err(unreachable)?;
    let waiting = Waiting::new();
    let counted = waiting.clone();
    let requests = futures::stream::iter([first]).chain(input).map(move |request| {
        counted.sent();
        AppendFrame::Append(convert::append_request_to_wire(request))
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
            Err(_) => format!("no answer within {APPEND_STALL:?}"),
        };
        connection.peers.note(connection.node, Err(&failure));
        return Some((Err(unreachable(failure)), None));
    }
}
