//! A request on its way to an application.

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A request, ready to be sent.
pub struct Request {
    /// The method.
    pub method: Method,
    /// Host and port, for the Host field and TLS.
    pub host: String,
    /// The path and query.
    pub path_and_query: String,
    /// All fields but Host.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
}

/// A request's body.
pub enum RequestBody {
    /// None.
    Empty,
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Stream {
        /// The parts.
        body: Pin<Box<dyn Body<Data = Bytes, Error = io::Error>>>,
        /// Its length, if the client gave it.
        length: Option<u64>,
    },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            RequestBody::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            RequestBody::Stream { body, .. } => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Whole(bytes) => bytes.is_empty(),
            RequestBody::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            RequestBody::Stream { length: Some(length), .. } => SizeHint::with_exact(*length),
            RequestBody::Stream { length: None, .. } => SizeHint::default(),
        }
    }
}
