//! Takes one message to a control port, plain or over TLS, for `gripwire publish`. Each step has a bound in time, and
//! the answer one in size.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::control_port::ControlPort;
use super::destination::Outcome;
use super::receipt::{self, Receipt};

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

/// Posts `body` as JSON, and waits so long for a receipt if one is wanted; succeeds if the server took it.
pub fn post(destination: &ControlPort, body: &[u8], wait: Option<Duration>) -> Result<Outcome, PostError> {
    let to = destination.to_string();
    let target = format!("{to}{}", wait.map(receipt::query).unwrap_or_default());
    let patience = PATIENCE + wait.unwrap_or_default();
    let mut request = agent(patience).post(&target).header("Content-Type", "application/json");
    if let Some(authorization) = &destination.authorization {
        request = request.header("Authorization", authorization);
    }
    let mut answer = match request.send(body) {
        Ok(answer) => answer,
        Err(error) => return Err(PostError::Unanswered { to, source: Box::new(error) }),
    };
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES).lossy_utf8(true).read_to_string();
    let body = body.unwrap_or_default();
    match answer.status().is_success() {
        true => outcome(to, &body, wait.is_some()),
        false => Err(PostError::Refused { to, status: answer.status().as_u16(), body }),
    }
}

/// What the body of an answer says that took the message.
pub fn outcome(to: String, body: &str, wants_receipt: bool) -> Result<Outcome, PostError> {
    match wants_receipt {
        true => Receipt::parse(body.as_bytes()).map(Outcome::Reached).ok_or(PostError::NoReceipt { to }),
        false => Ok(Outcome::Published),
    }
}

/// Asks nobody but the server: a redirect would take the credentials elsewhere, and so would a proxy.
fn agent(patience: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .timeout_global(Some(patience));
    config.build().into()
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

/// How long a server may take, beside what it waits for a receipt.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What is read of an answer.
pub const ANSWER_BYTES: u64 = 64 * 1024;
