//! hyper's idea of a byte stream, over a socket with or without TLS. Reads go through one scratch
//! buffer for all connections of a core, so that an idle connection owns none; the copy into hyper's buffer
//! is what a room without unsafe code pays. Every byte that moves is noted in the connection's [`Activity`].

use super::activity::Activity;
use crate::runtime::{Glance, TcpStream};
use futures_lite::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Where a core's origin connections read to. Borrowed only within one `poll_read`.
#[derive(Clone)]
pub(super) struct Scratch(Rc<RefCell<Box<[u8]>>>);

impl Scratch {
    /// A new one; a core needs one.
    pub fn new() -> Self {
        Scratch(Rc::new(RefCell::new(vec![0; SCRATCH_BYTES].into())))
    }
}

/// A connected socket.
pub(super) enum Stream {
    /// As it is.
    Plain(TcpStream),
    /// With TLS, its handshake done.
    Tls(Box<TlsStream<TcpStream>>),
}

/// What hyper reads from and writes to.
pub(super) struct Transport {
    stream: Stream,
    scratch: Scratch,
    activity: Activity,
}

impl Transport {
    /// Puts `stream` under hyper.
    pub fn new(stream: Stream, scratch: Scratch, activity: Activity) -> Self {
        Transport { stream, scratch, activity }
    }

    /// For a look at the socket while hyper owns it.
    pub fn glance(&self) -> Glance {
        match &self.stream {
            Stream::Plain(tcp) => tcp.glance(),
            Stream::Tls(tls) => tls.get_ref().0.glance(),
        }
    }

    /// Reads up to `limit` bytes and gives what `take` makes of them; it sees none at the end.
    pub fn poll_scratch<T>(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        mut take: impl FnMut(&[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        let mut scratch = self.scratch.0.borrow_mut();
        let room = limit.min(scratch.len());
        let into = &mut scratch[..room];
        let count = match &mut self.stream {
            Stream::Plain(tcp) => ready!(Pin::new(tcp).poll_read(cx, into)),
            Stream::Tls(tls) => ready!(Pin::new(tls).poll_read(cx, into)),
        }?;
        if count > 0 {
            self.activity.read(count);
        }
        Poll::Ready(Ok(take(&into[..count])))
    }
}

impl Read for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_scratch(cx, buf.remaining(), |bytes| buf.put_slice(bytes))
    }
}

impl Write for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = match &mut this.stream {
            Stream::Plain(tcp) => ready!(Pin::new(tcp).poll_write(cx, buf)),
            Stream::Tls(tls) => ready!(Pin::new(tls).poll_write(cx, buf)),
        }?;
        this.activity.wrote();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_close(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_close(cx),
        }
    }
}

/// As much as one TLS record and one comfortable read; larger reads did not make large bodies faster.
const SCRATCH_BYTES: usize = 64 * 1024;
