//! The last bytes of a stream. Knows nothing about where they come from.

use super::TAIL_MAX;
use std::collections::VecDeque;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Keeps the last [`TAIL_MAX`] bytes it was given.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: VecDeque<u8>,
    dropped: u64,
}

impl Tail {
    /// Takes more bytes and forgets the oldest.
    pub fn push(&mut self, more: &[u8]) {
        self.bytes.extend(more);
        while self.bytes.len() > TAIL_MAX {
            let over = self.bytes.len() - TAIL_MAX;
            self.bytes.drain(..over);
            self.dropped += u64::try_from(over).unwrap_or(u64::MAX);
        }
    }

    /// What is kept, as text, with every text of `secrets` blacked out.
    pub fn text(&self, secrets: &[String]) -> String {
        let (front, back) = self.bytes.as_slices();
        let mut text = String::from_utf8_lossy(&[front, back].concat()).into_owned();
        for secret in secrets.iter().filter(|s| !s.is_empty()) {
            text = text.replace(secret.as_str(), "[redacted]");
        }
        if self.dropped > 0 {
            text.insert_str(0, &format!("[{} bytes before this were not kept]\n", self.dropped));
        }
        text
    }
}

/// Reads a stream to its end, or until it breaks, into a tail that the caller shares.
pub async fn drain(mut stream: impl AsyncRead + Unpin, tail: &std::sync::Mutex<Tail>) {
    let mut buffer = [0_u8; 8192];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if let (Ok(mut tail), Some(read)) = (tail.lock(), buffer.get(..n)) {
                    tail.push(read);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_and_it_says_so() {
        let mut tail = Tail::default();
        tail.push(&vec![b'a'; TAIL_MAX]);
        tail.push(b"the end");
        let text = tail.text(&[]);
        assert!(text.starts_with("[7 bytes before this were not kept]\n"), "{}", &text[..60]);
        assert!(text.ends_with("athe end"));
    }

    #[test]
    fn secrets_are_blacked_out() {
        let mut tail = Tail::default();
        tail.push(b"login lk with hunter2 failed for hunter2");
        assert_eq!(
            tail.text(&["hunter2".into(), String::new()]),
            "login lk with [redacted] failed for [redacted]"
        );
    }
}
