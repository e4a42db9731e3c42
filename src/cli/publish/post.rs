//! Takes one message to a control port, plain or over TLS, for `gripwire publish`. Each step has a bound in time, and
//! the answer one in size.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::control_port::ControlPort;
use super::outcome::{Outcome, PostError};
use super::receipt;

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
        true => Outcome::of_answer(to, &body, wait.is_some()),
        false => Err(PostError::Refused { to, status: answer.status().as_u16(), body }),
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

/// How long a server may take, beside what it waits for a receipt.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What is read of an answer.
pub const ANSWER_BYTES: u64 = 64 * 1024;
