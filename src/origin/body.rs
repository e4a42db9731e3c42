//! The body of an answer, piece by piece. The proxy task reads it. The last piece hands the connection back to the
//! pool before it is returned, so a short answer costs one wait. A body that is dropped before its end closes its
//! connection, because the rest of the body would have to be read to reuse the connection.

use super::connection::Connection;
use super::error::OriginError;
use super::idle::Idle;
use super::openings::Opening;
use super::origin_address::OriginAddress;
use super::upload::Upload;
use crate::proto::http1::BodyDecoder;
use crate::runtime;
use bytes::Bytes;
use futures_lite::future::poll_fn;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The body of a [`super::Response`].
pub struct ResponseBody(Source);

enum Source {
    Ended,
    Whole(Bytes),
    Origin(Box<Arriving>),
}

/// A body that arrives on a connection.
pub(super) struct Arriving {
    pub decoder: BodyDecoder,
    /// The part of the request that is not written yet.
    pub upload: Option<Box<Upload>>,
    /// The connection may carry another request after the body.
    pub is_reusable: bool,
    pub lease: Lease,
}

/// A connection in use: where the connection goes back to, how long it may be silent, and its turn among the open
/// requests.
pub(super) struct Lease {
    pub connection: Connection,
    pub place: OriginAddress,
    pub home: Rc<RefCell<Idle<Connection>>>,
    pub idle: Duration,
    /// The request's turn; given back when the answer is read to its end.
    pub _opening: Opening,
}

impl ResponseBody {
    /// A body of which all bytes are in memory.
    pub(super) fn whole(bytes: Bytes) -> Self {
        ResponseBody(Source::Whole(bytes))
    }

    /// A body that arrives on a connection.
    pub(super) fn arriving(arriving: Arriving) -> Self {
        let mut body = ResponseBody(Source::Origin(Box::new(arriving)));
        body.release_if_ended();
        body
    }

    /// The next piece, never empty; `None` at the end and after an error.
    ///
    /// Cancel safe: dropping the future loses no piece.
    ///
    /// # Errors
    /// [`OriginError::Broken`], [`OriginError::Idle`] or [`OriginError::RequestBody`] when the answer cannot be
    /// completed.
    pub async fn next(&mut self) -> Option<Result<Bytes, OriginError>> {
        let arriving = match &mut self.0 {
            Source::Origin(arriving) => arriving,
            whole => match std::mem::replace(whole, Source::Ended) {
                Source::Whole(bytes) if !bytes.is_empty() => return Some(Ok(bytes)),
                _ => return None,
            },
        };
        match arriving.piece().await {
            Ok(Some(piece)) => {
                self.release_if_ended();
                Some(Ok(piece))
            }
            Ok(None) => {
                self.release();
                None
            }
            Err(error) => {
                self.0 = Source::Ended;
                Some(Err(error))
            }
        }
    }

    /// How many bytes are still to come, if known. 0 for an answer to HEAD.
    pub fn exact_length(&self) -> Option<u64> {
        match &self.0 {
            Source::Ended => Some(0),
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Origin(arriving) => arriving.decoder.remaining(),
        }
    }

    /// Whether no more bytes will come.
    pub fn is_ended(&self) -> bool {
        self.exact_length() == Some(0)
    }

    fn release_if_ended(&mut self) {
        if matches!(&self.0, Source::Origin(arriving) if arriving.decoder.is_done()) {
            self.release();
        }
    }

    /// Gives the connection back. A connection is closed instead if its request is not fully written, or if bytes
    /// came after the answer.
    fn release(&mut self) {
        if let Source::Origin(arriving) = std::mem::replace(&mut self.0, Source::Ended) {
            let Lease { connection, place, home, .. } = arriving.lease;
            if connection.has_surplus() {
                tracing::debug!(
                    place = place.name(),
                    "bytes came after the answer; the connection is closed"
                );
            } else if arriving.is_reusable {
                home.borrow_mut().put(&place, connection, runtime::now());
            }
        }
    }
}

impl Arriving {
    async fn piece(&mut self) -> Result<Option<Bytes>, OriginError> {
        let (activity, idle) = (self.lease.connection.activity.clone(), self.lease.idle);
        match activity.unless_idle(idle, poll_fn(|cx| self.poll_piece(cx))).await {
            Ok(piece) => piece,
            Err(_too_long) => Err(OriginError::idle(self.lease.place.name(), idle)),
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, OriginError>> {
        let Lease { connection, place, .. } = &mut self.lease;
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(written) = connection.poll_upload(upload, cx)
        {
            self.upload = None;
            written.map_err(|source| OriginError::RequestBody { target: place.name(), source })?;
        }
        let piece = connection.poll_piece(&mut self.decoder, cx);
        piece.map_err(|source| OriginError::Broken { target: place.name(), source })
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseBody({:?} bytes)", self.exact_length())
    }
}
