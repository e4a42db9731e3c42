//! What can go wrong between a request and its answer, for the operator's log (`Display`, with everything
//! that was tried) and for the client ([`OriginError::answer`], Pushpin's statuses and words, so that scripts
//! which look for them keep working). The pool makes most of these; the proxy task makes those about routes
//! and instructs.

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
        /// Its path.
        path: String,
    },
    /// No target of the route took a connection.
    #[error("no target of route {route} can be reached: {}", list(tried, Attempt::explain))]
    Unreachable {
        /// The route's id.
        route: String,
        /// In the order of trying.
        tried: Vec<Attempt>,
    },
    /// The origin is where it must not be.
    #[error("{}: {}", attempt.target, attempt.error)]
    Blocked {
        /// Who it is.
        attempt: Attempt,
    },
    /// The origin broke off, or sent what is no HTTP answer.
    #[error("{target} broke off or sent a bad response: {source}")]
    Broken {
        /// `host:port`.
        target: String,
        /// What is wrong with it.
        source: BadAnswer,
    },
    /// The origin neither sent nor took a byte for too long.
    #[error("{target} was silent for {idle_ms} ms (origin_idle_timeout_ms)")]
    Idle {
        /// `host:port`.
        target: String,
        /// The setting.
        idle_ms: u64,
    },
    /// The request waited for its turn for too long; nothing was sent.
    #[error(
        "{target} could not be asked within {timeout_ms} ms (queue_timeout_ms): too many requests are open, or take too \
         long; see whether it hangs or is overloaded, else raise open_requests_per_core"
    )]
    QueueTimeout {
        /// `host:port`.
        target: String,
        /// The setting.
        timeout_ms: u64,
    },
    /// The origin switched protocols without being asked to.
    #[error("{target} answered 101 though no upgrade was asked for")]
    Switched {
        /// `host:port`.
        target: String,
    },
    /// The origin accepted a WebSocket without having read its key (RFC 6455 section 4.1).
    #[error("{target} answered a WebSocket's handshake with a Sec-WebSocket-Accept that is not its key's")]
    Handshake {
        /// `host:port`.
        target: String,
    },
    /// A client that is no GRIP proxy sent events of a WebSocket, where this server alone does.
    #[error("a client sent events of a WebSocket to route {route}")]
    ForgedEvents {
        /// The route's id.
        route: String,
    },
    /// The request's own body broke off or was malformed.
    #[error("the client's request body failed on its way to {target}: {source}")]
    RequestBody {
        /// `host:port`.
        target: String,
        /// What the client did.
        source: io::Error,
    },
    /// The request cannot be made.
    #[error("the request target {target:?} cannot be sent to an origin")]
    RequestTarget {
        /// As it came.
        target: String,
    },
    /// The request's body is larger than what can be kept for a GRIP hold.
    #[error("the request's body is too large to hold the request")]
    RequestTooLarge,
    /// An answer that is to be read has a content coding that cannot be undone.
    #[error("{target} sent an answer that cannot be decoded: {reason}; it was asked for `identity`")]
    ContentCoding {
        /// `host:port`.
        target: String,
        /// Why not.
        reason: CodingError,
    },
    /// A GRIP instruct does not read.
    #[error("{target} sent a GRIP instruct that does not read: {reason}")]
    Instruct {
        /// `host:port`.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A GRIP answer's body is larger than what can be kept for a hold.
    #[error("{target} sent a GRIP answer whose body is too large to hold")]
    InstructTooLarge {
        /// `host:port`.
        target: String,
    },
    /// This server cannot take more.
    #[error("the server is stopping or has no room")]
    Unavailable,
}

/// What is wrong with an answer, or with the connection that it was to come on.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    /// The connection ended too early.
    #[error("the connection was closed before the answer was whole")]
    Ended,
    /// Something came on a used connection before the request was sent.
    #[error("it sent something that no request asked for")]
    Unasked,
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// The head cannot be read.
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
    /// What it came to.
    pub error: ConnectError,
}

/// What a client is told instead of an origin's answer. Goes out as `text/plain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// Ends with a line feed.
    pub body: Cow<'static, str>,
    /// When the client may try again (`Retry-After`), s.
    pub retry_after_s: Option<u32>,
}

impl OriginError {
    /// The answer to the client; `debug` is the route's or the server's setting.
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

/// Long enough that clients who try again are no load, and short enough for people who wait.
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
