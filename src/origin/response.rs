//! An application's answer. Its body is read as the client takes it; read to the end, the connection goes back to
//! the pool, dropped before, the connection is closed.

use super::connect::Sender;
use super::error::OriginError;
use super::pool::{Place, Pool, within};
use crate::channel::Publication;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::rc::Rc;

/// An answer.
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Reason phrase, if it is not the standard one.
    pub reason: Option<String>,
    /// End-to-end fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: ResponseBody,
    /// What a built-in application publishes with it.
    pub publish: Vec<Publication>,
}

/// An answer's body.
pub struct ResponseBody(Source);

enum Source {
    Whole(Bytes),
    Incoming { incoming: Incoming, idle_timeout_ms: u64, home: Option<(Rc<Pool>, Place, Sender)> },
}

impl ResponseBody {
    /// A body that is at hand.
    pub fn whole(bytes: Bytes) -> ResponseBody {
        ResponseBody(Source::Whole(bytes))
    }

    pub(super) fn incoming(
        incoming: Incoming,
        idle_timeout_ms: u64,
        home: (Rc<Pool>, Place, Sender),
    ) -> ResponseBody {
        let mut body = ResponseBody(Source::Incoming { incoming, idle_timeout_ms, home: Some(home) });
        body.go_home_at_end();
        body
    }

    /// The next part; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, OriginError>> {
        loop {
            match &mut self.0 {
                Source::Whole(bytes) => {
                    return Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()).map(Ok);
                }
                Source::Incoming { incoming, idle_timeout_ms, .. } => {
                    let frame = match within(*idle_timeout_ms, incoming.frame()).await {
                        Some(Some(Ok(frame))) => frame,
                        Some(Some(Err(error))) => return Some(Err(OriginError::Broken(error.to_string()))),
                        Some(None) => {
                            self.go_home_at_end();
                            return None;
                        }
                        None => return Some(Err(OriginError::Silent(*idle_timeout_ms))),
                    };
                    self.go_home_at_end();
                    // Trailers are not passed on.
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
            }
        }
    }

    /// The length of what is left, if it is known.
    pub fn exact_length(&self) -> Option<u64> {
        match &self.0 {
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Incoming { incoming, .. } => incoming.size_hint().exact(),
        }
    }

    fn go_home_at_end(&mut self) {
        let Source::Incoming { incoming, home, .. } = &mut self.0 else { return };
        if incoming.is_end_stream() {
            if let Some((pool, place, sender)) = home.take() {
                pool.put(place, sender);
            }
        }
    }
}
