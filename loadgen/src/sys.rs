//! System calls for sockets, epoll, clocks and CPUs that the standard library lacks. Only this file has unsafe code.
//!
//! Workers, publishers and the origin call it. Each function makes one system call, with arguments that are owned or
//! borrowed for the call, so no pointer outlives its target.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// An event on a watched descriptor.
#[derive(Clone, Copy)]
pub struct Event {
    /// The token with which the descriptor was registered.
    pub token: u64,
    /// There is room to write, or a connection attempt is over.
    pub writable: bool,
}

/// The events of a descriptor that an epoll reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, or the end.
    Read,
    /// Bytes to read, or room to write.
    ReadWrite,
    /// Only the end of the connection.
    Nothing,
}

/// An epoll instance with room for the events of one wait.
pub struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// An instance that watches nothing yet.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers are passed.
        let descriptor = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is fresh and owned by nobody else.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Epoll { descriptor, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS] })
    }

    /// Watches a descriptor, whose events carry `token`.
    ///
    /// # Errors
    /// The descriptor is watched already, or cannot be.
    pub fn add(&self, descriptor: BorrowedFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, descriptor, token, interest)
    }

    /// Changes what is reported of a watched descriptor.
    ///
    /// # Errors
    /// The descriptor is not watched.
    pub fn modify(&self, descriptor: BorrowedFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, descriptor, token, interest)
    }

    fn control(
        &self,
        operation: i32,
        descriptor: BorrowedFd,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        let events = match interest {
            Interest::Read => libc::EPOLLIN,
            Interest::ReadWrite => libc::EPOLLIN | libc::EPOLLOUT,
            Interest::Nothing => 0,
        };
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: `event` lives through the call; the kernel copies it.
        checked(unsafe {
            libc::epoll_ctl(self.descriptor.as_raw_fd(), operation, descriptor.as_raw_fd(), &raw mut event)
        })
        .map(drop)
    }

    /// Waits for events and appends them to `into`; an interruption is a wait without events.
    ///
    /// # Errors
    /// The system refuses to wait.
    pub fn wait(&mut self, timeout_ms: Option<u64>, into: &mut Vec<Event>) -> io::Result<()> {
        let timeout_ms = timeout_ms.map_or(-1, |ms| ms.min(60_000) as i32);
        // SAFETY: `events` has EVENTS initialized entries, the number that is passed.
        let ready = unsafe {
            let room = self.events.as_mut_ptr();
            libc::epoll_wait(self.descriptor.as_raw_fd(), room, EVENTS as i32, timeout_ms)
        };
        let ready = match checked(ready) {
            Ok(ready) => ready as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        let writable = (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) as u32;
        into.extend(
            self.events[..ready]
                .iter()
                .map(|event| Event { token: event.u64, writable: event.events & writable != 0 }),
        );
        Ok(())
    }
}

/// Starts a connection from `source`, or from an address of the kernel's choice. The port is chosen when the
/// destination is known: one port then serves as many connections as there are destinations.
pub(crate) fn connect(source: Option<Ipv4Addr>, destination: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM.nonblocking(), None)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        set_option(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    match socket.connect(&SocketAddr::V4(destination).into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// The outcome of a connection attempt, or of the connection's last failure.
pub(crate) fn take_error(descriptor: BorrowedFd) -> io::Result<()> {
    match socket2::SockRef::from(&descriptor).take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Receives as many bytes as fit; `None` if none have arrived.
pub(crate) fn receive(descriptor: BorrowedFd, into: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: `into` is valid for writes of its length.
    let received = unsafe {
        libc::recv(descriptor.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT)
    };
    transferred(received)
}

/// Discards up to `limit` received bytes without copying them; `None` if none have arrived.
pub(crate) fn discard(descriptor: BorrowedFd, limit: usize) -> io::Result<Option<usize>> {
    // SAFETY: with MSG_TRUNC on TCP nothing is written to the (null) buffer.
    let received = unsafe {
        let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
        libc::recv(descriptor.as_raw_fd(), std::ptr::null_mut(), limit, flags)
    };
    transferred(received)
}

/// Sends as many bytes as the socket accepts; `None` if it accepts none now.
pub(crate) fn send(descriptor: BorrowedFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    // SAFETY: `bytes` is valid for reads of its length.
    let sent = unsafe {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        libc::send(descriptor.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
    };
    transferred(sent)
}

/// Waits until there is input, for `timeout_ns` at most. Returns whether there is.
pub(crate) fn await_readable(descriptor: impl AsFd, timeout_ns: u64) -> io::Result<bool> {
    let descriptor = descriptor.as_fd().as_raw_fd();
    let mut watched = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    let timeout = timespec(timeout_ns);
    // SAFETY: one entry is passed, with its number; there is no signal mask.
    let ready = unsafe { libc::ppoll(&raw mut watched, 1, &raw const timeout, std::ptr::null()) };
    match checked(ready) {
        Ok(ready) => Ok(ready > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

/// Nanoseconds of CLOCK_MONOTONIC: one clock for all processes of this machine.
pub fn now_ns() -> u64 {
    let mut time = timespec(0);
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Makes this thread's timeouts exact. By default the kernel lets them end up to 50 µs late.
pub(crate) fn wake_punctually() {
    // SAFETY: no pointers; the slack of this thread becomes 1 ns.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize, 0usize, 0usize, 0usize) };
}

/// Keeps this thread, and those it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: a zeroed set is valid, and `cpu` is within it.
    checked(unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    })
    .map(drop)
}

/// Raises the limit of open descriptors as far as possible, and returns the new limit.
///
/// # Errors
///
/// If the limit cannot be read or set.
pub fn raise_descriptor_limit() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is read during the call only.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

fn set_option(socket: &socket2::Socket, level: i32, option: i32) -> io::Result<()> {
    let (on, size) = (1i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the option is read from `on`, which has the size given and lives through the call.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size) })
        .map(drop)
}

fn transferred(result: isize) -> io::Result<Option<usize>> {
    if result >= 0 {
        return Ok(Some(result as usize));
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        error => Err(error),
    }
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn timespec(ns: u64) -> libc::timespec {
    let mut time: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    time.tv_sec = (ns / 1_000_000_000) as libc::time_t;
    time.tv_nsec = (ns % 1_000_000_000) as libc::c_long;
    time
}

/// Events taken in one wait.
const EVENTS: usize = 512;
