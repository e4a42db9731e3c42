//! Errors between a request and its answer. `Display` is for the operator's log and tells everything that was tried.
//! [`OriginError::answer`] is for the client and has Pushpin's statuses and texts, so scripts that look for them keep
//! working. The pool makes most of these errors; the proxy task makes the errors about routes and instructs.

use super::connect_error::ConnectError;
use crate::proto::content_coding::CodingError;
use crate::proto::http1::{AnswerError, BodyError};
use std::borrow::Cow;
use std::io;
use std::time::Duration;

/// Why a request got no answer from an origin.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// No route matched.
    #[error("no route for host {host:?} and path {path:?}; add one to the routes file (`*` is any host)")]
    NoRoute {
        /// The request's host.
        host: String,
        /// The request's path.
        path: String,
    },
    /// No target of the route accepted a connection.
    #[error("no target of route {route} can be reached: {}", list(tried, Attempt::explain))]
    Unreachable {
        /// The route's id.
        route: String,
        /// The targets in the order of trying.
        tried: Vec<Attempt>,
    },
    /// The target's addresses are not allowed: they are private, or this server's own.
    #[error("{}: {}", attempt.target, attempt.error)]
    Blocked {
        /// The target and the reason.
        attempt: Attempt,
    },
    /// The origin closed the connection early, or sent something that is not an HTTP answer.
    #[error("{target} closed the connection early or sent an invalid answer: {source}")]
    Broken {
        /// `host:port`.
        target: String,
        /// The error in the answer.
        source: BadAnswer,
    },
    /// The origin neither sent nor accepted a byte for too long.
    #[error("{target} was silent for {idle_ms} ms (origin_idle_timeout_ms)")]
    Idle {
        /// `host:port`.
        target: String,
        /// The value of `origin_idle_timeout_ms`.
        idle_ms: u64,
    },
    /// The request waited for its turn for too long; no byte of it was sent.
    #[error(
        "{target} could not be asked within {timeout_ms} ms (queue_timeout_ms): too many requests are open, or take too \
         long; see whether it hangs or is overloaded, else raise open_requests_per_core"
    )]
    QueueTimeout {
        /// `host:port`.
        target: String,
        /// The value of `queue_timeout_ms`.
        timeout_ms: u64,
    },
    /// The origin switched protocols without a request to do so.
    #[error("{target} answered 101 though no upgrade was asked for")]
    Switched {
        /// `host:port`.
        target: String,
    },
    /// The origin accepted a WebSocket with a Sec-WebSocket-Accept that does not match the key (RFC 6455 section
    /// 4.1).
    #[error("{target} accepted a WebSocket with a Sec-WebSocket-Accept that does not match the key")]
    Handshake {
        /// `host:port`.
        target: String,
    },
    /// A client that is not a trusted GRIP proxy sent WebSocket events as HTTP, which only this server may do.
    #[error("a client sent events of a WebSocket to route {route}")]
    ForgedEvents {
        /// The route's id.
        route: String,
    },
    /// The client's request body ended early or was malformed.
    #[error("the client's request body failed on its way to {target}: {source}")]
    RequestBody {
        /// `host:port`.
        target: String,
        /// The error of the client's body.
        source: io::Error,
    },
    /// The request target is not valid in a request to an origin.
    #[error("the request target {target:?} cannot be sent to an origin")]
    RequestTarget {
        /// The request target as the client sent it.
        target: String,
    },
    /// The request's body is larger than the copy that is kept for a GRIP hold may be.
    #[error("the request's body is too large to hold the request")]
    RequestTooLarge,
    /// An answer that this server has to read has a content coding that cannot be decoded.
    #[error("{target} sent an answer that cannot be decoded: {reason}; it was asked for `identity`")]
    ContentCoding {
        /// `host:port`.
        target: String,
        /// The error of the coding.
        reason: CodingError,
    },
    /// A GRIP instruct is invalid.
    #[error("{target} sent an invalid GRIP instruct: {reason}")]
    Instruct {
        /// `host:port`.
        target: String,
        /// The error in the instruct.
        reason: String,
    },
    /// The body of a GRIP answer is larger than the body of a hold may be.
    #[error("{target} sent a GRIP answer whose body is too large to hold")]
    InstructTooLarge {
        /// `host:port`.
        target: String,
    },
    /// The server is stopping, or has no capacity.
    #[error("the server is stopping or has no room")]
    Unavailable,
}

/// The error in an answer, or in the connection that the answer was expected on.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    /// The connection was closed before the answer was complete.
    #[error("the connection was closed before the answer was whole")]
    Ended,
    /// Bytes came on a used connection before the request was sent.
    #[error("it sent bytes that belong to no request")]
    Unasked,
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// The answer's head is malformed.
    #[error(transparent)]
    Head(#[from] AnswerError),
    /// The body breaks the rules of its framing.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// One target that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// `host:port`.
    pub target: String,
    /// Why the target gave no connection.
    pub error: ConnectError,
}

/// The answer to a client that gets none from an origin. It is sent as `text/plain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The body, which ends with a line feed.
    pub body: Cow<'static, str>,
    /// After how long the client may try again (`Retry-After`), s.
    pub retry_after_s: Option<u32>,
}

impl OriginError {
    /// The answer to the client. `debug` is the setting of the route or of the server: whether the answer says what
    /// failed.
    pub fn answer(&self, debug: bool) -> Refusal {
        let (status, body) = match self {
            OriginError::NoRoute { .. } => (502, "Route not found\n".into()),
            OriginError::ForgedEvents { .. } => {
                (403, "Client not allowed to send WebSocket events directly.\n".into())
            }
            OriginError::RequestTooLarge => (400, "Request too large to accept GRIP instruct.\n".into()),
            OriginError::RequestTarget { .. } => (400, "Invalid request target.\n".into()),
            OriginError::RequestBody { .. } => (400, "Failed to read request body.\n".into()),
            OriginError::QueueTimeout { .. } => (503, "Too many requests wait for the application.\n".into()),
            OriginError::Unavailable => (500, "Accept service unavailable.\n".into()),
            OriginError::Unreachable { tried, .. } if debug => {
                (502, format!("{NO_TARGET}{}\n", names(tried)).into())
            }
            OriginError::Blocked { .. } if debug => (502, "Error: Origin host/IP blocked.\n".into()),
            OriginError::Instruct { reason, .. } if debug => {
                (502, format!("Failed to parse accept instructions: {reason}\n").into())
            }
            OriginError::ContentCoding { reason, .. } if debug => {
                (502, format!("Failed to decode the application's answer: {reason}\n").into())
            }
            OriginError::InstructTooLarge { target } if debug => {
                (502, format!("GRIP instruct response too large from {target}\n").into())
            }
            _ => (502, "Error while proxying to origin.\n".into()),
        };
        let retry_after_s = matches!(self, OriginError::QueueTimeout { .. }).then_some(RETRY_AFTER_S);
        Refusal { status, body, retry_after_s }
    }

    pub(super) fn idle(target: String, idle: Duration) -> Self {
        OriginError::Idle { target, idle_ms: idle.as_millis() as u64 }
    }
}

impl Attempt {
    fn explain(&self) -> String {
        format!("{}: {}", self.target, self.error)
    }
}

fn names(tried: &[Attempt]) -> String {
    list(tried, |attempt| attempt.target.clone())
}

fn list(tried: &[Attempt], one: impl Fn(&Attempt) -> String) -> String {
    tried.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Long enough that clients which try again are no load, and short enough for people who wait.
pub const RETRY_AFTER_S: u32 = 5;
const NO_TARGET: &str = "Unable to connect to any targets. Tried: ";

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, SocketAddr};

    #[test]
    fn the_words_of_each_failure() {
        let timed_out = || ConnectError::TimedOut { timeout_ms: 5, refused: Vec::new() };
        let attempt = |target: &str| Attempt { target: target.into(), error: timed_out() };
        let target = || "a:1".to_string();
        let generic = "Error while proxying to origin.\n";
        let cases = [
            (
                OriginError::NoRoute { host: "h".into(), path: "/".into() },
                502,
                "Route not found\n",
                "Route not found\n",
            ),
            (
                OriginError::Unreachable { route: "r".into(), tried: vec![attempt("a:1"), attempt("b:2")] },
                502,
                generic,
                "Unable to connect to any targets. Tried: a:1, b:2\n",
            ),
            (OriginError::Idle { target: target(), idle_ms: 5 }, 502, generic, generic),
            (
                OriginError::QueueTimeout { target: target(), timeout_ms: 5 },
                503,
                "Too many requests wait for the application.\n",
                "Too many requests wait for the application.\n",
            ),
            (OriginError::Switched { target: target() }, 502, generic, generic),
            (
                OriginError::Instruct { target: target(), reason: "why".into() },
                502,
                generic,
                "Failed to parse accept instructions: why\n",
            ),
            (
                OriginError::InstructTooLarge { target: target() },
                502,
                generic,
                "GRIP instruct response too large from a:1\n",
            ),
            (
                OriginError::RequestTooLarge,
                400,
                "Request too large to accept GRIP instruct.\n",
                "Request too large to accept GRIP instruct.\n",
            ),
            (OriginError::Unavailable, 500, "Accept service unavailable.\n", "Accept service unavailable.\n"),
        ];
        for (error, status, quiet, debug) in cases {
            let retry_after_s = (status == 503).then_some(5);
            let refusal = |body: &'static str| Refusal { status, body: body.into(), retry_after_s };
            assert_eq!(error.answer(false), refusal(quiet), "{error}");
            assert_eq!(error.answer(true), refusal(debug), "{error}");
        }
    }

    fn refused(addresses: &[&str]) -> Vec<(SocketAddr, io::Error)> {
        let one = |address: &&str| {
            let ip: IpAddr = address.parse().unwrap();
            (SocketAddr::new(ip, 2), io::ErrorKind::ConnectionRefused.into())
        };
        addresses.iter().map(one).collect()
    }

    #[test]
    fn the_operator_reads_what_was_tried() {
        let error = OriginError::Unreachable {
            route: "r".into(),
            tried: vec![
                Attempt {
                    target: "a:1".into(),
                    error: ConnectError::TimedOut { timeout_ms: 5, refused: vec![] },
                },
                Attempt {
                    target: "b:2".into(),
                    error: ConnectError::Tcp { refused: refused(&["127.0.0.1", "::1"]) },
                },
            ],
        };
        let said = "no target of route r can be reached: a:1: no connection within 5 ms (connect_timeout_ms), b:2: \
                    connecting to 127.0.0.1:2: connection refused; connecting to [::1]:2: connection refused; check that \
                    the application listens there";
        assert_eq!(error.to_string(), said);
    }
}
