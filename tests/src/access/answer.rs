//! What a caller got for a call.

use super::raw::Heard;
use std::fmt;
use tonic::Code;

/// Codes by which a service refuses a caller for who it is.
const REFUSALS: [&str; 3] = ["LK3027", "LK3308", "LK4019"];

/// What a caller got for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The handshake ended with an alert, and not a byte of an answer came.
    Alert(&'static str),
    /// The service is not offered on this connection.
    NotServed,
    /// Refused for who it is, with this code.
    Refused(String),
    /// The call was let in, whatever it then said to an empty message.
    Reached,
    /// None of these.
    Odd(String),
}

impl Answer {
    /// What an answer means.
    pub fn of(heard: &Heard) -> Self {
        match heard {
            Heard::Message(_) | Heard::End => Answer::Reached,
            Heard::Status { code: Code::Unimplemented, .. } => Answer::NotServed,
            Heard::Status { page: Some(page), .. } if REFUSALS.contains(&page.as_str()) => {
                Answer::Refused(page.clone())
            }
            Heard::Status { page: Some(_), .. } => Answer::Reached,
            Heard::Status { code, page: None, text } => Answer::Odd(format!("{code:?}: {text}")),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Alert(why) => f.pad(&format!("tls: {why}")),
            Answer::NotServed => f.pad("-"),
            Answer::Refused(code) => f.pad(code),
            Answer::Reached => f.pad("reached"),
            Answer::Odd(text) => f.pad(text),
        }
    }
}
