//! Why a store was not opened.

use super::super::marker::{Marker, MarkerMismatch};
use super::super::stored::RecordError;
use std::path::PathBuf;

/// Why a store was not created or opened. In every case nothing was voted and nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store. A node whose identity says it had one must not vote with an empty one.
    #[error("there is no store at {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Creation was interrupted before the store had an owner; it can be created again.
    #[error("the store was never finished: it has no owner")]
    Unfinished,
    /// There is a store already.
    #[error("there is a store already, of node {} in cluster {}", found.node, found.cluster)]
    AlreadyThere {
        /// Whose.
        found: Box<Marker>,
    },
    /// Written by a newer build.
    #[error("the store has format {found}, this build reads up to {supported}")]
    Newer {
        /// The store's format.
        found: u32,
        /// The newest this build knows.
        supported: u32,
    },
    /// Not the store that the identity file names.
    #[error("not this node's store")]
    Mismatch(#[source] MarkerMismatch),
    /// Another process has it open.
    #[error("the store is open in another process")]
    InUse,
    /// A record is damaged or impossible.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Which record.
        what: String,
        /// What is wrong with it, where a record could not be read.
        #[source]
        source: Option<RecordError>,
    },
    /// The file could not be opened or created.
    #[error("cannot open {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database engine failed.
    #[error("cannot {doing}")]
    Engine {
        /// What was attempted.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Box<redb::Error>,
    },
}

impl StoreError {
    pub(super) fn engine<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            error => Self::Engine { doing, source: Box::new(error) },
        }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), source: None }
    }

    pub(super) fn record(what: &str) -> impl FnOnce(RecordError) -> Self {
        move |error| Self::Damaged { what: what.to_owned(), source: Some(error) }
    }
}
