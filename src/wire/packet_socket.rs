//! Sockets that carry messages with descriptors between two processes of the server (unix(7), SOCK_SEQPACKET and
//! SCM_RIGHTS). A message arrives whole or not at all. The supervisors of an old and a new process talk by such a
//! socket, and their cores pass clients by such sockets. A process that starts another one passes the first socket by an
//! environment variable.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};
use socket2::{Domain, SockRef, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The most descriptors of a message (SCM_MAX_FD is 253).
pub const PACKET_DESCRIPTORS: usize = 250;
/// The most bytes of a message. The kernel's default buffer of a socket has room for one such message.
pub const PACKET_BYTES: usize = 128 * 1024;

/// One end of a connection for messages with descriptors.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

/// A message that was received: its bytes and its descriptors.
pub type Packet = (Vec<u8>, Vec<OwnedFd>);

impl PacketSocket {
    /// The two ends of a new connection.
    ///
    /// # Errors
    /// The system's error, if there are no descriptors left.
    pub fn pair() -> io::Result<(PacketSocket, PacketSocket)> {
        let kind = SockType::SeqPacket;
        let (one, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((PacketSocket(one), PacketSocket(other)))
    }

    /// Takes the socket whose descriptor the environment variable `variable` names, and removes the variable. `None` if
    /// it is not set. The programs that this process starts get neither.
    ///
    /// # Errors
    /// The variable names no such socket, or the process has begun other threads, which may read the environment.
    pub fn take_inherited(variable: &str) -> io::Result<Option<PacketSocket>> {
        let Some(descriptor) = std::env::var_os(variable) else { return Ok(None) };
        if std::fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::Error::other("the process has begun other threads"));
        }
        // SAFETY: The environment may be changed, because this thread is the only one.
        unsafe { std::env::remove_var(variable) };
        let descriptor = descriptor.to_str().and_then(|text| text.parse().ok());
        let descriptor =
            descriptor.ok_or_else(|| io::Error::other("it is not the number of a descriptor"))?;
        PacketSocket::of_inherited(descriptor).map(Some)
    }

    fn of_inherited(descriptor: RawFd) -> io::Result<PacketSocket> {
        // SAFETY: fcntl with F_SETFD takes no pointer.
        if descriptor < 0 || unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
            return Err(io::Error::other("it names no open descriptor"));
        }
        // SAFETY: The call before this has shown that the descriptor is open.
        let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let socket = SockRef::from(&socket);
        let is_ours = socket.domain().is_ok_and(|domain| domain == Domain::UNIX)
            && socket.r#type().is_ok_and(|kind| kind == Type::SEQPACKET);
        if !is_ours {
            return Err(io::Error::other("it names no Unix socket of the type SEQPACKET"));
        }
        // SAFETY: The process that started this one has made the socket for it and has named it in a variable, which is
        // removed now. So nothing else in this process owns the descriptor.
        Ok(PacketSocket(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Lets the programs that this process starts have the descriptor, and returns its number for their environment.
    ///
    /// # Errors
    /// The system's error.
    pub fn let_inherit(&self) -> io::Result<RawFd> {
        let descriptor = self.0.as_raw_fd();
        // SAFETY: fcntl with F_SETFD takes no pointer.
        match unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) } {
            0 => Ok(descriptor),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// From now on, [`receive`](PacketSocket::receive) and [`send`](PacketSocket::send) wait for `patience` at most.
    ///
    /// # Errors
    /// The system's error, if `patience` is zero.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        let socket = SockRef::from(&self.0);
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))
    }

    /// Sends `message` with `descriptors`, at most [`PACKET_BYTES`] with [`PACKET_DESCRIPTORS`].
    ///
    /// # Errors
    /// The system's error: the other end is closed (EPIPE), takes nothing in time (TimedOut), or too many descriptors
    /// are on their way (ETOOMANYREFS).
    pub fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        debug_assert!(!message.is_empty(), "an empty message would look like the end");
        let descriptors: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let control = if descriptors.is_empty() { &rights[..0] } else { &rights[..] };
        let parts = [IoSlice::new(message)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        loop {
            match sendmsg::<()>(self.0.as_raw_fd(), &parts, control, flags, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(in_time(error)),
            }
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// The other end is closed (UnexpectedEof), sends nothing in time (TimedOut), or this process has no descriptors
    /// left.
    pub fn receive(&self) -> io::Result<Packet> {
        let mut buffer = vec![0; PACKET_BYTES];
        let mut control = cmsg_space!([RawFd; PACKET_DESCRIPTORS]);
        let mut was_reset = false;
        let (length, is_cut, descriptors) = loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let descriptor = self.0.as_raw_fd();
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(descriptor, &mut parts, Some(&mut control), flags) {
                Ok(received) => {
                    let is_cut = received.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
                    break (received.bytes, is_cut, received.cmsgs().flat_map(owned).collect::<Vec<_>>());
                }
                Err(Errno::EINTR) => {}
                // The other end was closed before it had read everything. What it has sent before that is still there.
                Err(Errno::ECONNRESET) if !was_reset => was_reset = true,
                Err(error) => return Err(in_time(error)),
            }
        };
        if is_cut {
            return Err(io::Error::other("a message was cut: the limit of open files may be reached"));
        }
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(length);
        Ok((buffer, descriptors))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<PacketSocket> for OwnedFd {
    fn from(socket: PacketSocket) -> OwnedFd {
        socket.0
    }
}

impl From<OwnedFd> for PacketSocket {
    fn from(socket: OwnedFd) -> PacketSocket {
        PacketSocket(socket)
    }
}

/// The descriptors of a control message.
fn owned(message: ControlMessageOwned) -> Vec<OwnedFd> {
    let ControlMessageOwned::ScmRights(descriptors) = message else { return Vec::new() };
    // SAFETY: The kernel has made the descriptors for the receiver of this message, so nothing else owns them.
    descriptors.into_iter().map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }).collect()
}

/// The system's error, or TimedOut if the wait was over.
fn in_time(error: Errno) -> io::Error {
    match error {
        Errno::EAGAIN => io::ErrorKind::TimedOut.into(),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::IntoRawFd;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (one, other) = PacketSocket::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let writers = vec![writer.as_fd(); PACKET_DESCRIPTORS];
        let message: Vec<u8> = (0..PACKET_BYTES).map(|index| index as u8).collect();
        one.send(&message, &writers).unwrap();
        one.send(b"next", &[]).unwrap();
        drop((one, writer));
        let (bytes, descriptors) = other.receive().unwrap();
        assert!(bytes == message && descriptors.len() == PACKET_DESCRIPTORS);
        for descriptor in descriptors {
            let flags = nix::fcntl::fcntl(descriptor.as_raw_fd(), nix::fcntl::FcntlArg::F_GETFD).unwrap();
            assert_eq!(flags, libc::FD_CLOEXEC, "programs would inherit it");
            File::from(descriptor).write_all(b".").unwrap();
        }
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        assert_eq!(written.len(), PACKET_DESCRIPTORS);
        assert_eq!(other.receive().unwrap().0, b"next");
        assert_eq!(other.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn the_last_message_of_an_end_that_reads_nothing_arrives() {
        let (one, other) = PacketSocket::pair().unwrap();
        one.send(b"unread", &[]).unwrap();
        other.send(b"last", &[]).unwrap();
        drop(other);
        assert_eq!(one.receive().unwrap().0, b"last");
        assert_eq!(one.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_wait_ends() {
        let (one, _other) = PacketSocket::pair().unwrap();
        one.set_patience(Duration::from_millis(1)).unwrap();
        assert_eq!(one.receive().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn only_a_socket_of_the_right_kind_is_inherited() {
        let (one, _other) = PacketSocket::pair().unwrap();
        let descriptor = one.let_inherit().unwrap();
        let _ = one.0.into_raw_fd();
        let inherited = PacketSocket::of_inherited(descriptor).unwrap();
        let flags = nix::fcntl::fcntl(inherited.0.as_raw_fd(), nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, libc::FD_CLOEXEC);
        let stream = std::os::unix::net::UnixStream::pair().unwrap();
        for wrong in [stream.0.as_raw_fd(), -1, 1 << 20] {
            assert!(PacketSocket::of_inherited(wrong).is_err(), "{wrong}");
        }
        assert!(PacketSocket::take_inherited("GRIPWIRE_NO_SUCH_VARIABLE").unwrap().is_none());
    }
}
