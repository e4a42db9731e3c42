//! What became of a message of `gripwire publish`: it was taken or is on its way, or why not. Each way to a server (`post`,
//! `local`, `datagram`, `push`) ends in one of these.

use super::receipt::Receipt;

/// What is known of a message that was sent.
#[derive(PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The server has taken it.
    Published,
    /// The server has taken it, and says whom it has reached.
    Reached(Receipt),
    /// It is on its way; nobody answers datagrams.
    Sent,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// There is no answer. What was sent may have arrived nevertheless.
    #[error(
        "cannot publish to {to}; check that the server is running and that --spec (or GRIP_URL) names its control \
         port"
    )]
    Unanswered {
        /// Where.
        to: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// It did not get there.
    #[error(
        "cannot publish to {to}; check that the server is running and that --spec (or GRIP_URL) names its socket"
    )]
    Unsent {
        /// Where.
        to: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It was published, but nothing says whom it reached.
    #[error("{to} took the message and gave no receipt: it is a server that knows none; leave out --receipt")]
    NoReceipt {
        /// Where.
        to: String,
    },
    /// The server knows who asks, and said no.
    #[error("{to} refused the message: {}; see `unix_users` in [ingest] of its configuration", body.trim_end())]
    NotAllowed {
        /// Where.
        to: String,
        /// Its text.
        body: String,
    },
    /// The server said no.
    #[error("{to} refused the message with {status}: {}; {}", body.trim_end(), advice(*status))]
    Refused {
        /// Where.
        to: String,
        /// The status of the answer.
        status: u16,
        /// Its text.
        body: String,
    },
}

impl Outcome {
    /// What the body of an answer says that took the message.
    pub fn of_answer(to: String, body: &str, wants_receipt: bool) -> Result<Outcome, PostError> {
        match wants_receipt {
            true => Receipt::parse(body.as_bytes()).map(Outcome::Reached).ok_or(PostError::NoReceipt { to }),
            false => Ok(Outcome::Published),
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        400 => "the server does not understand it, or it is too large: see its `body_bytes`",
        401 | 403 => "give --user or --bearer, or put `iss` and `key` into GRIP_URL",
        404 | 405 => "check that --spec (or GRIP_URL) names a control port, and its path",
        413 => "the message is too large for this server: see its `body_bytes`",
        500..=599 => "the server is in trouble: see its log, and try again",
        _ => "check that --spec (or GRIP_URL) names a control port",
    }
}
