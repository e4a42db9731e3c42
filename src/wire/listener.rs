//! Listening sockets, one for each core and address (SO_REUSEPORT), and their accepts. A few single-shot accepts are
//! in flight, each with its own memory for the address, because a multishot accept cannot report peers and a direct
//! descriptor has no getpeername. Options that accepted sockets inherit are set here.

use super::operation::Operation;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

/// Accepts in flight for each listener, at most.
pub(super) const ACCEPTS: usize = 16;
/// Clients for which the kernel completes the handshake before they are accepted (limited by net.core.somaxconn).
pub const ACCEPT_QUEUE: u16 = 65_535;
/// Seconds without data from a client before the kernel sends a keepalive probe, and between probes (TCP_KEEPIDLE,
/// TCP_KEEPINTVL). If many clients were written to at one moment, equal times would send all their probes at one
/// moment too, and the kernel drops most of tens of thousands of packets that are made in one tick. So the times
/// differ between clients.
const QUIET_S: std::ops::Range<u64> = 60..90;
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// A client that acknowledges nothing for this long is gone (TCP_USER_TIMEOUT, which also ends the probes). At least
/// four probes are sent in this time, because probes and answers get lost.
const SILENCE: Duration = Duration::from_secs(125);
/// At most this many bytes that cannot be sent yet wait in the kernel for one socket (TCP_NOTSENT_LOWAT); there is
/// room again when half of them are sent. Without it, a client that stops reading had megabytes of the kernel's
/// memory, and a slow reader was seen to take bytes only when a third of them was free.
const UNSENT_BYTES: u32 = 128 * 1024;
/// This many clients in succession have equal keepalive times.
const ALIKE: u32 = 64;

/// A socket could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {place}: {source}{remedy}")]
pub struct BindError {
    place: String,
    source: io::Error,
    remedy: &'static str,
}

impl BindError {
    fn tcp(address: SocketAddr, source: io::Error) -> BindError {
        let remedy = remedy(&source, "; another server uses this port: stop it, or choose another port");
        BindError { place: address.to_string(), source, remedy }
    }

    pub(super) fn udp(address: SocketAddr, source: io::Error) -> BindError {
        let remedy = remedy(
            &source,
            "; another server uses this port: stop it, or set `udp` in [ingest] (or --udp) to another port, or to false",
        );
        BindError { place: format!("UDP {address}"), source, remedy }
    }

    pub(super) fn file(path: &Path, source: io::Error) -> BindError {
        let remedy = match source.kind() {
            io::ErrorKind::AddrInUse => "; another server uses this socket: stop it, or choose another path",
            io::ErrorKind::AlreadyExists => {
                "; the file at this path is no socket: remove it, or choose another path"
            }
            io::ErrorKind::NotFound => "; its directory is missing: create it",
            io::ErrorKind::PermissionDenied => "; allow the server's user to write to its directory",
            io::ErrorKind::InvalidInput => {
                "; the path of a socket may have at most 107 bytes: choose a shorter path"
            }
            _ => "",
        };
        BindError { place: path.display().to_string(), source, remedy }
    }
}

/// Binds `address` for `cores` cores, one listening socket each. The kernel spreads the clients over the sockets.
///
/// The address is first bound without SO_REUSEPORT and closed again, so that a second server on the same port is
/// refused instead of silently getting half of the clients. This first socket never listens, or clients that connect
/// to it would be reset.
///
/// # Errors
/// If the address cannot be bound; the text says what to change.
pub fn bind(address: SocketAddr, cores: usize) -> Result<Vec<TcpListener>, BindError> {
    let failed = |source| BindError::tcp(address, source);
    socket(address).and_then(|socket| socket.bind(&address.into())).map_err(failed)?;
    (0..cores).map(|_| listening(address).map_err(failed)).collect()
}

/// Binds `count` more sockets to `address` beside those that are bound to it already. They do not listen yet: a client
/// in the queue of a socket is reset if the socket is closed, so [`listen`] follows when it is certain that they are used.
///
/// # Errors
/// The system's error: sockets without SO_REUSEPORT, or those of another user, take no other beside them.
pub fn bind_beside(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    (0..count).map(|_| bound(address)).collect()
}

/// Begins to listen on a socket of [`bind_beside`].
///
/// # Errors
/// The system's error.
pub fn listen(socket: &TcpListener) -> io::Result<()> {
    SockRef::from(socket).listen(ACCEPT_QUEUE.into())
}

fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address)?;
    listen(&socket)?;
    Ok(socket)
}

fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    set_inherited(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Prepares a bound socket that was handed over for clients, and has it listen.
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    // On a socket that does not block, the ring would complete an accept without a client.
    socket.set_nonblocking(false)?;
    set_inherited(socket)?;
    socket.listen(ACCEPT_QUEUE.into())
}

/// Sets the options that accepted sockets inherit.
fn set_inherited(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&asking(QUIET_S.start))?;
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)
}

fn asking(quiet_s: u64) -> TcpKeepalive {
    TcpKeepalive::new().with_time(Duration::from_secs(quiet_s)).with_interval(ASK_AGAIN)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn remedy(error: &io::Error, in_use: &'static str) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => in_use,
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start"
        }
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

/// One listening socket and its accepts.
pub(super) struct Listener {
    /// `None` if it is closed.
    socket: Option<TcpListener>,
    /// No more accepts are begun, because the socket is about to be closed.
    pub is_closing: bool,
    // Boxed, because the kernel holds pointers into it while accepts are in flight.
    accepts: Box<[Accept]>,
    in_flight: usize,
    /// Accepts that have finished.
    accepted: u32,
}

struct Accept {
    in_flight: bool,
    address: SockAddrStorage,
    length: libc::socklen_t,
}

impl Listener {
    pub fn new(socket: TcpListener) -> Listener {
        let idle = || Accept { in_flight: false, address: SockAddrStorage::zeroed(), length: 0 };
        let accepts = (0..ACCEPTS).map(|_| idle()).collect();
        Listener { socket: Some(socket), is_closing: false, accepts, in_flight: 0, accepted: 0 }
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The listening socket, unless it is closed.
    pub fn socket(&self) -> Option<&TcpListener> {
        self.socket.as_ref()
    }

    /// Whether clients are to be accepted.
    pub fn is_open(&self) -> bool {
        self.socket.is_some() && !self.is_closing
    }

    /// The indices of the accepts in flight.
    pub fn accepts_in_flight(&self) -> impl Iterator<Item = usize> {
        self.accepts.iter().enumerate().filter(|(_, accept)| accept.in_flight).map(|(index, _)| index)
    }

    /// Closes the socket. No accept may be in flight.
    pub fn close(&mut self) {
        debug_assert_eq!(self.in_flight, 0, "the kernel still writes to the memory of an accept");
        self.socket = None;
    }

    /// An accept to submit, and its index; `None` while all are in flight, or if the socket is closed.
    pub fn next_accept(&mut self) -> Option<(Operation, usize)> {
        let listener = self.socket.as_ref()?.as_raw_fd();
        let (index, accept) = self.accepts.iter_mut().enumerate().find(|(_, accept)| !accept.in_flight)?;
        accept.in_flight = true;
        self.in_flight += 1;
        accept.length = accept.address.size_of();
        let (address, length) = (&raw mut accept.address, &raw mut accept.length);
        Some((Operation::Accept { listener, address, length }, index))
    }

    /// Ends accept `index`, and returns the peer's address, or the unspecified address if the accept failed.
    pub fn finish(&mut self, index: usize) -> SocketAddr {
        self.accepted = self.accepted.wrapping_add(1);
        if self.accepted.is_multiple_of(ALIKE) {
            let quiet_s = QUIET_S.start + u64::from(self.accepted / ALIKE) % (QUIET_S.end - QUIET_S.start);
            // If it fails, the next clients have the keepalive times of the clients before them.
            let _ = self.socket().map(|socket| SockRef::from(socket).set_tcp_keepalive(&asking(quiet_s)));
        }
        let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let Some(accept) = self.accepts.get_mut(index) else { return unknown };
        self.in_flight -= usize::from(std::mem::take(&mut accept.in_flight));
        let storage = std::mem::replace(&mut accept.address, SockAddrStorage::zeroed());
        // SAFETY: zeroed at first, then written by the kernel, which set `length` to the bytes it wrote.
        let peer = unsafe { SockAddr::new(storage, accept.length) };
        peer.as_socket().unwrap_or(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_asked_several_times_before_it_counts_as_gone_and_not_when_all_others_are() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut listener = Listener::new(listening(address).unwrap());
        let mut times = std::collections::HashSet::new();
        for accepted in 0..ALIKE * 60 {
            let socket = SockRef::from(listener.socket().unwrap());
            let quiet = socket.tcp_keepalive_time().unwrap();
            let silence = socket.tcp_user_timeout().unwrap().unwrap();
            let asked = silence.saturating_sub(quiet).as_secs().div_ceil(ASK_AGAIN.as_secs());
            assert!(socket.keepalive().unwrap() && asked >= 4, "{asked} times");
            times.insert(quiet);
            listener.finish(accepted as usize % ACCEPTS);
        }
        assert_eq!(times.len() as u64, QUIET_S.end - QUIET_S.start);
    }
}
