//! An answer's body, piece by piece. The proxy task reads it; the piece after which nothing can follow
//! already hands the connection back to the pool, so that a whole short answer costs one wait. A body that is
//! dropped before its end closes its connection, because what is left of it cannot be skipped for free.

use super::connect::Place;
use super::connection::Connection;
use super::error::OriginError;
use super::idle::Idle;
use super::openings::Opening;
use crate::runtime;
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// The body of a [`super::Response`].
pub struct ResponseBody(Source);

enum Source {
    Ended,
    Whole(Bytes),
    Origin(Box<Arriving>),
}

struct Arriving {
    incoming: Incoming,
    lease: Lease,
}

/// A connection in use: where it goes back to, how long it may be silent, and its place among the open
/// requests.
pub(super) struct Lease {
    pub connection: Connection,
    pub place: Place,
    pub home: Rc<RefCell<Idle<Connection>>>,
    pub idle: Duration,
    /// Given back when the answer is read to its end.
    pub _opening: Opening,
}

impl ResponseBody {
    /// A body that is all there.
    pub(super) fn whole(bytes: Bytes) -> Self {
        ResponseBody(Source::Whole(bytes))
    }

    /// A body that arrives on `lease`.
    pub(super) fn arriving(incoming: Incoming, lease: Lease) -> Self {
        let mut body = ResponseBody(Source::Origin(Box::new(Arriving { incoming, lease })));
        body.release_if_ended();
        body
    }

    /// The next piece, never empty; `None` at the end. After an error there is nothing more.
    ///
    /// Cancel safe: a piece is lost only if it was returned.
    pub async fn next(&mut self) -> Option<Result<Bytes, OriginError>> {
        loop {
            let arriving = match &mut self.0 {
                Source::Origin(arriving) => arriving,
                whole => match std::mem::replace(whole, Source::Ended) {
                    Source::Whole(bytes) if !bytes.is_empty() => return Some(Ok(bytes)),
                    _ => return None,
                },
            };
            match arriving.frame().await {
                // Trailers are not forwarded.
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => {
                        self.release_if_ended();
                        return Some(Ok(data));
                    }
                    _ => continue,
                },
                Ok(None) => self.release(),
                Err(error) => {
                    self.0 = Source::Ended;
                    return Some(Err(error));
                }
            }
        }
    }

    /// How many bytes are still to come, if that is known. 0 for an answer to HEAD.
    pub fn exact_length(&self) -> Option<u64> {
        match &self.0 {
            Source::Ended => Some(0),
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Origin(arriving) => arriving.incoming.size_hint().exact(),
        }
    }

    /// Whether nothing more will come.
    pub fn is_ended(&self) -> bool {
        self.exact_length() == Some(0)
    }

    fn release_if_ended(&mut self) {
        if matches!(&self.0, Source::Origin(arriving) if arriving.incoming.is_end_stream()) {
            self.release();
        }
    }

    /// Gives the connection back. One that is not ready still sends its request, which nobody reads: it is
    /// closed.
    fn release(&mut self) {
        if let Source::Origin(arriving) = std::mem::replace(&mut self.0, Source::Ended) {
            let Lease { connection, place, home, .. } = arriving.lease;
            home.borrow_mut().put(&place, connection, runtime::now());
        }
    }
}

impl Arriving {
    async fn frame(&mut self) -> Result<Option<http_body::Frame<Bytes>>, OriginError> {
        let Lease { connection, place, idle, .. } = &self.lease;
        match connection.activity.unless_idle(*idle, self.incoming.frame()).await {
            Ok(frame) => {
                frame.transpose().map_err(|source| OriginError::Broken { target: place.name(), source })
            }
            Err(_too_long) => Err(OriginError::idle(place.name(), *idle)),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseBody({:?} bytes)", self.exact_length())
    }
}
