//! Binds all ports of the settings, with separate sockets for each core.

use super::certificates::ports;
use super::error::ServerError;
use crate::clients::{Port, Service};
use crate::config::{Config, Http, Ingest, MetricsPort, UnixPort};
use crate::tls::{self, Certificates, Offer};
use crate::wire::{self, Access, DatagramSocket, Preface, SocketFile};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

/// The sockets of one core.
#[derive(Default)]
pub(super) struct Sockets {
    pub listeners: Vec<((TcpListener, Preface), Service)>,
    pub local_listeners: Vec<(UnixListener, Service)>,
    pub datagrams: Vec<DatagramSocket>,
}

/// The sockets of each of `cores` cores, and the files of the Unix sockets.
pub(super) fn open(
    settings: &Config,
    cores: usize,
    certificates: Option<&Arc<Certificates>>,
) -> Result<(Vec<Sockets>, Vec<SocketFile>), ServerError> {
    let mut sockets: Vec<Sockets> = (0..cores).map(|_| Sockets::default()).collect();
    for (address, service, tls) in tcp(settings, certificates)? {
        let bound = wire::bind(address, cores)?;
        let proxy_protocol = service.is_for_clients() && settings.http.is_proxied(address);
        let preface = Preface { port_use: service.port_use(), proxy_protocol, tls };
        let of_cores = sockets.iter_mut().zip(bound);
        of_cores.for_each(|(of_core, it)| of_core.listeners.push(((it, preface.clone()), service)));
        let proxy_protocol = proxy_protocol.then_some(true);
        tracing::info!(%address, ?service, proxy_protocol, "listening");
    }
    if let Some(address) = settings.ingest.udp.filter(|_| settings.udp_is_off().is_none()) {
        let bound = wire::bind_udp(address, cores)?;
        sockets.iter_mut().zip(bound).for_each(|(of_core, it)| of_core.datagrams.push(it));
        tracing::info!(%address, "receiving datagrams");
    }
    let mut files = open_client_files(&settings.http, &mut sockets)?;
    if let Some(MetricsPort::File(port)) = &settings.stats.prometheus {
        files.push(open_file(&port.path, port.into(), Service::Metrics, &mut sockets)?);
    }
    files.extend(open_files(&settings.ingest, &mut sockets)?);
    Ok((sockets, files))
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

/// Opens a Unix socket that all cores share. The first core that accepts a client serves it.
fn open_file(
    path: &Path,
    access: Access,
    service: Service,
    sockets: &mut [Sockets],
) -> Result<SocketFile, ServerError> {
    let (listener, file) = wire::bind_unix(path, access)?;
    for of_core in sockets {
        let listener = listener.try_clone().map_err(ServerError::Descriptor)?;
        of_core.local_listeners.push((listener, service));
    }
    tracing::info!(path = %path.display(), ?service, "listening");
    Ok(file)
}

fn open_client_files(settings: &Http, sockets: &mut [Sockets]) -> Result<Vec<SocketFile>, ServerError> {
    let open = |port: &UnixPort| open_file(&port.path, port.into(), Service::Clients(Port::Unix), sockets);
    settings.unix_listen.iter().map(open).collect()
}

impl From<&UnixPort> for Access {
    fn from(port: &UnixPort) -> Access {
        Access { mode: port.mode, user: port.user, group: port.group }
    }
}

/// Opens the Unix sockets of `[ingest]`. One core receives all Unix datagrams, so that each sender's datagrams stay in
/// order.
fn open_files(settings: &Ingest, sockets: &mut [Sockets]) -> Result<Vec<SocketFile>, ServerError> {
    let mut files = Vec::new();
    if let Some(path) = &settings.unix_stream {
        files.push(open_file(path, settings.unix_mode.into(), Service::LocalControl, sockets)?);
    }
    if let Some(path) = &settings.unix_datagram {
        let (socket, file) = wire::bind_unix_datagram(path, settings.unix_mode)?;
        files.push(file);
        if let Some(first) = sockets.first_mut() {
            first.datagrams.push(socket);
        }
        tracing::info!(path = %path.display(), "receiving datagrams");
    }
    Ok(files)
}
