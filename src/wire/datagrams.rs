//! Datagram sockets: UDP, with one socket for each core (SO_REUSEPORT), and Unix sockets. Datagrams are received in
//! batches, without waiting, into buffers of the core. The kernel reports for each datagram whether it is complete
//! and, on a Unix socket, the credentials of its sender.

use super::listener::BindError;
use super::socket_file::{Credentials, SocketFile, bind_file};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// Datagrams received in one call.
const BATCH: usize = 64;
/// The longest datagram: more than UDP can carry.
pub const DATAGRAM_BYTES: usize = 64 * 1024;
/// The distance between buffers, chosen so that they do not all begin in the same cache sets. Pages of a buffer that
/// were never used take no memory.
const STRIDE: usize = DATAGRAM_BYTES + 320;
/// Room for the control message of one datagram, in words for alignment.
const CONTROL_WORDS: usize = 4;
/// Receive buffer of one socket in the kernel (limited by net.core.rmem_max): it holds a second of one sender at full
/// speed, so that nothing is lost while the core is busy.
pub const RECEIVE_BYTES: usize = 4 * 1024 * 1024;

/// A socket that receives datagrams.
pub struct DatagramSocket {
    socket: Socket,
    /// A Unix socket: each datagram has its sender's credentials, and the kernel lets senders wait when they are too
    /// fast.
    is_local: bool,
    /// The kernel's count of dropped datagrams, which wraps, at the last query.
    drops_seen: Cell<u32>,
}

/// Binds `address` for `cores` cores, one socket each. The kernel spreads senders over the sockets, so the datagrams
/// of one sending socket stay in order.
///
/// The address is first bound without SO_REUSEPORT and closed again, so that a second server on the same port is
/// refused.
///
/// # Errors
/// If the address cannot be bound; the text says what to change.
pub fn bind_udp(address: SocketAddr, cores: usize) -> Result<Vec<DatagramSocket>, BindError> {
    let failed = |source| BindError::udp(address, source);
    udp(address).and_then(|socket| socket.bind(&address.into())).map_err(failed)?;
    let of_core = || {
        let socket = udp(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        DatagramSocket::new(socket, false)
    };
    (0..cores).map(|_| of_core().map_err(failed)).collect()
}

/// Binds a datagram socket to the file `path`, whose `mode` says who may send.
///
/// # Errors
/// If the file cannot be bound; the text says what to change.
pub fn bind_unix_datagram(path: &Path, mode: u32) -> Result<(DatagramSocket, SocketFile), BindError> {
    let (socket, file) = bind_file(path, Type::DGRAM, mode.into())?;
    let socket = socket.set_passcred(true).and_then(|()| DatagramSocket::new(socket, true));
    socket.map(|socket| (socket, file)).map_err(|source| BindError::file(path, source))
}

fn udp(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
}

impl DatagramSocket {
    /// A bound socket of another process, with the options that it has. Datagrams that were dropped before are not
    /// counted again.
    ///
    /// # Errors
    /// The system's error, if `socket` is no socket.
    pub fn from_socket(socket: OwnedFd) -> io::Result<DatagramSocket> {
        let socket = Socket::from(socket);
        let is_local = socket.domain()? == Domain::UNIX;
        let socket = DatagramSocket { socket, is_local, drops_seen: Cell::new(0) };
        socket.kernel_drops();
        Ok(socket)
    }

    pub(super) fn new(socket: Socket, is_local: bool) -> io::Result<DatagramSocket> {
        socket.set_nonblocking(true)?;
        // If the kernel allows less, the socket works with less.
        let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
        Ok(DatagramSocket { socket, is_local, drops_seen: Cell::new(0) })
    }

    /// A bound socket that was open before the server started. Datagrams that were dropped before are not counted.
    pub(super) fn of_handed(socket: Socket, is_local: bool) -> io::Result<DatagramSocket> {
        let socket = DatagramSocket::new(socket, is_local)?;
        socket.kernel_drops();
        Ok(socket)
    }

    /// Whether this is a Unix socket, on which senders wait when they are too fast.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// The number of datagrams that the kernel has dropped since the previous call (SO_MEMINFO). SO_RXQ_OVFL would
    /// report drops only with the next datagram, which may never arrive.
    pub fn kernel_drops(&self) -> u32 {
        let mut memory = [0u32; MEMINFO_WORDS];
        let mut length = size_of_val(&memory) as libc::socklen_t;
        let place = memory.as_mut_ptr().cast();
        // SAFETY: `place` and `length` are valid for the answer, of which the kernel writes no more than `length`.
        let asked = unsafe {
            libc::getsockopt(self.descriptor(), libc::SOL_SOCKET, libc::SO_MEMINFO, place, &raw mut length)
        };
        let now = if asked == 0 { memory[MEMINFO_DROPS] } else { self.drops_seen.get() };
        now.wrapping_sub(self.drops_seen.replace(now))
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Datagrams that were received together, and the memory for them.
pub struct Batch {
    memory: Vec<u8>,
    control: Vec<[u64; CONTROL_WORDS]>,
    // Each header points to its vector and its control memory, each vector to its buffer.
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    filled: usize,
}

/// One datagram of a batch.
pub struct Datagram<'b> {
    /// The datagram, or its beginning.
    pub bytes: &'b [u8],
    /// Whether `bytes` is the whole datagram.
    pub is_whole: bool,
    /// The credentials of the sender, on a Unix socket.
    pub sender: Option<Credentials>,
}

impl Batch {
    /// An empty batch. Most of its memory is taken only once long datagrams arrive.
    pub fn new() -> Batch {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: DATAGRAM_BYTES };
        // SAFETY: all zeroes is a header that points to nothing.
        let header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Batch {
            memory: vec![0; BATCH * STRIDE],
            control: vec![[0; CONTROL_WORDS]; BATCH],
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
            filled: 0,
        }
    }

    /// Receives the datagrams that have arrived at `socket`, up to a batch, in place of the previous batch. Returns
    /// whether there may be more.
    ///
    /// # Errors
    /// The system's error, if the socket failed.
    pub fn receive(&mut self, socket: &DatagramSocket) -> io::Result<bool> {
        self.filled = 0;
        self.point(socket.is_local);
        let headers = self.headers.as_mut_ptr();
        let (flags, no_time) = (libc::MSG_DONTWAIT as _, std::ptr::null_mut());
        // SAFETY: `point` has just made the headers point to vectors, buffers and control memory of this batch, which
        // is borrowed mutably until the call returns.
        let received = unsafe { libc::recvmmsg(socket.descriptor(), headers, BATCH as _, flags, no_time) };
        if let Ok(received) = usize::try_from(received) {
            self.filled = received.min(BATCH);
            return Ok(self.filled == BATCH);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock => Ok(false),
            io::ErrorKind::Interrupted => Ok(true),
            _ => Err(error),
        }
    }

    /// Points each header to its buffer, and to room for credentials if they are wanted.
    fn point(&mut self, with_credentials: bool) {
        let buffers = self.memory.chunks_exact_mut(STRIDE).zip(&mut self.control);
        for ((header, vector), (buffer, control)) in
            self.headers.iter_mut().zip(&mut self.vectors).zip(buffers)
        {
            vector.iov_base = buffer.as_mut_ptr().cast();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if with_credentials {
                header.msg_hdr.msg_controllen = size_of_val(control) as _;
                header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            } else {
                header.msg_hdr.msg_controllen = 0;
                header.msg_hdr.msg_control = std::ptr::null_mut();
            }
        }
    }

    /// The number of datagrams.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether there are no datagrams.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// All datagrams, in the order they arrived.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let buffers = self.memory.chunks_exact(STRIDE);
        self.headers[..self.filled].iter().zip(buffers).map(|(header, buffer)| {
            let length = (header.msg_len as usize).min(DATAGRAM_BYTES);
            Datagram {
                bytes: buffer.get(..length).unwrap_or_default(),
                is_whole: header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0,
                sender: sender_of(&header.msg_hdr),
            }
        })
    }
}

impl Default for Batch {
    fn default() -> Self {
        Batch::new()
    }
}

/// The sender's credentials in a control message (SCM_CREDENTIALS), which the kernel has verified.
fn sender_of(header: &libc::msghdr) -> Option<Credentials> {
    // SAFETY: the kernel has filled the control memory that the header points to and set its length to what it wrote;
    // the macros stay within that, and credentials are copied out only where a whole message of that kind is.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        if message.is_null()
            || (*message).cmsg_level != libc::SOL_SOCKET
            || (*message).cmsg_type != libc::SCM_CREDENTIALS
            || ((*message).cmsg_len as usize) < libc::CMSG_LEN(size_of::<libc::ucred>() as u32) as usize
        {
            return None;
        }
        let credentials = libc::CMSG_DATA(message).cast::<libc::ucred>().read_unaligned();
        Some(Credentials { user: credentials.uid, group: credentials.gid })
    }
}

/// SK_MEMINFO_VARS and SK_MEMINFO_DROPS of linux/sock_diag.h.
const MEMINFO_WORDS: usize = 9;
const MEMINFO_DROPS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;

    fn udp_pair() -> (UdpSocket, DatagramSocket) {
        let socket = udp(([127, 0, 0, 1], 0).into()).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(address).unwrap();
        (sender, DatagramSocket::new(socket, false).unwrap())
    }

    #[test]
    fn datagrams_come_in_their_order_and_in_batches() {
        let (sender, socket) = udp_pair();
        let mut batch = Batch::new();
        assert!(!batch.receive(&socket).unwrap() && batch.is_empty());
        for number in 0..70u8 {
            sender.send(&[number]).unwrap();
        }
        assert!(batch.receive(&socket).unwrap());
        let numbers: Vec<u8> = batch.datagrams().flat_map(|it| it.bytes.to_vec()).collect();
        assert_eq!(numbers, (0..64).collect::<Vec<u8>>());
        assert!(!batch.receive(&socket).unwrap());
        assert_eq!(batch.len(), 6);
        assert!(batch.datagrams().all(|it| it.is_whole && it.sender.is_none()));
    }

    #[test]
    fn what_the_kernel_drops_is_counted_though_nothing_comes_after_it() {
        let (sender, socket) = udp_pair();
        socket.socket.set_recv_buffer_size(4096).unwrap();
        let mut batch = Batch::new();
        for _ in 0..1000 {
            sender.send(&[0; 500]).unwrap();
        }
        let mut received = 0;
        while batch.receive(&socket).is_ok() && !batch.is_empty() {
            received += batch.len();
        }
        assert!(received < 1000);
        assert_eq!(received + socket.kernel_drops() as usize, 1000);
        assert_eq!(socket.kernel_drops(), 0);
    }

    #[test]
    fn datagrams_of_this_machine_say_whose_they_are_and_whether_they_are_whole() {
        let path = std::env::temp_dir().join(format!("gripwire-datagrams-{}", std::process::id()));
        let (socket, file) = bind_unix_datagram(&path, 0o600).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"hi", &path).unwrap();
        sender.send_to(&[7; DATAGRAM_BYTES + 1], &path).unwrap();
        let mut batch = Batch::new();
        batch.receive(&socket).unwrap();
        let seen: Vec<_> = batch.datagrams().map(|it| (it.bytes.len(), it.is_whole, it.sender)).collect();
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!(
            seen.iter().map(|it| (it.0, it.1)).collect::<Vec<_>>(),
            [(2, true), (DATAGRAM_BYTES, false)]
        );
        assert!(seen.iter().all(|it| it.2.is_some_and(|sender| sender.user == own)));
        drop(file);
        assert!(!path.exists());
    }
}
