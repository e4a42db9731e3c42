//! The pages that load balancers and orchestrators probe, on the control port and on the metrics port. `/healthz` says
//! that the server is alive, `/readyz` whether it should get new clients. They need no token, and they do not look at
//! the page or the host that a request names, because they tell nothing else.

use crate::clients::{Request, answer};
use crate::context::Phase;
use crate::proto::grip::Answer;
use http::Method;

/// The path that is answered with 200 by every server that is alive.
pub(super) const ALIVE: &str = "/healthz";
/// The path that is answered with 200 by every server that is ready for new clients.
pub(super) const READY: &str = "/readyz";

/// The answer to `request` if it is a probe of a server in `phase`.
pub fn probe(request: &Request, phase: Phase) -> Option<Answer> {
    if ![Method::GET, Method::HEAD].contains(&request.method) {
        return None;
    }
    match request.target.split('?').next()? {
        ALIVE => Some(answer::text(200, "alive\n")),
        READY => Some(ready(phase)),
        _ => None,
    }
}

fn ready(phase: Phase) -> Answer {
    match phase {
        Phase::Starting => answer::text(503, "The server is starting.\n"),
        Phase::Ready => answer::text(200, "ready\n"),
        Phase::Draining => answer::text(503, "The server is draining and takes no new clients.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Service;
    use crate::proto::http1::BodyLength;
    use http::HeaderMap;

    fn status(method: Method, target: &str, phase: Phase) -> Option<u16> {
        let (target, host, headers) = (target.to_owned(), "x".to_owned(), HeaderMap::new().into());
        let (body, peer, service) = (BodyLength::None, None, Service::Control);
        let request = Request { method, target, host, headers, body, peer, service, is_trusted: false };
        probe(&request, phase).map(|answer| answer.status)
    }

    #[test]
    fn a_server_is_alive_in_every_phase_and_ready_in_one() {
        for (phase, ready) in [(Phase::Starting, 503), (Phase::Ready, 200), (Phase::Draining, 503)] {
            assert_eq!(status(Method::GET, "/healthz", phase), Some(200));
            assert_eq!(status(Method::GET, "/readyz?verbose", phase), Some(ready), "{phase:?}");
            assert_eq!(status(Method::HEAD, "/readyz", phase), Some(ready), "{phase:?}");
        }
    }

    #[test]
    fn other_requests_are_no_probes() {
        for (method, target) in [
            (Method::POST, "/healthz"),
            (Method::GET, "/healthz/"),
            (Method::GET, "/readyz/more"),
            (Method::GET, "/"),
            (Method::OPTIONS, "/readyz"),
        ] {
            assert_eq!(status(method, target, Phase::Ready), None, "{target}");
        }
    }
}
