//! Posts one message to a control port, with or without TLS, for `gripwire publish`. The call has a time limit, and the
//! answer a size limit.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::control_port::ControlPort;
use super::outcome::{Outcome, PostError};
use super::receipt;

/// Posts `body` as JSON. With `wait`, asks for a receipt and waits that long for it.
///
/// # Errors
/// The server cannot be reached, refused the message, or gave no receipt.
pub fn post(destination: &ControlPort, body: &[u8], wait: Option<Duration>) -> Result<Outcome, PostError> {
    let (to, query) = (destination.to_string(), wait.map(receipt::query).unwrap_or_default());
    match call(destination, &query, body, PATIENCE + wait.unwrap_or_default()) {
        Ok((200..=299, body)) => Outcome::of_answer(to, &body, wait.is_some()),
        Ok((status, body)) => Err(PostError::Refused { to, status, body }),
        Err(error) => Err(PostError::Unanswered { to, source: Box::new(error) }),
    }
}

/// Posts `body` as JSON, and returns the status and the body of the answer.
///
/// # Errors
/// The server cannot be reached, or does not answer within `patience`.
pub fn call(
    destination: &ControlPort,
    query: &str,
    body: &[u8],
    patience: Duration,
) -> Result<(u16, String), ureq::Error> {
    let target = format!("{destination}{query}");
    let mut request = agent(patience).post(&target).header("Content-Type", "application/json");
    if let Some(authorization) = &destination.authorization {
        request = request.header("Authorization", authorization);
    }
    let mut answer = request.send(body)?;
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES).lossy_utf8(true).read_to_string();
    Ok((answer.status().as_u16(), body.unwrap_or_default()))
}

/// An HTTP client without redirects and proxies, because both would send the credentials to other servers.
fn agent(patience: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .timeout_global(Some(patience));
    config.build().into()
}

/// Time a server may take to answer, in addition to its wait for a receipt.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes that are read of an answer.
pub const ANSWER_BYTES: u64 = 64 * 1024;
