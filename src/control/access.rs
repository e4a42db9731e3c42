//! Decides what a caller of the control port may do. A caller with a secret may do what the secret grants. Without any
//! secret in the settings, the port is meant for this machine, and its callers may do everything. A pushpin.conf can
//! open the port to other machines without secrets; then, as with Pushpin, every caller may publish, but do nothing
//! else.

use crate::clients::Service;
use crate::clients::answer;
use crate::config::{Control, Grants};
use crate::proto::grip::Answer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use subtle::ConstantTimeEq;

/// The grants of the caller; `None` if it has none.
pub(super) fn grants(control: &Control, service: Service, headers: &HeaderMap) -> Option<Grants> {
    // The kernel has said which user of this machine the caller is, which proves more than a secret.
    if service == Service::LocalControl {
        return Some(Grants::all());
    }
    if !control.has_secret() {
        let is_open = control.listen.is_some_and(|listen| !listen.ip().is_loopback());
        return Some(if is_open { Grants::to_publish() } else { Grants::all() });
    }
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    grants_of(control, given)
}

/// The answer to a caller without a secret.
pub(super) fn unauthorized() -> Answer {
    let mut refusal = answer::text(401, "Authorization is needed to publish here.\n");
    refusal.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refusal
}

/// The answer to a caller that may not do `what`.
pub(super) fn forbidden(control: &Control, what: &str) -> Answer {
    let why = match control.has_secret() {
        true => format!("This token lacks the permission to {what}.\n"),
        false => {
            format!("This port is open to other machines, so a token is needed to {what} (control.tokens).\n")
        }
    };
    answer::text(403, why)
}

/// The grants of the secret in `given`, a value of Authorization. All secrets are compared, each in a time that does
/// not tell how many of its bytes were right.
fn grants_of(control: &Control, given: &[u8]) -> Option<Grants> {
    let mut found = None;
    let mut compare = |expected: String, grants: &dyn Fn() -> Grants| {
        if bool::from(expected.as_bytes().ct_eq(given)) {
            found = Some(grants());
        }
    };
    if let Some(token) = &control.bearer_token {
        compare(format!("Bearer {token}"), &Grants::all);
    }
    if let Some(password) = &control.basic_password {
        compare(format!("Basic {}", STANDARD.encode(password)), &Grants::all);
    }
    for token in &control.tokens {
        compare(format!("Bearer {}", token.secret), &|| token.grants.clone());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Token};

    fn control(listen: &str) -> Control {
        Control { listen: listen.parse().ok(), ..Config::default().control }
    }

    fn of(control: &Control, given: &'static str) -> Option<Grants> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(given));
        grants(control, Service::Control, &headers)
    }

    #[test]
    fn a_secret_has_the_grants_of_its_setting() {
        let mut control = control("127.0.0.1:1");
        assert_eq!(of(&control, ""), Some(Grants::all()));
        control.tokens = vec![Token::parse("inspect abc").unwrap()];
        assert!(of(&control, "Bearer abc").is_some_and(|grants| grants.inspect && !grants.admin));
        for given in ["", "Bearer ab", "Bearer abd", "Bearer abcd", "abc"] {
            assert_eq!(of(&control, given), None, "{given}");
        }
        control.basic_password = Some("u:p".into());
        assert_eq!(of(&control, "Basic dTpw"), Some(Grants::all()));
        let local = grants(&control, Service::LocalControl, &HeaderMap::new());
        assert_eq!(local, Some(Grants::all()));
    }

    #[test]
    fn a_port_without_secrets_that_others_reach_only_publishes() {
        assert_eq!(of(&control("0.0.0.0:1"), ""), Some(Grants::to_publish()));
    }
}
