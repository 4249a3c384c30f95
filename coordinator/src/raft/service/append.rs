//! The receiving end of the stream of entries.

use super::super::refusal::Refusal;
use super::{RaftService, next_frame, stopped, unreadable};
use futures::StreamExt;
use futures::stream::BoxStream;
use lockkeeper_proto::pb;
use lockkeeper_proto::wire::raft::{AppendFrame, AppendRequest, AppendResponse};
use std::sync::{Arc, Mutex, PoisonError};
use tonic::{Extensions, Status, Streaming};

/// Why the requests ended, if not in order. Told to the leader after the last answer.
type Ended = Arc<Mutex<Option<Status>>>;

pub(super) async fn serve(
    service: &RaftService,
    connection: &Extensions,
    mut frames: Streaming<pb::RaftAppendFrame>,
) -> Result<BoxStream<'static, Result<pb::RaftAppendResponse, Status>>, Status> {
    let Some(AppendFrame::Open(header)) = next_frame(&mut frames).await? else {
        return Err(Refusal::Stream("an append stream begins with its header").to_status());
    };
    service.admit(&header, connection)?;
    let ended = Ended::default();
    let requests = futures::stream::unfold((frames, ended.clone()), |(mut frames, ended)| async move {
        match next_request(&mut frames).await {
            Ok(request) => request.map(|request| (request, (frames, ended))),
            Err(status) => {
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                None
            }
        }
    });
    let handle = service.handle.clone();
    let answers = service.handle.inbound().append(requests.boxed()).map(move |answer| {
        if let Ok(AppendResponse::Matched(_) | AppendResponse::Conflict(_)) = &answer {
            handle.note_leader();
        }
        answer.map(Into::into).map_err(stopped)
    });
    let complaint =
        futures::stream::once(
            async move { ended.lock().unwrap_or_else(PoisonError::into_inner).take().map(Err) },
        );
    Ok(answers.chain(complaint.filter_map(std::future::ready)).boxed())
}

/// Waits as long as the leader likes: between two changes of membership nothing need be sent on this stream.
async fn next_request(frames: &mut Streaming<pb::RaftAppendFrame>) -> Result<Option<AppendRequest>, Status> {
    let Some(frame) = frames.message().await? else {
        return Ok(None);
    };
    match AppendFrame::try_from(frame).map_err(unreadable)? {
        AppendFrame::Append(request) => Ok(Some(request)),
        AppendFrame::Open(_) => Err(Refusal::Stream("a stream has one header").to_status()),
    }
}
