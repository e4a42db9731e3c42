//! Writes a request to an application: its head and its body, piece by piece, as the socket takes them. An exchange
//! writes before it reads, and goes on writing while the answer arrives, because an application may answer first and
//! read the rest later, or never. Until a byte is written, the request can go to another connection. A request whose
//! whole body is in memory can be sent again.

use super::transport::Transport;
use crate::proto::http1::{LAST_CHUNK, chunk};
use bytes::{Buf, Bytes};
use futures_lite::Stream;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A request's body.
pub enum RequestBody {
    /// No body.
    Empty,
    /// The whole body, which can be sent again.
    Whole(Bytes),
    /// A body that is still arriving. It can be sent once.
    Stream {
        /// The body's data.
        body: Pin<Box<dyn Stream<Item = io::Result<Bytes>>>>,
        /// The body's length, sent as Content-Length; without it the body is chunked.
        length: Option<u64>,
    },
}

/// The rest of a request that is to be written.
pub(super) struct Upload {
    head: Bytes,
    body: RequestBody,
    stage: Stage,
    /// The bytes that are being written.
    piece: Bytes,
    /// How many bytes of the head are not written.
    head_left: usize,
}

/// The part that is written next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Body,
    /// A stream of announced length, of which this many bytes have not come.
    Length(u64),
    Chunks,
    Flush,
}

/// Why a request was not written.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The client's body ended early or failed.
    Body(io::Error),
    /// The application's side takes no more bytes.
    Write(io::Error),
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestBody::Empty => f.write_str("Empty"),
            RequestBody::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            RequestBody::Stream { length, .. } => write!(f, "Stream({length:?} bytes)"),
        }
    }
}

impl Upload {
    /// An upload of which nothing is written. `head` tells how `body` is framed.
    pub fn new(head: Bytes, body: RequestBody) -> Upload {
        let head_left = head.len();
        Upload { head, body, stage: Stage::Head, piece: Bytes::new(), head_left }
    }

    /// A copy of the request, if its whole body is in memory.
    pub fn spare(&self) -> Option<Upload> {
        let body = match &self.body {
            RequestBody::Empty => RequestBody::Empty,
            RequestBody::Whole(bytes) => RequestBody::Whole(bytes.clone()),
            RequestBody::Stream { .. } => return None,
        };
        Some(Upload::new(self.head.clone(), body))
    }

    /// The body of a request of which nothing was written.
    pub fn into_body(self) -> RequestBody {
        debug_assert!(!self.has_begun(), "the beginning of the body is already written");
        self.body
    }

    /// Whether any byte of the request was written.
    pub fn has_begun(&self) -> bool {
        self.head_left < self.head.len()
    }

    /// Whether some bytes of the head are not written.
    pub fn is_in_head(&self) -> bool {
        self.head_left > 0
    }

    /// Forgets bytes that were prepared for a connection that took none of them.
    pub fn rewind(&mut self) {
        debug_assert!(!self.has_begun(), "bytes of the request are already written");
        (self.stage, self.piece) = (Stage::Head, Bytes::new());
    }

    /// Writes the available bytes that `transport` takes; ready when the whole request is written.
    ///
    /// # Errors
    /// [`UploadError`] says which side failed.
    pub fn poll(&mut self, transport: &mut Transport, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        loop {
            while self.piece.has_remaining() {
                let count = ready!(transport.poll_write(cx, &self.piece)).map_err(UploadError::Write)?;
                self.piece.advance(count);
                self.head_left = self.head_left.saturating_sub(count);
            }
            if self.stage == Stage::Flush {
                return transport.poll_flush(cx).map_err(UploadError::Write);
            }
            match self.poll_piece(cx) {
                Poll::Ready(piece) => self.piece = piece.map_err(UploadError::Body)?,
                Poll::Pending => {
                    // Bytes of a slow body that are written must not wait for the rest of the body.
                    let _ = transport.poll_flush(cx).map_err(UploadError::Write)?;
                    return Poll::Pending;
                }
            }
        }
    }

    /// The next piece of the body; it may be empty.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        match self.stage {
            Stage::Head => Poll::Ready(Ok(self.beginning())),
            Stage::Body => {
                let RequestBody::Whole(body) = &self.body else { return self.end() };
                self.stage = Stage::Flush;
                Poll::Ready(Ok(body.clone()))
            }
            Stage::Length(left) => {
                let Some(piece) = ready!(self.poll_body(cx)).transpose()? else {
                    return match left {
                        0 => self.end(),
                        _ => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    };
                };
                let left = left.checked_sub(piece.len() as u64);
                self.stage = Stage::Length(left.ok_or(io::ErrorKind::InvalidData)?);
                Poll::Ready(Ok(piece))
            }
            Stage::Chunks => match ready!(self.poll_body(cx)).transpose()? {
                Some(piece) => Poll::Ready(Ok(chunk(&piece))),
                None => {
                    self.stage = Stage::Flush;
                    Poll::Ready(Ok(Bytes::from_static(LAST_CHUNK)))
                }
            },
            Stage::Flush => self.end(),
        }
    }

    fn end(&mut self) -> Poll<io::Result<Bytes>> {
        self.stage = Stage::Flush;
        Poll::Ready(Ok(Bytes::new()))
    }

    /// The head, together with the body if the body is small.
    fn beginning(&mut self) -> Bytes {
        match &self.body {
            RequestBody::Empty => self.stage = Stage::Flush,
            RequestBody::Whole(body) if body.len() <= TOGETHER_BYTES => {
                self.stage = Stage::Flush;
                return [&self.head[..], body].concat().into();
            }
            RequestBody::Whole(_) => self.stage = Stage::Body,
            RequestBody::Stream { length: Some(length), .. } => self.stage = Stage::Length(*length),
            RequestBody::Stream { length: None, .. } => self.stage = Stage::Chunks,
        }
        self.head.clone()
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match &mut self.body {
            RequestBody::Stream { body, .. } => body.as_mut().poll_next(cx),
            RequestBody::Empty | RequestBody::Whole(_) => Poll::Ready(None),
        }
    }
}

/// Copying up to this many bytes costs less than another system call.
const TOGETHER_BYTES: usize = 16 * 1024;
