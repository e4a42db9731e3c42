//! The body of a client's request on its way to an application. A hold may keep a copy of it.

use crate::clients::Exchange;
use crate::origin::RequestBody;
use crate::proto::http1::BodyLength;
use bytes::{Bytes, BytesMut};
use futures_lite::Stream;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A body up to this size is read whole before the origin is asked, and reaches it with a Content-Length.
const PREFETCH_BYTES: usize = 10_000;
/// Bytes of a request or of an answer that a hold may keep (GRIP, as in Pushpin).
pub const KEPT_BYTES: usize = 100_000;

/// The request's body for the origin: a small body is read whole, a larger one is streamed as it arrives.
///
/// # Errors
/// If the body is malformed, or the connection ends while it is read.
pub async fn request_body(
    exchange: &Rc<Exchange>,
    length: BodyLength,
    kept: &Rc<RefCell<Kept>>,
) -> io::Result<RequestBody> {
    let declared = match length {
        BodyLength::None => return Ok(RequestBody::Empty),
        BodyLength::Length(length) => Some(length),
        BodyLength::Chunked => None,
    };
    let mut start = BytesMut::new();
    while start.len() <= PREFETCH_BYTES {
        match poll_fn(|context| exchange.poll_body(context)).await {
            Some(part) => start.extend_from_slice(&part?),
            None => {
                kept.borrow_mut().add(&start);
                exchange.keep_body(2 * start.len());
                return Ok(RequestBody::Whole(start.freeze()));
            }
        }
    }
    kept.borrow_mut().add(&start);
    exchange.keep_body(2 * start.len());
    let body = ClientBody { exchange: exchange.clone(), kept: kept.clone(), start: Some(start.freeze()) };
    Ok(RequestBody::Stream { body: Box::pin(body), length: declared })
}

/// The part of a request's body that is kept for a hold.
#[derive(Default)]
pub struct Kept {
    pub bytes: BytesMut,
    pub overflowed: bool,
}

impl Kept {
    pub fn of(body: &[u8]) -> Kept {
        let mut kept = Kept::default();
        kept.add(body);
        kept
    }

    pub fn add(&mut self, part: &[u8]) {
        self.overflowed |= self.bytes.len() + part.len() > KEPT_BYTES;
        if self.overflowed {
            self.bytes = BytesMut::new();
        } else {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// A request's body as it comes from the client.
struct ClientBody {
    exchange: Rc<Exchange>,
    kept: Rc<RefCell<Kept>>,
    start: Option<Bytes>,
}

impl ClientBody {
    /// Counts a part of the body that goes to the application.
    fn count(&self, part: &Bytes) {
        self.exchange.count(|route_stats| route_stats.server.sent.content_bytes += part.len() as u64);
    }
}

impl Drop for ClientBody {
    /// Gives up the rest of the body: an application may answer before it has got all of it, and not want the rest.
    fn drop(&mut self) {
        self.exchange.leave_body();
    }
}

impl Stream for ClientBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(start) = self.start.take() {
            self.count(&start);
            return Poll::Ready(Some(Ok(start)));
        }
        let part = std::task::ready!(self.exchange.poll_body(context));
        if let Some(Ok(part)) = &part {
            self.kept.borrow_mut().add(part);
            // Two copies of a part are kept: one here, and one in the buffer of the connection to the application.
            self.exchange.keep_body(self.kept.borrow().bytes.capacity() + 2 * part.len());
            self.count(part);
        }
        Poll::Ready(part)
    }
}
