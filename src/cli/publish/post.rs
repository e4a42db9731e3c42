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
        true => Outcome::of_answer(to, &body, wait.is_some()),
        false => Err(PostError::Refused { to, status: answer.status().as_u16(), body }),
    }
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
