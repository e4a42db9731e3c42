//! Sends one message as a datagram, for `gripwire publish`. Datagrams are not answered, so success means only that the
//! datagram was sent. A missing receiver is an error if the system reports it.

use std::io;
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::outcome::PostError;

/// Sends to `address`, a host and a port.
///
/// # Errors
/// The system's error, and the address.
pub fn send_by_udp(address: &str, datagram: &[u8]) -> Result<(), PostError> {
    let sent = || {
        let addresses = address.to_socket_addrs()?;
        let to = addresses.into_iter().next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(from)?;
        socket.connect(to)?;
        socket.send(datagram)?;
        // For a receiver on this machine, the kernel has already reported a closed port.
        socket.take_error()?.map_or(Ok(()), Err)
    };
    sent().map_err(|source| PostError::Unsent { to: format!("udp://{address}"), source })
}

/// Sends to the Unix socket at `path`.
///
/// # Errors
/// The system's error, and the path.
pub fn send_to_file(path: &Path, datagram: &[u8]) -> Result<(), PostError> {
    let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(datagram, path));
    let to = format!("unixgram://{}", path.display());
    sent.map(drop).map_err(|source| PostError::Unsent { to, source })
}
