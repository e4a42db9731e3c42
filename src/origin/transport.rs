//! A byte stream to an application: a socket with or without TLS. Reads go through one scratch buffer for all
//! connections of a core, so an idle connection has no buffer. Every byte that moves is noted in the connection's
//! [`Activity`].

use super::activity::Activity;
use crate::runtime::TcpStream;
use crate::wire;
use futures_lite::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;
use futures_rustls::rustls::ClientConnection;
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The buffer that all origin connections of a core read into. Borrowed only within one `poll_read`.
#[derive(Clone)]
pub(super) struct Scratch(Rc<RefCell<Box<[u8]>>>);

impl Scratch {
    /// A new buffer; a core needs one.
    pub fn new() -> Self {
        Scratch(Rc::new(RefCell::new(vec![0; SCRATCH_BYTES].into())))
    }
}

/// A connected socket.
pub(super) enum Stream {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS, after the handshake.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The byte stream that a connection reads from and writes to.
pub(super) struct Transport {
    stream: Stream,
    scratch: Scratch,
    activity: Activity,
}

impl Transport {
    /// A transport on `stream` that notes moving bytes in `activity`.
    pub fn new(stream: Stream, scratch: Scratch, activity: Activity) -> Self {
        Transport { stream, scratch, activity }
    }

    /// Reads some bytes and returns the result of `take`; at the end of the stream, `take` gets no bytes.
    pub fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        let mut scratch = self.scratch.0.borrow_mut();
        let into = &mut scratch[..];
        let count = match &mut self.stream {
            Stream::Plain(tcp) => ready!(Pin::new(tcp).poll_read(cx, into)),
            Stream::Tls(tls) => ready!(Pin::new(tls).poll_read(cx, into)),
        }?;
        if count > 0 {
            self.activity.moved();
        }
        Poll::Ready(Ok(take(into.get(..count).unwrap_or_default())))
    }

    /// Writes some of `bytes`, which must not be empty; returns how many.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = match &mut self.stream {
            Stream::Plain(tcp) => ready!(Pin::new(tcp).poll_write(cx, bytes)),
            Stream::Tls(tls) => ready!(Pin::new(tls).poll_write(cx, bytes)),
        }?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.activity.moved();
        Poll::Ready(Ok(count))
    }

    /// Sends all written bytes: TLS keeps some of them until the kernel takes them.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Another descriptor of the socket; `None` with TLS, or if there is none left.
    pub fn duplicate(&self) -> Option<OwnedFd> {
        match &self.stream {
            Stream::Plain(tcp) => wire::duplicate(tcp.descriptor()?).ok(),
            Stream::Tls(_) => None,
        }
    }

    /// Whether the stream has no data and no end to read. Asks the kernel, because the executor learns of new bytes a
    /// little later.
    pub fn is_quiet(&mut self) -> bool {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.is_quiet(),
            Stream::Tls(tls) => {
                let (tcp, session) = tls.get_mut();
                is_quiet(tcp, session, &mut self.scratch.0.borrow_mut())
            }
        }
    }
}

/// Whether a TLS stream is quiet. Received bytes may be tickets for later sessions (RFC 8446 section 4.6.1), which
/// are neither data nor the end. An incomplete record is taken for data.
fn is_quiet(tcp: &mut TcpStream, session: &mut ClientConnection, scratch: &mut [u8]) -> bool {
    loop {
        let received = match tcp.try_read(scratch) {
            Some(Ok(0) | Err(_)) => return false,
            Some(Ok(count)) => scratch.get(..count).unwrap_or_default(),
            None => &[],
        };
        if !has_only_tickets(session, received) {
            return false;
        }
        if received.is_empty() {
            return true;
        }
    }
}

/// Whether `received`, after the bytes that the session had before, is only tickets: no data, no end, and no
/// beginning of either.
fn has_only_tickets(session: &mut ClientConnection, received: &[u8]) -> bool {
    let mut unread = received;
    loop {
        let is_read = unread.is_empty() || session.read_tls(&mut unread).is_ok_and(|count| count > 0);
        let state = session.process_new_packets().ok().filter(|_| is_read);
        if state.is_none_or(|state| state.plaintext_bytes_to_read() > 0 || state.peer_has_closed()) {
            return false;
        }
        if unread.is_empty() {
            return are_whole_records(received);
        }
    }
}

/// Whether `received` consists of whole TLS records, if it begins at the start of a record.
fn are_whole_records(mut received: &[u8]) -> bool {
    while let [_, _, _, high, low, rest @ ..] = received {
        let Some(after) = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..) else { return false };
        received = after;
    }
    received.is_empty()
}

/// Enough for one TLS record and one large read; larger reads did not make large bodies faster.
const SCRATCH_BYTES: usize = 64 * 1024;
