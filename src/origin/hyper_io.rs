//! A futures-io socket as hyper wants it. Reads go through a buffer of this adapter, because hyper's own may be
//! uninitialised, and handing it out as a slice would take unsafe code.

use futures_lite::io::{AsyncRead, AsyncWrite};
use hyper::rt::ReadBufCursor;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const BUFFER_BYTES: usize = 16 * 1024;

/// Adapts `S`.
pub(super) struct HyperIo<S> {
    socket: S,
    buffer: Box<[u8]>,
}

impl<S> HyperIo<S> {
    pub fn new(socket: S) -> HyperIo<S> {
        HyperIo { socket, buffer: vec![0; BUFFER_BYTES].into_boxed_slice() }
    }
}

impl<S: AsyncRead + Unpin> hyper::rt::Read for HyperIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let room = this.buffer.len().min(cursor.remaining());
        let buffer = this.buffer.get_mut(..room).unwrap_or_default();
        let read = ready!(Pin::new(&mut this.socket).poll_read(context, buffer))?;
        cursor.put_slice(this.buffer.get(..read).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> hyper::rt::Write for HyperIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context)
    }
}
