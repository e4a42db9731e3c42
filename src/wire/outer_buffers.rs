//! Limits the kernel's buffers of sockets that are not in the ring: connections to origins.

use socket2::SockRef;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// Limits the kernel's buffers of the open socket `descriptor`: to about twice `received` unread bytes (SO_RCVBUF,
/// which net.core.rmem_max caps), and to `unsent` bytes that it cannot send yet (TCP_NOTSENT_LOWAT). Without limits,
/// both grow to megabytes (tcp_rmem, tcp_wmem) and stay full while nobody reads.
///
/// # Errors
/// The system's error, if `descriptor` is no TCP socket.
pub fn bound_buffers(descriptor: RawFd, received: usize, unsent: u32) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for this call only, in which its owner, who called, cannot close it.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let socket = SockRef::from(&socket);
    socket.set_recv_buffer_size(received)?;
    socket.set_tcp_notsent_lowat(unsent)
}

/// Another descriptor of the open socket `descriptor`.
///
/// # Errors
/// The system's error, if there is no descriptor left.
pub fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is borrowed for this call only, in which its owner, who called, cannot close it.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_sender_is_stopped_after_what_the_bound_allows() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        bound_buffers(receiver.as_raw_fd(), 64 * 1024, 16 * 1024).unwrap();
        let (mut sender, _) = listener.accept().unwrap();
        bound_buffers(sender.as_raw_fd(), 64 * 1024, 16 * 1024).unwrap();
        sender.set_nonblocking(true).unwrap();
        let part = [0; 16 * 1024];
        let sent: usize = std::iter::from_fn(|| sender.write(&part).ok()).take(1_000).sum();
        assert!((16 * 1024..512 * 1024).contains(&sent), "{sent} bytes");
    }
}
