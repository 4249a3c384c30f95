//! Duplicated and reordered messages: what a machine once said on a connection is said again on another one, later.
//!
//! A whole connection is repeated byte by byte, so every request on it (votes, entries, proposals, signs of life) comes
//! a second time and after newer ones. TLS rules this out on a real wire; retries of callers do not.

use super::card::PORT;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use turmoil::net::TcpStream;

/// Bytes kept of one connection: some seconds of a leader's life.
const BYTES_MAX: usize = 64 << 10;

/// Pause between two pieces of a replay, so that the other side's answers come in between as they once did.
const PIECE_PAUSE: Duration = Duration::from_millis(5);

/// What one side said on one connection.
#[derive(Debug, Clone)]
pub struct Recording {
    to: String,
    pieces: Vec<Vec<u8>>,
}

impl Recording {
    /// Name of the machine it was said to.
    pub fn to(&self) -> &str {
        &self.to
    }
}

/// A recording being made.
#[derive(Debug)]
pub struct Recorder {
    recording: Recording,
    left: usize,
}

impl Recorder {
    /// Begins with the hello line.
    pub fn new(to: &str, hello: &str) -> Self {
        let recording = Recording { to: to.to_owned(), pieces: vec![hello.as_bytes().to_vec()] };
        Self { recording, left: BYTES_MAX }
    }

    /// Takes what is said, as long as there is room.
    pub fn said(&mut self, bytes: &[u8]) {
        if bytes.len() > self.left {
            // A later piece without this one would mean nothing.
            self.left = 0;
            return;
        }
        self.left -= bytes.len();
        self.recording.pieces.push(bytes.to_vec());
    }

    /// The recording, if more than the hello was said.
    pub fn finish(self) -> Option<Recording> {
        (self.recording.pieces.len() > 1).then_some(self.recording)
    }
}

/// Says it again; what is answered is read and thrown away.
pub async fn replay(recording: Recording) {
    let Ok(stream) = TcpStream::connect((recording.to.as_str(), PORT)).await else { return };
    let (mut from, mut to) = stream.into_split();
    let say = async {
        for piece in &recording.pieces {
            if to.write_all(piece).await.is_err() {
                return;
            }
            tokio::time::sleep(PIECE_PAUSE).await;
        }
    };
    let hear = async {
        let mut buffer = vec![0; 4096];
        while from.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    };
    tokio::select! {
        () = say => {}
        () = hear => {}
    }
}
