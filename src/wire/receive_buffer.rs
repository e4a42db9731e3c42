//! Bounds what the kernel receives ahead on sockets that are not in the ring: connections to applications.

use socket2::SockRef;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// Has the kernel keep at most about twice `bytes` of what was not read from the open socket `descriptor` (SO_RCVBUF,
/// which net.core.rmem_max caps). Without a bound it grows to megabytes (tcp_rmem) when it is read fast once, and stays
/// full while nobody reads.
pub fn bound_receive_buffer(descriptor: RawFd, bytes: usize) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for this call only, in which its owner, who called, cannot close it.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    SockRef::from(&socket).set_recv_buffer_size(bytes)
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
        bound_receive_buffer(receiver.as_raw_fd(), 64 * 1024).unwrap();
        let (mut sender, _) = listener.accept().unwrap();
        SockRef::from(&sender).set_send_buffer_size(16 * 1024).unwrap();
        sender.set_nonblocking(true).unwrap();
        let part = [0; 16 * 1024];
        let sent: usize = std::iter::from_fn(|| sender.write(&part).ok()).take(1_000).sum();
        assert!((16 * 1024..512 * 1024).contains(&sent), "{sent} bytes");
    }
}
