//! Makes a new connection to one place: name lookup, TCP and TLS, all within `connect_timeout_ms`. The pool calls
//! this when no kept connection can be used. If connecting fails, no byte of the request was sent, so another target
//! may be tried.

use super::activity::Activity;
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::origin_address::{Identity, OriginAddress};
use super::own_ports::OwnPorts;
use super::private_network::is_private;
use super::resolve::Resolver;
use super::tls::Tls;
use super::transport::{Scratch, Stream, Transport};
use crate::patience::within;
use crate::runtime::{self, TcpStream};
use crate::wire::bound_buffers;
use futures_rustls::pki_types::ServerName;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Makes the connections of one core.
pub(super) struct Connector {
    pub resolver: Resolver,
    pub tls: Tls,
    /// Ports that a request must not reach if an application named its URI.
    pub own_ports: RefCell<OwnPorts>,
    scratch: Scratch,
    timeout_ms: Cell<u64>,
}

impl Connector {
    /// A transport on `socket`, which is connected already.
    ///
    /// # Errors
    /// The system's error.
    pub fn transport_of(&self, socket: OwnedFd) -> io::Result<Transport> {
        let stream = Stream::Plain(TcpStream::of_connected(socket)?);
        Ok(Transport::new(stream, self.scratch.clone(), Activity::new()))
    }

    /// A connector whose connections must be complete within `timeout_ms`.
    pub fn new(tls: Tls, timeout_ms: u64) -> Self {
        Connector {
            resolver: Resolver::new(),
            tls,
            own_ports: RefCell::default(),
            scratch: Scratch::new(),
            timeout_ms: timeout_ms.into(),
        }
    }

    /// Changes the time limit for connections that are made from now on.
    pub fn set_timeout(&self, timeout_ms: u64) {
        self.timeout_ms.set(timeout_ms);
    }

    /// A new connection to `place`.
    ///
    /// # Errors
    /// Why there is no connection: the step that failed, and each address that was tried.
    pub async fn connect(&self, place: &OriginAddress) -> Result<Connection, ConnectError> {
        let timeout_ms = self.timeout_ms.get();
        let timeout = Duration::from_millis(timeout_ms.max(1));
        let deadline = runtime::now() + timeout;
        let refused = RefCell::default();
        let stream = within(timeout, self.stream(place, deadline, &refused)).await;
        let (stream, address) =
            stream.unwrap_or_else(|| Err(ConnectError::TimedOut { timeout_ms, refused: refused.take() }))?;
        let activity = Activity::new();
        let transport = Transport::new(stream, self.scratch.clone(), activity.clone());
        Ok(Connection::begin(transport, activity, address))
    }

    async fn stream(
        &self,
        place: &OriginAddress,
        deadline: Instant,
        refused: &RefCell<Vec<(SocketAddr, io::Error)>>,
    ) -> Result<(Stream, IpAddr), ConnectError> {
        let addresses = self
            .resolver
            .resolve(&place.host)
            .await
            .map_err(|source| ConnectError::Resolve { host: place.host.clone(), source })?;
        // The addresses that are checked here are connected to below: the name is not looked up again in between.
        let allowed = self.allowed(place, &addresses)?;
        let Some((tcp, address)) = tcp(&allowed, place.port, deadline, refused).await else {
            let (timeout_ms, refused) = (self.timeout_ms.get(), refused.take());
            let ran_out = refused.len() < allowed.len();
            return Err(match ran_out {
                true => ConnectError::TimedOut { timeout_ms, refused },
                false => ConnectError::Tcp { refused },
            });
        };
        let stream = match &place.tls {
            None => Stream::Plain(tcp),
            Some(identity) => self
                .handshake(tcp, identity)
                .await
                .map_err(|source| ConnectError::Tls { name: identity.name.clone(), source })?,
        };
        Ok((stream, address))
    }

    /// The addresses of `addresses` that a connection to `place` may use.
    ///
    /// # Errors
    /// [`ConnectError::Private`] or [`ConnectError::OwnPort`] when no address is allowed.
    fn allowed(&self, place: &OriginAddress, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, ConnectError> {
        let host = || place.host.clone();
        let mut allowed = addresses.to_vec();
        if place.untrusted {
            allowed.retain(|address| !is_private(*address));
        }
        if allowed.is_empty() {
            return Err(ConnectError::Private { host: host() });
        }
        if place.named_by_application {
            let own_ports = self.own_ports.borrow();
            allowed.retain(|address| !own_ports.include(SocketAddr::new(*address, place.port)));
        }
        if allowed.is_empty() {
            return Err(ConnectError::OwnPort { host: host(), port: place.port });
        }
        Ok(allowed)
    }

    async fn handshake(&self, tcp: TcpStream, identity: &Identity) -> io::Result<Stream> {
        let connector = self.tls.connector(identity).await?;
        let name = ServerName::try_from(identity.name.clone()).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(connector.connect(name, tcp).await?)))
    }
}

/// Tries the addresses in turn. An address that does not answer gets its share of the time, not all of it.
async fn tcp(
    addresses: &[IpAddr],
    port: u16,
    deadline: Instant,
    refused: &RefCell<Vec<(SocketAddr, io::Error)>>,
) -> Option<(TcpStream, IpAddr)> {
    for (tried, &ip) in addresses.iter().enumerate() {
        let address = SocketAddr::new(ip, port);
        let remaining = deadline.saturating_duration_since(runtime::now());
        let share = remaining / (addresses.len() - tried) as u32;
        if share.is_zero() {
            break;
        }
        match open(address, share).await {
            Ok(tcp) => return Some((tcp, ip)),
            Err(source) => refused.borrow_mut().push((address, source)),
        }
    }
    None
}

async fn open(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect_timeout(address, timeout).await?;
    // A request is written in one piece and then waits for its answer, so Nagle's algorithm could only delay it.
    tcp.set_nodelay(true)?;
    if let Some(descriptor) = tcp.descriptor() {
        bound_buffers(descriptor, RECEIVED_BYTES, UNSENT_BYTES)?;
    }
    Ok(tcp)
}

/// How much of an answer the kernel may receive ahead of a slow client, bytes. This allows 250 MB/s over a path of 1
/// ms.
pub const RECEIVED_BYTES: usize = 256 * 1024;

/// How much of a request the kernel may keep while the application does not read it, bytes.
pub const UNSENT_BYTES: u32 = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_of_a_name_is_judged_by_itself() {
        let connector = Connector::new(Tls::default(), 1000);
        *connector.own_ports.borrow_mut() = OwnPorts::new(["0.0.0.0:5561".parse().unwrap()]);
        let answer: Vec<IpAddr> =
            ["10.0.0.1", "8.8.8.8", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2606:4700::1"]
                .map(|address| address.parse().unwrap())
                .into();
        let allowed = |untrusted, named_by_application, addresses: &[IpAddr]| {
            let place =
                OriginAddress { host: "x".into(), port: 5561, tls: None, untrusted, named_by_application };
            connector.allowed(&place, addresses)
        };
        let internet: Vec<IpAddr> = vec![answer[1], answer[4]];
        assert_eq!(allowed(true, false, &answer).unwrap(), internet);
        assert_eq!(allowed(true, true, &answer).unwrap(), internet);
        assert_eq!(allowed(false, false, &answer).unwrap(), answer);
        assert!(!allowed(false, true, &answer).unwrap().contains(&answer[2]));
        assert!(matches!(allowed(true, true, &answer[2..3]), Err(ConnectError::Private { .. })));
        assert!(matches!(allowed(false, true, &answer[2..3]), Err(ConnectError::OwnPort { .. })));
    }
}
