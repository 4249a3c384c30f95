//! One HTTP request and what must be true of its answer. Redirects are answers, not ways: the page behind one would
//! prove another server. Knows no TLS yet: an `https` URL is refused by name.

use super::Sight;
use crate::code::HostCode;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use lockkeeper_core::time::Millis;
use std::collections::BTreeMap;
use tokio::net::TcpStream;

/// The most of an answer's body that is read, in bytes; a status page is smaller.
const BODY_MAX: usize = 1024 * 1024;

/// What the answer must be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Status.
    pub status: u16,
    /// Text in the body; empty: any.
    pub contains: &'a str,
    /// Headers with exactly these values.
    pub headers: &'a BTreeMap<String, String>,
    /// JSON pointer -> value as text.
    pub json: &'a BTreeMap<String, String>,
    /// Of the whole exchange.
    pub timeout: Millis,
}

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    headers: hyper::HeaderMap,
    body: Bytes,
}

/// Asks once and judges.
pub async fn look(url: &str, wanted: &Wanted<'_>) -> Sight {
    let uri = match url.parse::<Uri>() {
        Ok(uri) if uri.scheme_str() == Some("http") && uri.host().is_some() => uri,
        Ok(_) | Err(_) => {
            return Sight::Invalid(
                HostCode::ProbeInvalid
                    .failure(format!("{url:?} cannot be asked; allowed: http://HOST[:PORT]/PATH")),
            );
        }
    };
    match tokio::time::timeout(wanted.timeout.into(), ask(&uri)).await {
        Err(_) => Sight::Missed(format!("{url}: no answer within {}", wanted.timeout)),
        Ok(Err(why)) => Sight::Missed(format!("{url}: {why}")),
        Ok(Ok(answer)) => match judge(&answer, wanted) {
            Ok(seen) => Sight::Passed(format!("{url}: {seen}")),
            Err(miss) => Sight::Missed(format!("{url}: {miss}")),
        },
    }
}

async fn ask(uri: &Uri) -> Result<Answer, String> {
    // An IPv6 host stands in brackets, which are the URL's and not the address's.
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let exchange = async {
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let request = Request::get(path)
            .header(header::HOST, uri.authority().map_or("", |a| a.as_str()))
            .header(header::USER_AGENT, "lockkeeper-probe")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|e| e.to_string())?;
        let (head, body) = sender.send_request(request).await.map_err(|e| e.to_string())?.into_parts();
        let body = Limited::new(body, BODY_MAX).collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end first; the answer is complete then, or never will be.
        _ = connection => exchange.await,
    }
}

fn judge(answer: &Answer, wanted: &Wanted<'_>) -> Result<String, String> {
    let mut seen = vec![format!("status {}", answer.status.as_u16())];
    if answer.status.as_u16() != wanted.status {
        return Err(format!("expected status {}, found {}", wanted.status, answer.status.as_u16()));
    }
    for (name, value) in wanted.headers {
        let found = answer.headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        if found.as_deref() != Some(value) {
            return Err(format!("header {name}: expected {value:?}, found {found:?}"));
        }
        seen.push(format!("{name}: {value}"));
    }
    let body = String::from_utf8_lossy(&answer.body);
    if !body.contains(wanted.contains) {
        return Err(format!("expected {:?} in the body, found {:?}", wanted.contains, start(&body)));
    }
    if !wanted.contains.is_empty() {
        seen.push(format!("says {:?}", wanted.contains));
    }
    if !wanted.json.is_empty() {
        let json: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|_| format!("expected JSON, found {:?}", start(&body)))?;
        for (pointer, value) in wanted.json {
            let found = json.pointer(pointer).map(as_text);
            if found.as_deref() != Some(value) {
                return Err(format!("{pointer}: expected {value:?}, found {found:?}"));
            }
            seen.push(format!("{pointer} = {value}"));
        }
    }
    Ok(seen.join(", "))
}

/// A text without its quotes, anything else as JSON writes it.
fn as_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn start(body: &str) -> String {
    body.trim().chars().take(120).collect()
}
