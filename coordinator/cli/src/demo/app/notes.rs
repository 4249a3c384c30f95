//! Reading and writing a note in either schema. Knows SQL, not HTTP.

use super::journal::Who;
use super::release::AppVersion;
use super::store::{self, What};
use super::work::{self, Rounds, Split};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

/// A note as it is sent to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Its number, given once.
    pub id: i64,
    /// One line.
    pub title: String,
    /// One line.
    pub author: String,
    /// Any text.
    pub body: String,
    /// Only version 2.0 has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
}

/// A note as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Draft {
    title: String,
    author: String,
    body: String,
}

impl Draft {
    /// Title and author are one line each; the title is not empty.
    pub fn fault(&self) -> Option<&'static str> {
        if self.title.is_empty() {
            Some("title: found nothing")
        } else if self.title.contains('\n') || self.author.contains('\n') {
            Some("title and author: one line each")
        } else {
            None
        }
    }

    /// The title as sent.
    pub fn title(&self) -> &str {
        &self.title
    }

    fn split(&self) -> Split<'_> {
        Split { title: &self.title, author: &self.author, body: &self.body }
    }
}

/// Reads one note.
pub fn read(connection: &Connection, version: AppVersion, id: i64) -> rusqlite::Result<Option<Note>> {
    match version {
        AppVersion::V1 => connection
            .query_row("select text from notes where id = ?1", [id], |row| {
                let text: String = row.get(0)?;
                let Split { title, author, body } =
                    work::split(&text).unwrap_or(Split { title: &text, author: "", body: "" });
                Ok(Note { id, title: title.into(), author: author.into(), body: body.into(), slug: None })
            })
            .optional(),
        AppVersion::V2 => connection
            .query_row("select title, author, body, slug from notes where id = ?1", [id], |row| {
                Ok(Note { id, title: row.get(0)?, author: row.get(1)?, body: row.get(2)?, slug: row.get(3)? })
            })
            .optional(),
    }
}

/// Writes one note and its audit row into an open transaction; the caller commits, then acknowledges.
pub fn insert(change: &Transaction<'_>, who: &Who, draft: &Draft, rounds: Rounds) -> rusqlite::Result<i64> {
    let text = work::join(&draft.split());
    let id = match who.version {
        AppVersion::V1 => {
            change.execute("insert into notes (text, at) values (?1, ?2)", params![text, store::now()])?;
            change.last_insert_rowid()
        }
        AppVersion::V2 => {
            change.execute(
                "insert into notes (title, author, body, slug, digest, at) values (?1, ?2, ?3, '', ?4, ?5)",
                params![draft.title, draft.author, draft.body, work::digest(&text, rounds), store::now()],
            )?;
            let id = change.last_insert_rowid();
            change.execute(
                "update notes set slug = ?1 where id = ?2",
                params![work::slug(&draft.title, id), id],
            )?;
            id
        }
    };
    store::audit(change, who, What::Write, &id.to_string())?;
    Ok(id)
}
