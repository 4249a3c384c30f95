//! A server whose answers a test holds back: `/slow` (or all but `/health`) waits until released.

use crate::bed::pause;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Held {
    addr: SocketAddr,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    released: AtomicBool,
    holds_all: AtomicBool,
    shut: AtomicBool,
    waiting: AtomicUsize,
}

impl Held {
    pub fn start(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.shut.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &state));
            }
        });
        Self { addr, state, accepting: Some(accepting) }
    }

    /// Closes the listener; connections are refused when this returns.
    pub fn shut(mut self) {
        self.state.shut.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees the wish.
        let _ = TcpStream::connect(self.addr);
        self.accepting.take().unwrap().join().unwrap();
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        self.state.waiting.load(Ordering::SeqCst)
    }

    /// Holds every path back but `/health`, not only `/slow`.
    pub fn hold_all(&self) {
        self.state.holds_all.store(true, Ordering::SeqCst);
    }

    /// Answers them, and all later ones at once.
    pub fn release(&self) {
        self.state.released.store(true, Ordering::SeqCst);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

fn answer(stream: TcpStream, state: &State) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    while lines.next().is_some_and(|line| !line.is_empty()) {}
    let all = state.holds_all.load(Ordering::SeqCst) && !first.contains(" /health ");
    if all || first.contains(" /slow ") {
        state.waiting.fetch_add(1, Ordering::SeqCst);
        while !state.released.load(Ordering::SeqCst) {
            pause(Duration::from_millis(2));
        }
        state.waiting.fetch_sub(1, Ordering::SeqCst);
    }
    // The other end may have gone; that is its test's business.
    let _ = (&stream).write_all(
        b"HTTP/1.1 200 OK\r\nx-member: held\r\ncontent-length: 5\r\nconnection: close\r\n\r\nheld\n",
    );
}
