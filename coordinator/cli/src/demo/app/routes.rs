//! The application's answers. Every request looks at the schema first; a member that runs on a schema that is
//! not its own damages data on purpose and says so, since the products we stand for damage it silently.

use super::guard::{self, Fit};
use super::journal::{AppLog, Event, Who};
use super::notes::{self, Draft, Note};
use super::store;
use super::work::{self, Rounds};
use crate::demo::inbound::{Reply, json, read_body, text};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ETAG, HeaderValue};
use hyper::{Method, Request, StatusCode};
use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A running member of the application.
pub struct Library {
    log: AppLog,
    rounds: Rounds,
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
    /// Filled by the warm-up: what has not changed since needs no new tag.
    tags: OnceLock<BTreeMap<i64, String>>,
    corrupted: AtomicBool,
}

/// What is asked for, after the path was understood.
enum Asked {
    Root,
    Health,
    Read(i64),
    Write(Bytes),
    NoSuchPage,
    NoSuchMethod,
}

#[derive(Serialize)]
struct Health<'a> {
    version: &'a str,
    schema: Option<i64>,
    member: &'a str,
    ready: bool,
}

#[derive(Serialize)]
struct Written<'a> {
    id: i64,
    title: &'a str,
}

impl Library {
    pub fn new(log: AppLog, rounds: Rounds, reader: Connection, writer: Connection) -> Self {
        let (reader, writer) = (Mutex::new(reader), Mutex::new(writer));
        Self { log, rounds, reader, writer, tags: OnceLock::new(), corrupted: AtomicBool::new(false) }
    }

    /// Reads every note and computes its tag: real work that a start has to do. Ready afterwards.
    pub fn warm_up(&self, rounds: Rounds) -> anyhow::Result<usize> {
        // Its own statement per slice of ids: requests (health above all) get at the connection in between.
        const SLICE: i64 = 100;
        let mut tags = BTreeMap::new();
        let highest: Option<i64> =
            lock(&self.reader).query_row("select max(id) from notes", [], |row| row.get(0))?;
        let mut next = 1;
        while next <= highest.unwrap_or(0) {
            let mut slice = Vec::new();
            {
                let connection = lock(&self.reader);
                for id in next..next + SLICE {
                    slice.extend(notes::read(&connection, self.who().version, id)?);
                }
            }
            tags.extend(slice.into_iter().map(|note| (note.id, tag(&note, rounds))));
            next += SLICE;
        }
        let count = tags.len();
        // Only the one warm-up sets it.
        let _ = self.tags.set(tags);
        Ok(count)
    }

    fn who(&self) -> &Who {
        self.log.who()
    }

    /// Answers one request; the work on the database runs on a thread that may wait.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Reply {
        let asked = match understand(request).await {
            Ok(asked) => asked,
            Err(refusal) => return self.signed(refusal),
        };
        let library = Arc::clone(&self);
        match tokio::task::spawn_blocking(move || library.work(asked)).await {
            Ok(Ok(reply)) => self.signed(reply),
            Ok(Err(error)) => {
                self.log.say(Event::Failed, &format!("{error:#}"));
                self.signed(text(StatusCode::INTERNAL_SERVER_ERROR, "the database could not be used"))
            }
            Err(_) => self.signed(text(StatusCode::INTERNAL_SERVER_ERROR, "the request failed")),
        }
    }

    fn work(&self, asked: Asked) -> rusqlite::Result<Reply> {
        let (fit, schema) = {
            let connection = lock(&self.reader);
            (guard::look(&connection, self.who().version)?, store::schema_version(&connection)?)
        };
        if fit != Fit::Fits {
            return self.damage(&fit);
        }
        let ready = self.tags.get().is_some();
        match asked {
            Asked::Health => {
                let (version, member) = (self.who().version.as_str(), self.who().member.as_str());
                let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                Ok(json(status, &Health { version, schema, member, ready }))
            }
            Asked::NoSuchPage => Ok(text(StatusCode::NOT_FOUND, "no such page")),
            Asked::NoSuchMethod => Ok(text(StatusCode::METHOD_NOT_ALLOWED, "no such method here")),
            Asked::Root | Asked::Read(_) | Asked::Write(_) if !ready => {
                Ok(text(StatusCode::SERVICE_UNAVAILABLE, "warming up"))
            }
            Asked::Root => Ok(text(StatusCode::OK, &format!("library of notes {}", self.who().version))),
            Asked::Read(id) => self.read(id),
            Asked::Write(body) => self.write(&body),
        }
    }

    fn read(&self, id: i64) -> rusqlite::Result<Reply> {
        let Some(note) = notes::read(&lock(&self.reader), self.who().version, id)? else {
            return Ok(text(StatusCode::NOT_FOUND, "no such note"));
        };
        let mut reply = json(StatusCode::OK, &note);
        let known = self.tags.get().and_then(|tags| tags.get(&id)).cloned();
        let tag = known.unwrap_or_else(|| tag(&note, Rounds(1)));
        if let Ok(value) = HeaderValue::from_str(&tag) {
            reply.headers_mut().insert(ETAG, value);
        }
        Ok(reply)
    }

    /// Acknowledged only after the commit is on the disk. The guard looks again inside the transaction, so that
    /// a schema changed since the first look is never written to silently.
    fn write(&self, body: &[u8]) -> rusqlite::Result<Reply> {
        let draft: Draft = match serde_json::from_slice(body) {
            Ok(draft) => draft,
            Err(error) => return Ok(text(StatusCode::BAD_REQUEST, &format!("not a note: {error}"))),
        };
        if let Some(fault) = draft.fault() {
            return Ok(text(StatusCode::BAD_REQUEST, fault));
        }
        let fit = {
            let mut connection = lock(&self.writer);
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let fit = guard::look(&change, self.who().version)?;
            if fit == Fit::Fits {
                let id = notes::insert(&change, self.who(), &draft, self.rounds)?;
                change.commit()?;
                return Ok(json(StatusCode::CREATED, &Written { id, title: draft.title() }));
            }
            fit
        };
        self.damage(&fit)
    }

    /// One row for each process is enough to make misuse visible; the answer is 500 from then on.
    fn damage(&self, fit: &Fit) -> rusqlite::Result<Reply> {
        let found = fit.complaint(self.who()).unwrap_or_default();
        if !self.corrupted.swap(true, Ordering::SeqCst) {
            let found = format!("served on: {found}");
            self.log.say(Event::Corrupt, &found);
            store::corrupt(&lock(&self.writer), self.who(), &found)?;
        }
        Ok(text(StatusCode::INTERNAL_SERVER_ERROR, &found))
    }

    fn signed(&self, mut reply: Reply) -> Reply {
        // A member's name is plain ASCII, checked when it was read.
        if let Ok(member) = HeaderValue::from_str(self.who().member.as_str()) {
            reply.headers_mut().insert("x-member", member);
        }
        reply.headers_mut().insert("x-version", HeaderValue::from_static(self.who().version.as_str()));
        reply
    }
}

async fn understand(request: Request<Incoming>) -> Result<Asked, Reply> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    Ok(match (&head.method, path) {
        (&Method::GET, "/") => Asked::Root,
        (&Method::GET, "/health") => Asked::Health,
        (&Method::POST, "/notes") => Asked::Write(read_body(body).await?),
        (&Method::GET, path) => match path.strip_prefix("/notes/").and_then(|id| id.parse().ok()) {
            Some(id) => Asked::Read(id),
            None => Asked::NoSuchPage,
        },
        (_, _) => Asked::NoSuchMethod,
    })
}

fn tag(note: &Note, rounds: Rounds) -> String {
    let text = format!("{} {} {} {}", note.id, note.title, note.author, note.body);
    format!("\"{}\"", &work::digest(&text, rounds)[..16])
}

/// A panic while holding it leaves no half-done state: transactions roll back when dropped.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
