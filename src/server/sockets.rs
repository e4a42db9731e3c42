//! Opens all ports of the settings, with separate sockets for each core. A port for which the service manager handed over
//! a socket uses that socket.

use super::certificates::ports;
use super::error::ServerError;
use super::life::SocketFiles;
use crate::clients::{Port, Service};
use crate::config::{Config, Ingest, MetricsPort, UnixPort};
use crate::tls::{self, Certificates, Offer};
use crate::wire::{self, Access, DatagramSocket, HandedSockets, PortUse, Preface, SocketPlace};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

/// The sockets of one core.
#[derive(Default)]
pub(super) struct Sockets {
    pub listeners: Vec<((TcpListener, Preface), Service)>,
    pub local_listeners: Vec<((UnixListener, Preface), Service)>,
    pub datagrams: Vec<DatagramSocket>,
}

/// The sockets of each of `cores` cores, and the files of the Unix sockets. Sockets of the service manager are used for
/// the ports that have their addresses.
pub(super) fn open(
    settings: &Config,
    cores: usize,
    certificates: Option<&Arc<Certificates>>,
    handed: HandedSockets,
) -> Result<(Vec<Sockets>, SocketFiles), ServerError> {
    let mut opening = Opening { handed, sockets: Vec::new(), files: SocketFiles::default() };
    opening.sockets.resize_with(cores, Sockets::default);
    let tcp = tcp(settings, certificates)?;
    opening.handed.check(&places(settings, &tcp))?;
    for (address, service, tls) in tcp {
        let proxy_protocol = service.is_for_clients() && settings.http.is_proxied(address);
        let preface = Preface { port_use: service.port_use(), proxy_protocol, tls, ..Preface::default() };
        opening.open_tcp(address, service, preface)?;
    }
    if let Some(address) = udp(settings) {
        opening.open_udp(address)?;
    }
    for port in &settings.http.unix_listen {
        opening.open_file(&port.path, port.into(), Service::Clients(Port::Unix))?;
    }
    if let Some(MetricsPort::File(port)) = &settings.stats.prometheus {
        opening.open_file(&port.path, port.into(), Service::Metrics)?;
    }
    let Ingest { unix_stream, unix_datagram, unix_mode, .. } = &settings.ingest;
    if let Some(path) = unix_stream {
        opening.open_file(path, (*unix_mode).into(), Service::LocalControl)?;
    }
    if let Some(path) = unix_datagram {
        opening.open_datagram_file(path, *unix_mode)?;
    }
    Ok((opening.sockets, opening.files))
}

/// Every socket that the settings name.
fn places<'s>(settings: &'s Config, tcp: &[(SocketAddr, Service, Option<Offer>)]) -> Vec<SocketPlace<'s>> {
    let metrics = match &settings.stats.prometheus {
        Some(MetricsPort::File(port)) => Some(&port.path),
        Some(MetricsPort::Tcp(_)) | None => None,
    };
    let streams = settings.http.unix_listen.iter().map(|port| &port.path);
    let streams = streams.chain(metrics).chain(&settings.ingest.unix_stream);
    let tcp = tcp.iter().map(|(address, ..)| SocketPlace::Tcp(*address));
    tcp.chain(udp(settings).map(SocketPlace::Udp))
        .chain(streams.map(|path| SocketPlace::Stream(path)))
        .chain(settings.ingest.unix_datagram.iter().map(|path| SocketPlace::Datagram(path)))
        .collect()
}

/// The address for datagrams, unless it is off.
fn udp(settings: &Config) -> Option<SocketAddr> {
    settings.ingest.udp.filter(|_| settings.udp_is_off().is_none())
}

/// Every TCP port, with its service and, for TLS, its offer.
fn tcp(
    settings: &Config,
    certificates: Option<&Arc<Certificates>>,
) -> Result<Vec<(SocketAddr, Service, Option<Offer>)>, ServerError> {
    let plain = settings.http.listen.iter().map(|address| (*address, Service::Clients(Port::Plain)));
    let control = settings.control.listen.map(|address| (address, Service::Control));
    let metrics = match &settings.stats.prometheus {
        Some(MetricsPort::Tcp(address)) => Some((*address, Service::Metrics)),
        Some(MetricsPort::File(_)) | None => None,
    };
    let plain = plain.chain(control).chain(metrics).map(|(address, service)| (address, service, None));
    let offers = certificates.map(|certificates| tls::offers(certificates, &ports(settings))).transpose()?;
    let secure = settings.http.tls_listen.iter().zip(offers.unwrap_or_default());
    let secure = secure.map(|(address, offer)| (*address, Service::Clients(Port::Tls), Some(offer)));
    Ok(plain.chain(secure).collect())
}

/// The sockets that are open so far.
struct Opening {
    /// Sockets of the service manager that are not in use yet.
    handed: HandedSockets,
    /// The sockets of each core.
    sockets: Vec<Sockets>,
    files: SocketFiles,
}

impl Opening {
    fn open_tcp(
        &mut self,
        address: SocketAddr,
        service: Service,
        mut preface: Preface,
    ) -> Result<(), ServerError> {
        let handed = self.handed.tcp(address)?;
        let is_handed = (!handed.is_empty()).then_some(true);
        let bound = match is_handed {
            Some(_) => shared(&handed, self.sockets.len())?,
            None => wire::bind(address, self.sockets.len())?,
        };
        preface.is_shared = is_handed.is_some();
        let proxy_protocol = preface.proxy_protocol.then_some(true);
        for (index, listener) in bound.into_iter().enumerate() {
            self.core(index).listeners.push(((listener, preface.clone()), service));
        }
        tracing::info!(%address, ?service, proxy_protocol, handed = is_handed, "listening");
        Ok(())
    }

    /// Opens the UDP sockets. A socket belongs to one core, so that each sender's datagrams stay in order; if the
    /// service manager handed over one socket, the first core receives all datagrams.
    fn open_udp(&mut self, address: SocketAddr) -> Result<(), ServerError> {
        let handed = self.handed.udp(address)?;
        let is_handed = (!handed.is_empty()).then_some(true);
        let bound = match is_handed {
            Some(_) => handed,
            None => wire::bind_udp(address, self.sockets.len())?,
        };
        for (index, socket) in bound.into_iter().enumerate() {
            self.core(index).datagrams.push(socket);
        }
        tracing::info!(%address, handed = is_handed, "receiving datagrams");
        Ok(())
    }

    /// Opens a Unix socket that all cores share. The first core that accepts a client serves it.
    fn open_file(&mut self, path: &Path, access: Access, service: Service) -> Result<(), ServerError> {
        let handed = self.handed.unix(path, access)?;
        let is_handed = handed.is_some().then_some(true);
        let listener = match handed {
            Some(listener) => listener,
            None => {
                let (listener, file) = wire::bind_unix(path, access)?;
                self.files.of(service.port_use()).push(file);
                listener
            }
        };
        let preface =
            Preface { port_use: service.port_use(), is_shared: is_handed.is_some(), ..Preface::default() };
        for of_core in &mut self.sockets {
            let listener = listener.try_clone().map_err(ServerError::Descriptor)?;
            of_core.local_listeners.push(((listener, preface.clone()), service));
        }
        tracing::info!(path = %path.display(), ?service, handed = is_handed, "listening");
        Ok(())
    }

    /// Opens the Unix socket for datagrams. One core receives all of them, so that each sender's datagrams stay in
    /// order.
    fn open_datagram_file(&mut self, path: &Path, mode: u32) -> Result<(), ServerError> {
        let handed = self.handed.unix_datagram(path, mode)?;
        let is_handed = handed.is_some().then_some(true);
        let socket = match handed {
            Some(socket) => socket,
            None => {
                let (socket, file) = wire::bind_unix_datagram(path, mode)?;
                self.files.of(PortUse::Operators).push(file);
                socket
            }
        };
        self.core(0).datagrams.push(socket);
        tracing::info!(path = %path.display(), handed = is_handed, "receiving datagrams");
        Ok(())
    }

    /// The sockets of the core that gets the socket `index` of a port.
    fn core(&mut self, index: usize) -> &mut Sockets {
        let cores = self.sockets.len();
        &mut self.sockets[index % cores]
    }
}

/// The listeners `handed`, so often that each of `cores` cores gets one in turn, and each listener gets a core. Cores
/// that share a listener accept from the same queue. No socket is bound beside it: that would need SO_REUSEPORT on the
/// manager's socket, and the clients in the queues of such sockets would be reset at a restart.
fn shared(handed: &[TcpListener], cores: usize) -> Result<Vec<TcpListener>, ServerError> {
    let listeners = handed.iter().cycle().take(cores.max(handed.len()));
    listeners.map(|listener| listener.try_clone().map_err(ServerError::Descriptor)).collect()
}

impl From<&UnixPort> for Access {
    fn from(port: &UnixPort) -> Access {
        Access { mode: port.mode, user: port.user, group: port.group }
    }
}
