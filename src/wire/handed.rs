//! Sockets that are open before the server starts, because a service manager opened them (sd_listen_fds(3), socket units of
//! systemd), or because the process that this one replaces hands them over. They are found by their own addresses, so their
//! order and their names do not matter.
//!
//! A service manager keeps its sockets open: clients that connect while no server runs wait in their queues for the next
//! one. The files of its Unix sockets belong to the manager, and the server never removes them. An old process hands over
//! all sockets of its cores; those that no setting names any more are closed with the [`HandedSockets`].

use super::datagrams::DatagramSocket;
use super::listener::prepare;
use super::socket_file::{Access, SocketFile};
use socket2::{Socket, Type};
use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first descriptor that a service manager hands over.
const FIRST: RawFd = 3;

/// A socket that the settings name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketPlace<'a> {
    /// A TCP listener.
    Tcp(SocketAddr),
    /// A UDP socket.
    Udp(SocketAddr),
    /// A Unix socket that listens.
    Stream(&'a Path),
    /// A Unix socket for datagrams.
    Datagram(&'a Path),
}

/// A socket that was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// LISTEN_FDS is not a number.
    #[error(
        "LISTEN_FDS is {0:?}, which is not a number of sockets: unset it, or correct the service manager"
    )]
    Count(String),
    /// A descriptor is closed, is no socket, or is a socket that cannot listen.
    #[error("the socket {handed} that was handed over cannot be used: {source}{remedy}")]
    Unusable {
        /// The socket.
        handed: String,
        /// The system's error.
        source: io::Error,
        /// What to change, if it is known.
        remedy: &'static str,
    },
    /// No setting names the socket.
    #[error(
        "the settings name no port for the socket {0} of LISTEN_FDS: set a port with exactly this address, or remove \
         the address from the socket unit"
    )]
    Unused(String),
    /// The file of a Unix socket is open to more users than the settings allow.
    #[error(
        "the socket {handed} of LISTEN_FDS has mode {found:03o}, but the settings allow {allowed:03o}: set \
         SocketMode={allowed:04o} in the socket unit"
    )]
    Mode {
        /// The socket.
        handed: String,
        /// The mode of its file.
        found: u32,
        /// The mode of the settings.
        allowed: u32,
    },
}

/// The sockets that were handed over and are not in use yet.
#[derive(Default)]
pub struct HandedSockets {
    left: Vec<Handed>,
    /// The files that the old process owns; `None` if the sockets are those of a service manager.
    files_of_old_process: Option<Vec<PathBuf>>,
}

struct Handed {
    /// The name that the manager gave it, often that of the socket unit.
    name: String,
    address: Address,
    socket: Socket,
    /// A service manager has the socket too.
    is_managed: bool,
}

enum Address {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Stream(PathBuf),
    Datagram(PathBuf),
    Other,
}

impl HandedSockets {
    /// Takes the sockets that LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES name in the environment. Another process's
    /// sockets are left alone, and a second call gets none. Called before the process opens a descriptor.
    ///
    /// # Errors
    /// If a descriptor that the manager names is no open socket.
    pub fn take() -> Result<HandedSockets, HandedError> {
        static ARE_TAKEN: AtomicBool = AtomicBool::new(false);
        if ARE_TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(HandedSockets::default());
        }
        let variable = |name| std::env::var(name).unwrap_or_default();
        if variable("LISTEN_PID") != std::process::id().to_string() {
            return Ok(HandedSockets::default());
        }
        let names = names(&variable("LISTEN_FDS"), &variable("LISTEN_FDNAMES"))?;
        let taken = (FIRST..).zip(names).map(|(descriptor, name)| {
            let handed = format!("{name:?} (descriptor {descriptor})");
            let failed = |source| HandedError::Unusable { handed, source, remedy: "" };
            let socket = take_descriptor(descriptor).map(Socket::from);
            socket.and_then(|socket| Handed::new(name, socket)).map_err(failed)
        });
        let left = taken.collect::<Result<_, _>>()?;
        Ok(HandedSockets { left, files_of_old_process: None })
    }

    /// The sockets that the process hands over which this one replaces, each with whether a service manager has it too. It
    /// owns `files`, those of its Unix sockets.
    ///
    /// # Errors
    /// If one is no socket.
    pub fn of_old_process(
        sockets: Vec<(OwnedFd, bool)>,
        files: Vec<PathBuf>,
    ) -> Result<HandedSockets, HandedError> {
        let taken = sockets.into_iter().map(|(socket, is_managed)| {
            let handed = format!("descriptor {}", socket.as_raw_fd());
            let failed = |source| HandedError::Unusable { handed, source, remedy: "" };
            let taken = Handed::new("the old process".to_owned(), socket.into());
            taken.map(|taken| Handed { is_managed, ..taken }).map_err(failed)
        });
        let left = taken.collect::<Result<_, _>>()?;
        Ok(HandedSockets { left, files_of_old_process: Some(files) })
    }

    /// Whether a service manager has the sockets at `place` too, so that their queues outlive this process.
    pub fn are_managed(&self, place: SocketPlace<'_>) -> bool {
        self.left.iter().any(|handed| handed.is_managed && handed.is_at(place))
    }

    fn are_of_old_process(&self) -> bool {
        self.files_of_old_process.is_some()
    }

    /// The file `path` of a Unix socket, if the old process owns it. The file stays until it is armed.
    pub fn file(&mut self, path: &Path) -> Option<SocketFile> {
        let files = self.files_of_old_process.as_mut()?;
        let index = files.iter().position(|file| file == path)?;
        SocketFile::of_other(&files.swap_remove(index)).ok()
    }

    /// The files that the old process owns and nobody has asked for.
    pub fn unused_files(&self) -> Vec<SocketFile> {
        let files = self.files_of_old_process.iter().flatten();
        files.filter_map(|file| SocketFile::of_other(file).ok()).collect()
    }

    /// Checks that each socket of a service manager is one of `places`. Those of an old process may be dropped.
    ///
    /// # Errors
    /// Names the first socket that is not.
    pub fn check(&self, places: &[SocketPlace<'_>]) -> Result<(), HandedError> {
        if self.are_of_old_process() {
            return Ok(());
        }
        let unused = self.left.iter().find(|handed| !places.iter().any(|place| handed.is_at(*place)));
        unused.map_or(Ok(()), |handed| Err(HandedError::Unused(handed.to_string())))
    }

    /// The listeners for `address`, ready for clients: none if none was handed over, and several if a manager opened
    /// them with SO_REUSEPORT.
    ///
    /// # Errors
    /// If a socket cannot listen.
    pub fn tcp(&mut self, address: SocketAddr) -> Result<Vec<TcpListener>, HandedError> {
        let all = self.remove(SocketPlace::Tcp(address));
        all.into_iter().map(|handed| handed.finish(prepare).map(TcpListener::from)).collect()
    }

    /// The UDP sockets for `address`, as [`tcp`](HandedSockets::tcp) for listeners.
    ///
    /// # Errors
    /// If a socket cannot be prepared.
    pub fn udp(&mut self, address: SocketAddr) -> Result<Vec<DatagramSocket>, HandedError> {
        let all = self.remove(SocketPlace::Udp(address));
        all.into_iter().map(|handed| handed.into_datagrams(false)).collect()
    }

    /// The listening Unix socket with the file `path`, if it was handed over.
    ///
    /// # Errors
    /// If the socket cannot listen, or if its file allows more than `access`.
    pub fn unix(&mut self, path: &Path, access: Access) -> Result<Option<UnixListener>, HandedError> {
        let Some(handed) = self.remove(SocketPlace::Stream(path)).pop() else { return Ok(None) };
        self.allow(&handed, path, access)?;
        // A socket that does not listen yet begins to, and the queue of any other keeps its length.
        let listening = |socket: &Socket| match socket.is_listener()? {
            true => socket.set_nonblocking(true),
            false => socket.listen(super::socket_file::QUEUE).and_then(|()| socket.set_nonblocking(true)),
        };
        handed.finish(listening).map(|socket| Some(OwnedFd::from(socket).into()))
    }

    /// The Unix socket for datagrams with the file `path`, if it was handed over.
    ///
    /// # Errors
    /// If the socket cannot be prepared, or if its file allows more than `mode`.
    pub fn unix_datagram(&mut self, path: &Path, mode: u32) -> Result<Option<DatagramSocket>, HandedError> {
        let Some(handed) = self.remove(SocketPlace::Datagram(path)).pop() else { return Ok(None) };
        self.allow(&handed, path, mode.into())?;
        handed.into_datagrams(true).map(Some)
    }

    /// Sees to it that the file of `handed` lets nobody connect whom `access` excludes.
    fn allow(&self, handed: &Handed, path: &Path, access: Access) -> Result<(), HandedError> {
        match handed.check_mode(path, access) {
            Err(HandedError::Mode { allowed, .. }) if self.are_of_old_process() => {
                let set = std::fs::set_permissions(path, Permissions::from_mode(allowed));
                set.map_err(|source| handed.unusable(source))
            }
            checked => checked,
        }
    }

    /// Removes the sockets at `place` from those that are left.
    fn remove(&mut self, place: SocketPlace<'_>) -> Vec<Handed> {
        self.left.extract_if(.., |handed| handed.is_at(place)).collect()
    }
}

impl Handed {
    fn new(name: String, socket: Socket) -> io::Result<Handed> {
        let (local, kind) = (socket.local_addr()?, socket.r#type()?);
        let (internet, path) = (local.as_socket(), local.as_pathname().map(Path::to_owned));
        let address = match (kind, internet, path) {
            (Type::STREAM, Some(address), _) => Address::Tcp(address),
            (Type::DGRAM, Some(address), _) => Address::Udp(address),
            (Type::STREAM, _, Some(path)) => Address::Stream(path),
            (Type::DGRAM, _, Some(path)) => Address::Datagram(path),
            _ => Address::Other,
        };
        Ok(Handed { name, address, socket, is_managed: true })
    }

    fn is_at(&self, place: SocketPlace<'_>) -> bool {
        match (&self.address, place) {
            (Address::Tcp(own), SocketPlace::Tcp(address))
            | (Address::Udp(own), SocketPlace::Udp(address)) => {
                *own == address || self.includes(*own, address)
            }
            (Address::Stream(own), SocketPlace::Stream(path))
            | (Address::Datagram(own), SocketPlace::Datagram(path)) => own == path,
            _ => false,
        }
    }

    /// Whether a socket bound to `own` is every address of IPv6 and IPv4, and `address` every address of IPv4.
    /// `ListenStream=7999` makes such a socket, and `listen = 7999` names such an address.
    fn includes(&self, own: SocketAddr, address: SocketAddr) -> bool {
        own.is_ipv6()
            && own.ip().is_unspecified()
            && address == SocketAddr::from((Ipv4Addr::UNSPECIFIED, own.port()))
            && self.socket.only_v6().is_ok_and(|only_v6| !only_v6)
    }

    /// Checks that the socket's file lets nobody connect whom `access` excludes. Those may connect who may write to the
    /// file. The manager made the file, so its mode is not changed here.
    fn check_mode(&self, path: &Path, access: Access) -> Result<(), HandedError> {
        let Some(allowed) = access.mode else { return Ok(()) };
        let found = std::fs::symlink_metadata(path).map(|file| file.permissions().mode() & 0o777);
        match found {
            Ok(found) if found & !allowed & 0o222 != 0 => {
                Err(HandedError::Mode { handed: self.to_string(), found, allowed })
            }
            Ok(_) => Ok(()),
            Err(source) => Err(self.unusable(source)),
        }
    }

    fn into_datagrams(self, is_local: bool) -> Result<DatagramSocket, HandedError> {
        let passing = |socket: &Socket| if is_local { socket.set_passcred(true) } else { Ok(()) };
        let text = self.to_string();
        let made = self.finish(passing).map(|socket| DatagramSocket::of_handed(socket, is_local))?;
        made.map_err(|source| HandedError::Unusable { handed: text, source, remedy: "" })
    }

    /// The socket, after `prepare`.
    fn finish(self, prepare: impl FnOnce(&Socket) -> io::Result<()>) -> Result<Socket, HandedError> {
        match prepare(&self.socket) {
            Ok(()) => Ok(self.socket),
            Err(source) => Err(self.unusable(source)),
        }
    }

    fn unusable(&self, source: io::Error) -> HandedError {
        // The manager has accepted a client and hands over the connection.
        let is_connection = self.socket.peer_addr().is_ok();
        let remedy =
            if is_connection { "; it is a connection: set Accept=no in the socket unit" } else { "" };
        HandedError::Unusable { handed: self.to_string(), source, remedy }
    }
}

impl fmt::Display for Handed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(address) => write!(out, "{address}")?,
            Address::Udp(address) => write!(out, "UDP {address}")?,
            Address::Stream(path) => write!(out, "{}", path.display())?,
            Address::Datagram(path) => write!(out, "{} for datagrams", path.display())?,
            Address::Other => write!(out, "of an unknown kind")?,
        }
        write!(out, " ({:?})", self.name)
    }
}

/// The names of `count` sockets, which `names` separates by colons. A socket without one is called `unknown`, as by
/// systemd.
fn names(count: &str, names: &str) -> Result<Vec<String>, HandedError> {
    let number: u16 = count.parse().map_err(|_| HandedError::Count(count.to_owned()))?;
    let mut names = names.split(':');
    let name = || names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
    Ok(std::iter::repeat_with(name).take(number.into()).collect())
}

/// Takes `descriptor`, which the manager has handed to this process, and keeps it from programs that this process
/// starts.
fn take_descriptor(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_SETFD takes no pointer.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The descriptor is open. The manager says by LISTEN_PID that it is for this process, and `take` runs once,
    // before the process opens a descriptor, so nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::net::{TcpStream, UdpSocket};
    use std::os::unix::net::UnixDatagram;

    /// A manager's socket.
    fn handed(socket: impl Into<OwnedFd>) -> HandedSockets {
        let socket = Socket::from(socket.into());
        HandedSockets {
            left: vec![Handed::new("web.socket".to_owned(), socket).unwrap()],
            files_of_old_process: None,
        }
    }

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("gripwire-handed-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_socket_is_used_for_the_port_with_its_kind_and_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut tcp = handed(listener);
        assert!(tcp.check(&[SocketPlace::Tcp(address)]).is_ok());
        assert!(tcp.udp(address).unwrap().is_empty());
        assert_eq!(tcp.tcp(address).unwrap().len(), 1);
        assert!(tcp.tcp(address).unwrap().is_empty(), "it is in use");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut udp = handed(socket);
        let error = udp.check(&[SocketPlace::Tcp(address)]).unwrap_err().to_string();
        assert!(error.contains(&format!("UDP {address} (\"web.socket\")")), "{error}");
        assert_eq!(udp.udp(address).unwrap().len(), 1);
    }

    #[test]
    fn a_socket_for_all_addresses_of_both_versions_is_one_for_all_of_the_first() {
        let Ok(listener) = TcpListener::bind("[::]:0") else { return };
        let address = listener.local_addr().unwrap();
        let sockets = handed(listener);
        let is_at = |ip: &str| {
            let place = SocketAddr::new(ip.parse().unwrap(), address.port());
            sockets.check(&[SocketPlace::Tcp(place)]).is_ok()
        };
        assert!(is_at("::") && is_at("0.0.0.0") && !is_at("127.0.0.1") && !is_at("::1"));
        sockets.left[0].socket.set_only_v6(true).unwrap_err();
        let narrow = Socket::new(socket2::Domain::IPV6, Type::STREAM, None).unwrap();
        narrow.set_only_v6(true).unwrap();
        narrow.bind(&SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
        let port = narrow.local_addr().unwrap().as_socket().unwrap().port();
        let places = [SocketPlace::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))];
        assert!(handed(narrow).check(&places).is_err());
    }

    #[test]
    fn a_file_that_is_open_to_more_users_than_the_settings_allow_is_refused() {
        let path = path("mode");
        let (listener, sender) = (UnixListener::bind(&path).unwrap(), UnixDatagram::unbound().unwrap());
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let take =
            |mode| handed(listener.try_clone().unwrap()).unix(&path, Access { mode, ..Access::default() });
        let error = take(Some(0o660)).unwrap_err().to_string();
        assert!(error.contains("SocketMode=0660") && error.contains("has mode 666"), "{error}");
        assert!(take(Some(0o666)).unwrap().is_some() && take(None).unwrap().is_some());
        assert!(handed(sender).check(&[SocketPlace::Datagram(&path)]).is_err(), "it has no address");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_connection_is_no_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _client = TcpStream::connect(address).unwrap();
        let error = handed(listener.accept().unwrap().0).tcp(address).unwrap_err().to_string();
        assert!(error.contains("Accept=no"), "{error}");
    }

    #[test]
    fn each_socket_has_a_name() {
        assert_eq!(names("3", "a::b").unwrap(), ["a", "unknown", "b"]);
        assert_eq!(names("2", "").unwrap(), ["unknown", "unknown"]);
        assert_eq!(names("0", "a").unwrap(), [""; 0]);
        assert!(names("-1", "").unwrap_err().to_string().contains("\"-1\""));
    }

    #[test]
    fn sockets_of_an_old_process_are_found_by_their_addresses_and_the_rest_is_closed() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let file = std::env::temp_dir().join(format!("gripwire-handed-{}", std::process::id()));
        let group = super::super::bind(any, 1).unwrap();
        let address = group[0].local_addr().unwrap();
        let beside = super::super::bind_beside(address, 1).unwrap();
        let gone = TcpListener::bind(any).unwrap();
        let gone_address = gone.local_addr().unwrap();
        let udp = std::net::UdpSocket::bind(any).unwrap();
        let udp_address = udp.local_addr().unwrap();
        let datagrams = UnixDatagram::bind(&file).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let mut sockets: Vec<OwnedFd> = vec![gone.into(), udp.into(), datagrams.into()];
        sockets.extend(group.into_iter().chain(beside).map(OwnedFd::from));
        let sockets = sockets.into_iter().enumerate().map(|(index, socket)| (socket, index == 1)).collect();
        let mut handed = HandedSockets::of_old_process(sockets, vec![file.clone()]).unwrap();
        assert!(handed.are_managed(SocketPlace::Udp(udp_address)));
        assert!(!handed.are_managed(SocketPlace::Tcp(address)));
        handed.check(&[]).unwrap();
        assert_eq!(handed.tcp(address).unwrap().len(), 2);
        assert_eq!(handed.tcp(address).unwrap().len(), 0);
        assert_eq!(handed.udp(udp_address).unwrap().len(), 1);
        assert_eq!(handed.udp(address).unwrap().len(), 0);
        assert!(handed.unix(&file, Access::default()).unwrap().is_none(), "it takes datagrams");
        assert!(handed.unix_datagram(&file, 0o600).unwrap().is_some());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::net::TcpStream::connect(gone_address).unwrap();
        assert_eq!(handed.unused_files().len(), 1);
        let mut owned = handed.file(&file).unwrap();
        assert!(handed.file(&file).is_none() && handed.unused_files().is_empty());
        drop(handed);
        std::net::TcpStream::connect(gone_address).unwrap_err();
        owned.arm();
        drop(owned);
        assert!(!file.exists());
    }
}
