//! The result of `gripwire publish`: the message was accepted or sent, or the reason why not. `post`, `local`, `datagram`
//! and `push` return one of these.

use super::receipt::Receipt;

/// The result for a message that was sent.
#[derive(PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The server has accepted the message.
    Published,
    /// The server has accepted the message and gave a receipt.
    Reached(Receipt),
    /// The message was sent by a transport without answers.
    Sent,
}

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The server did not answer. The message may have arrived nevertheless.
    #[error(
        "cannot publish to {to}; check that the server is running and that --spec (or GRIP_URL) names its control \
         port"
    )]
    Unanswered {
        /// The server.
        to: String,
        /// The error of the HTTP client.
        source: Box<ureq::Error>,
    },
    /// The message could not be sent.
    #[error(
        "cannot publish to {to}; check that the server is running and that --spec (or GRIP_URL) names its socket"
    )]
    Unsent {
        /// The server.
        to: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The message was published, but the server gave no receipt.
    #[error(
        "{to} accepted the message but gave no receipt: the server does not support them; leave out --receipt"
    )]
    NoReceipt {
        /// The server.
        to: String,
    },
    /// The server does not allow this user to publish.
    #[error("{to} refused the message: {}; see `ingest.unix_users` in the server's configuration", body.trim_end())]
    NotAllowed {
        /// The server.
        to: String,
        /// The body of the answer.
        body: String,
    },
    /// The server refused the message.
    #[error("{to} refused the message with {status}: {}; {}", body.trim_end(), advice(*status))]
    Refused {
        /// The server.
        to: String,
        /// The status of the answer.
        status: u16,
        /// The body of the answer.
        body: String,
    },
}

impl Outcome {
    /// Reads the body of a successful answer.
    ///
    /// # Errors
    /// A receipt was wanted, and the body is none.
    pub fn of_answer(to: String, body: &str, wants_receipt: bool) -> Result<Outcome, PostError> {
        match wants_receipt {
            true => Receipt::parse(body.as_bytes()).map(Outcome::Reached).ok_or(PostError::NoReceipt { to }),
            false => Ok(Outcome::Published),
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        400 => {
            "the message is not valid, or it is larger than `control.body_bytes` of the server's configuration"
        }
        401 | 403 => "give --user or --bearer, or put `iss` and `key` into GRIP_URL",
        404 | 405 => "check that --spec (or GRIP_URL) names a control port, and its path",
        413 => "the message is larger than `control.body_bytes` of the server's configuration",
        500..=599 => "the server failed: see its log, and try again",
        _ => "check that --spec (or GRIP_URL) names a control port",
    }
}
