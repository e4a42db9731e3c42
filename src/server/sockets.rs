//! Opens all ports of the settings, with separate sockets for each core. A port for which a socket was handed over, by the
//! service manager or by the process that this one replaces, uses that socket.

use super::certificates::ports;
use super::error::ServerError;
use super::life::SocketFiles;
use crate::clients::{Port, Service};
use crate::config::{Config, Ingest, MetricsPort, UnixPort};
use crate::tls::{self, Certificates, Offer};
use crate::wire::{self, Access, DatagramSocket, HandedSockets, PortUse, Preface, SocketFile, SocketPlace};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
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

/// A copy of a socket, for a process that replaces this one.
pub(super) struct SocketCopy {
    pub socket: OwnedFd,
    /// A service manager has the socket too.
    pub is_managed: bool,
}

/// Copies of all sockets of the cores. Of a socket that cores share, there is one.
pub(super) fn copies(of_cores: &[Sockets]) -> io::Result<Vec<SocketCopy>> {
    let mut copies = BTreeMap::new();
    for Sockets { listeners, local_listeners, datagrams } in of_cores {
        let tcp = listeners.iter().map(|((listener, preface), _)| (listener.as_fd(), preface.is_shared));
        let local = local_listeners.iter();
        let local = local.map(|((listener, preface), _)| (listener.as_fd(), preface.is_shared));
        // Nobody is reset when a datagram socket is closed.
        let datagrams = datagrams.iter().map(|socket| (socket.as_fd(), false));
        for (socket, is_managed) in tcp.chain(local).chain(datagrams) {
            let copy = File::from(socket.try_clone_to_owned()?);
            let inode = copy.metadata()?.ino();
            copies.insert(inode, SocketCopy { socket: copy.into(), is_managed });
        }
    }
    Ok(copies.into_values().collect())
}

/// All sockets of the settings.
pub(super) struct Opened {
    /// The sockets of each core.
    pub of_cores: Vec<Sockets>,
    /// The files of the Unix sockets.
    pub files: SocketFiles,
    /// The listeners of cores that an old process has no socket for. They do not listen yet.
    pub silent: Vec<TcpListener>,
}

/// Opens the sockets for `cores` cores. Sockets that were handed over are used for the ports that have their addresses.
pub(super) fn open(
    settings: &Config,
    cores: usize,
    certificates: Option<&Arc<Certificates>>,
    handed: HandedSockets,
) -> Result<Opened, ServerError> {
    let of_cores = (0..cores).map(|_| Sockets::default()).collect();
    let opened = Opened { of_cores, files: SocketFiles::default(), silent: Vec::new() };
    let mut opening = Opening { handed, opened };
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
    let Opening { handed, mut opened } = opening;
    opened.files.unused = handed.unused_files();
    Ok(opened)
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
    /// Sockets that were handed over and are not in use yet.
    handed: HandedSockets,
    opened: Opened,
}

impl Opening {
    fn open_tcp(
        &mut self,
        address: SocketAddr,
        service: Service,
        mut preface: Preface,
    ) -> Result<(), ServerError> {
        preface.is_shared = self.handed.are_managed(SocketPlace::Tcp(address));
        let handed = self.handed.tcp(address)?;
        let is_handed = (!handed.is_empty()).then_some(true);
        let bound = match is_handed {
            Some(_) => self.with_more(handed, address, preface.is_shared)?,
            None => wire::bind(address, self.cores())?,
        };
        for (core, listener) in deal(bound, self.cores()) {
            self.core(core).listeners.push(((listener, preface.clone()), service));
        }
        let proxy_protocol = preface.proxy_protocol.then_some(true);
        tracing::info!(%address, ?service, proxy_protocol, handed = is_handed, "listening");
        Ok(())
    }

    /// Adds sockets to those that were handed over for `address`, so that each core has one. Beside the sockets of an old
    /// process, more are bound. Beside those of a service manager none is bound, because that would need SO_REUSEPORT on
    /// the manager's socket, and the clients in the queues of such sockets would be reset at a restart. There, and where
    /// no socket can be bound beside another, cores share sockets, and accept from the same queue.
    fn with_more(
        &mut self,
        mut handed: Vec<TcpListener>,
        address: SocketAddr,
        are_managed: bool,
    ) -> Result<Vec<TcpListener>, ServerError> {
        let missing = self.cores().saturating_sub(handed.len());
        let beside = match are_managed {
            true => Vec::new(),
            false => wire::bind_beside(address, missing).unwrap_or_default(),
        };
        let copy = |listener: &TcpListener| listener.try_clone().map_err(ServerError::Descriptor);
        for listener in &beside {
            self.opened.silent.push(copy(listener)?);
        }
        let shared = handed.iter().cycle().take(missing - beside.len()).map(copy);
        let shared = shared.collect::<Result<Vec<_>, _>>()?;
        handed.extend(beside.into_iter().chain(shared));
        Ok(handed)
    }

    /// Opens the UDP sockets. A socket belongs to one core, so that each sender's datagrams stay in order. If fewer sockets
    /// were handed over than there are cores, only some cores receive datagrams: a socket that is bound beside others gets
    /// datagrams at once, and would lose them if this process did not serve in the end.
    fn open_udp(&mut self, address: SocketAddr) -> Result<(), ServerError> {
        let handed = self.handed.udp(address)?;
        let is_handed = (!handed.is_empty()).then_some(true);
        let bound = match is_handed {
            Some(_) => handed,
            None => wire::bind_udp(address, self.cores())?,
        };
        for (core, socket) in deal(bound, self.cores()) {
            self.core(core).datagrams.push(socket);
        }
        tracing::info!(%address, handed = is_handed, "receiving datagrams");
        Ok(())
    }

    /// Opens a Unix socket that all cores share. The first core that accepts a client serves it.
    fn open_file(&mut self, path: &Path, access: Access, service: Service) -> Result<(), ServerError> {
        let is_shared = self.handed.are_managed(SocketPlace::Stream(path));
        let handed = self.handed.unix(path, access)?;
        let is_handed = handed.is_some().then_some(true);
        let listener = match handed {
            Some(listener) => listener,
            None => {
                let (listener, file) = wire::bind_unix(path, access)?;
                self.own(file, service.port_use());
                listener
            }
        };
        if let Some(file) = self.handed.file(path) {
            self.own(file, service.port_use());
        }
        let preface = Preface { port_use: service.port_use(), is_shared, ..Preface::default() };
        for of_core in &mut self.opened.of_cores {
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
                self.own(file, PortUse::Operators);
                socket
            }
        };
        if let Some(file) = self.handed.file(path) {
            self.own(file, PortUse::Operators);
        }
        self.core(0).datagrams.push(socket);
        tracing::info!(path = %path.display(), handed = is_handed, "receiving datagrams");
        Ok(())
    }

    fn own(&mut self, file: SocketFile, port_use: PortUse) {
        self.opened.files.of(port_use).push(file);
    }

    fn cores(&self) -> usize {
        self.opened.of_cores.len()
    }

    fn core(&mut self, core: usize) -> &mut Sockets {
        &mut self.opened.of_cores[core]
    }
}

/// Deals `sockets` to `cores` cores in turn: each with the number of its core.
fn deal<S>(sockets: Vec<S>, cores: usize) -> impl Iterator<Item = (usize, S)> {
    sockets.into_iter().enumerate().map(move |(index, socket)| (index % cores, socket))
}

impl From<&UnixPort> for Access {
    fn from(port: &UnixPort) -> Access {
        Access { mode: port.mode, user: port.user, group: port.group }
    }
}
