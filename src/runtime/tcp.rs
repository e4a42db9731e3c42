//! A core's connections to origins.

#[cfg(feature = "simulation")]
use crate::simulation;
use futures_lite::{AsyncRead, AsyncWrite};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A connection over TCP.
pub struct TcpStream(Stream);

enum Stream {
    Glommio(glommio::net::TcpStream),
    #[cfg(feature = "simulation")]
    Simulated(simulation::Stream),
}

impl TcpStream {
    /// Connects to `address`.
    ///
    /// # Errors
    /// If the connection fails, or takes longer than `timeout`.
    pub async fn connect_timeout(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        #[cfg(feature = "simulation")]
        if simulation::current().is_some() {
            return Ok(TcpStream(Stream::Simulated(simulation::connect_within(address, timeout).await?)));
        }
        Ok(TcpStream(Stream::Glommio(glommio::net::TcpStream::connect_timeout(address, timeout).await?)))
    }

    /// A connection that is there already: `connected` is its socket.
    ///
    /// # Errors
    /// The system's error.
    pub fn of_connected(connected: OwnedFd) -> io::Result<TcpStream> {
        let connected = std::net::TcpStream::from(connected);
        connected.set_nonblocking(true)?;
        let socket = glommio_socket2::Socket::from(connected);
        Ok(TcpStream(Stream::Glommio(socket.into())))
    }

    /// Sends written data without delay (TCP_NODELAY).
    ///
    /// # Errors
    /// The system's error.
    pub fn set_nodelay(&self, value: bool) -> io::Result<()> {
        match &self.0 {
            Stream::Glommio(tcp) => Ok(tcp.set_nodelay(value)?),
            #[cfg(feature = "simulation")]
            Stream::Simulated(_) => Ok(()),
        }
    }

    /// The socket's descriptor; `None` for a simulated connection.
    pub fn descriptor(&self) -> Option<RawFd> {
        match &self.0 {
            Stream::Glommio(tcp) => Some(tcp.as_raw_fd()),
            #[cfg(feature = "simulation")]
            Stream::Simulated(_) => None,
        }
    }

    /// Whether there is nothing to read, not even the end of the stream. This asks the kernel, because the executor
    /// learns of data a little later.
    pub fn is_quiet(&self) -> bool {
        match &self.0 {
            Stream::Glommio(tcp) => {
                let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
                recv(tcp.as_raw_fd(), &mut [0], flags) == Err(Errno::EAGAIN)
            }
            #[cfg(feature = "simulation")]
            Stream::Simulated(stream) => !stream.is_readable(),
        }
    }

    /// Reads the data that has arrived, 0 bytes at the end of the stream; `None` if nothing has arrived.
    pub fn try_read(&mut self, into: &mut [u8]) -> Option<io::Result<usize>> {
        match &mut self.0 {
            Stream::Glommio(tcp) => match recv(tcp.as_raw_fd(), into, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => None,
                read => Some(read.map_err(Into::into)),
            },
            #[cfg(feature = "simulation")]
            Stream::Simulated(stream) => match stream.try_read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                read => Some(read),
            },
        }
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Stream::Glommio(tcp) => Pin::new(tcp).poll_read(context, into),
            #[cfg(feature = "simulation")]
            Stream::Simulated(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Stream::Glommio(tcp) => Pin::new(tcp).poll_write(context, from),
            #[cfg(feature = "simulation")]
            Stream::Simulated(stream) => Pin::new(stream).poll_write(context, from),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Stream::Glommio(tcp) => Pin::new(tcp).poll_flush(context),
            #[cfg(feature = "simulation")]
            Stream::Simulated(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Stream::Glommio(tcp) => Pin::new(tcp).poll_close(context),
            #[cfg(feature = "simulation")]
            Stream::Simulated(stream) => Pin::new(stream).poll_close(context),
        }
    }
}
