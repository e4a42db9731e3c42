//! Opens the sockets that the settings name: binds or connects them, and owns the files of bound Unix sockets.

use super::publisher::Publisher;
use super::{COMMAND, PULL, STATS, SUB, ZeroMqError};
use crate::config::{Config, Endpoint, ZeroMq};
use crate::wire::SocketFile;
use std::cell::RefCell;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use zmq::{Context, Socket, SocketType};

/// Most messages that wait in a socket for each connection. Beyond that, publishers with PUSH sockets wait, and those with
/// PUB sockets drop messages.
const PULL_MESSAGES: i32 = 1_000;
const SUB_MESSAGES: i32 = 10_000;
/// Most stats messages that wait for each subscriber; further messages are lost for it, as with Pushpin.
const STATS_MESSAGES: i32 = 200_000;

/// The sockets that the settings name.
pub struct Sockets {
    pub(super) pull: Option<Socket>,
    pub(super) sub: Option<Socket>,
    pub(super) command: Option<Socket>,
    pub(super) publisher: Option<Publisher>,
    /// The answer to the command get-zmq-uris.
    pub(super) uris: Vec<(&'static str, String)>,
    pub(super) addresses: Addresses,
}

/// The addresses of the sockets, which are bound and connected together.
pub(super) struct Addresses {
    context: Context,
    settings: ZeroMq,
    stats: Option<Endpoint>,
    /// Most bytes of a message.
    message_bytes: usize,
    /// The files of `ipc://` addresses that are bound, which libzmq would not remove.
    files: RefCell<Vec<SocketFile>>,
    /// The addresses that are in use, each with its setting, as libzmq writes them.
    in_use: RefCell<Vec<(&'static str, String)>>,
}

impl Sockets {
    /// Opens the sockets that the settings name, `None` if they name none. Messages may be as long as publish calls. With
    /// `are_bound`, they are bound and connected at once, otherwise when [`Running::serve`](super::Running::serve) says
    /// so.
    ///
    /// # Errors
    /// An address cannot be used, or libzmq failed.
    pub fn open(config: &Config, are_bound: bool) -> Result<Option<Sockets>, ZeroMqError> {
        let (settings, stats) = (&config.zeromq, config.stats.socket.clone());
        let has_sub = !settings.sub.is_empty();
        if settings.pull.is_none() && !has_sub && settings.command.is_none() && stats.is_none() {
            return Ok(None);
        }
        let addresses = Addresses {
            context: Context::new(),
            settings: settings.clone(),
            stats,
            message_bytes: config.control.body_bytes,
            files: RefCell::default(),
            in_use: RefCell::default(),
        };
        let pull = settings.pull.is_some().then(|| addresses.pull()).transpose()?;
        let sub = has_sub.then(|| addresses.sub()).transpose()?;
        let command = settings.command.is_some().then(|| addresses.command()).transpose()?;
        let stats = addresses.stats.is_some().then(|| addresses.publisher()).transpose()?;
        let publisher = stats.map(|socket| Publisher::new(socket, config.stats.format));
        let bound_sub = settings.sub.first().filter(|_| !settings.sub_connect);
        let uris = [("command", settings.command.as_ref()), ("publish-pull", settings.pull.as_ref())];
        let uris = uris.into_iter().chain([("publish-sub", bound_sub)]);
        let uris = uris.filter_map(|(name, endpoint)| Some((name, endpoint?.to_string()))).collect();
        if are_bound {
            let stats = publisher.as_ref().map(Publisher::socket);
            addresses.bind(pull.as_ref(), sub.as_ref(), command.as_ref(), stats)?;
        }
        Ok(Some(Sockets { pull, sub, command, publisher, uris, addresses }))
    }

    /// Whether there is a SUB socket, which needs the interest in channels.
    pub fn listens(&self) -> bool {
        self.sub.is_some()
    }

    /// Whether there is a stats socket.
    pub fn watches(&self) -> bool {
        self.publisher.is_some()
    }
}

impl Addresses {
    /// Binds or connects the sockets.
    ///
    /// # Errors
    /// An address cannot be used. [`release`](Addresses::release) undoes what was done.
    pub fn bind(
        &self,
        pull: Option<&Socket>,
        sub: Option<&Socket>,
        command: Option<&Socket>,
        stats: Option<&Socket>,
    ) -> Result<(), ZeroMqError> {
        let settings = &self.settings;
        let bind = |setting, socket: Option<&Socket>, endpoint: Option<&Endpoint>| match (socket, endpoint) {
            (Some(socket), Some(endpoint)) => self.bind_one(socket, setting, endpoint),
            _ => Ok(()),
        };
        bind(PULL, pull, settings.pull.as_ref())?;
        for endpoint in &settings.sub {
            match (sub, settings.sub_connect) {
                (Some(sub), true) => self.connect(sub, endpoint)?,
                (sub, _) => bind(SUB, sub, Some(endpoint))?,
            }
        }
        bind(COMMAND, command, settings.command.as_ref())?;
        bind(STATS, stats, self.stats.as_ref())
    }

    /// Gives up the addresses of a SUB and a PUB socket, whose subscriptions stay. Removes the files of all sockets; the
    /// other kinds of sockets are closed by the caller.
    pub fn release(&self, sub: Option<&Socket>, stats: Option<&Socket>) {
        self.files.borrow_mut().clear();
        for (setting, address) in self.in_use.take() {
            // An address that is not in use any more is what is wanted.
            let _ = match setting {
                SUB if self.settings.sub_connect => sub.map(|socket| socket.disconnect(&address)),
                SUB => sub.map(|socket| socket.unbind(&address)),
                STATS => stats.map(|socket| socket.unbind(&address)),
                _ => None,
            };
        }
    }

    /// A PULL socket without an address.
    pub fn pull(&self) -> Result<Socket, ZeroMqError> {
        let socket = self.socket(SocketType::PULL)?;
        socket.set_rcvhwm(PULL_MESSAGES).map_err(unusable)?;
        Ok(socket)
    }

    fn sub(&self) -> Result<Socket, ZeroMqError> {
        let socket = self.socket(SocketType::SUB)?;
        socket.set_rcvhwm(SUB_MESSAGES).map_err(unusable)?;
        Ok(socket)
    }

    /// A ROUTER socket without an address, which serves many REQ sockets at the same time.
    pub fn command(&self) -> Result<Socket, ZeroMqError> {
        self.socket(SocketType::ROUTER)
    }

    fn publisher(&self) -> Result<Socket, ZeroMqError> {
        let socket = self.socket(SocketType::PUB)?;
        socket.set_sndhwm(STATS_MESSAGES).map_err(unusable)?;
        Ok(socket)
    }

    fn socket(&self, kind: SocketType) -> Result<Socket, ZeroMqError> {
        let socket = self.context.socket(kind).map_err(unusable)?;
        socket.set_linger(0).map_err(unusable)?;
        socket.set_maxmsgsize(self.message_bytes as i64).map_err(unusable)?;
        Ok(socket)
    }

    fn bind_one(
        &self,
        socket: &Socket,
        setting: &'static str,
        endpoint: &Endpoint,
    ) -> Result<(), ZeroMqError> {
        let refused =
            |reason: String| ZeroMqError::Endpoint { setting, endpoint: endpoint.to_string(), reason };
        // libzmq would replace the file even if another process serves it.
        if endpoint.file().is_some_and(|file| UnixStream::connect(file).is_ok()) {
            return Err(refused("another process serves this Unix socket".to_owned()));
        }
        socket.set_ipv6(endpoint.as_str().contains('[')).map_err(unusable)?;
        // Pushpin creates the directory too.
        if let Some(directory) = endpoint.file().and_then(Path::parent) {
            std::fs::create_dir_all(directory).map_err(|error| refused(error.to_string()))?;
        }
        socket.bind(endpoint.as_str()).map_err(|error| refused(error.to_string()))?;
        let address = socket.get_last_endpoint().ok().and_then(Result::ok);
        self.in_use.borrow_mut().push((setting, address.unwrap_or_else(|| endpoint.to_string())));
        if let Some(file) = endpoint.file() {
            let owned = self.own(file).map_err(|error| refused(error.to_string()))?;
            self.files.borrow_mut().push(owned);
        }
        tracing::info!(%endpoint, setting, "bound a ZeroMQ socket");
        Ok(())
    }

    fn connect(&self, socket: &Socket, endpoint: &Endpoint) -> Result<(), ZeroMqError> {
        // A lost publisher is noticed after 30 s + 6 × 5 s, as by Pushpin.
        socket.set_tcp_keepalive(1).map_err(unusable)?;
        socket.set_tcp_keepalive_idle(30).map_err(unusable)?;
        socket.set_tcp_keepalive_cnt(6).map_err(unusable)?;
        socket.set_tcp_keepalive_intvl(5).map_err(unusable)?;
        socket.set_ipv6(true).map_err(unusable)?;
        let refused = |error: zmq::Error| ZeroMqError::Endpoint {
            setting: SUB,
            endpoint: endpoint.to_string(),
            reason: error.to_string(),
        };
        socket.connect(endpoint.as_str()).map_err(refused)?;
        self.in_use.borrow_mut().push((SUB, endpoint.to_string()));
        tracing::info!(%endpoint, "connecting to a ZeroMQ publisher");
        Ok(())
    }

    /// Takes ownership of the file, so that it is removed with the server, and sets its mode.
    fn own(&self, file: &Path) -> io::Result<SocketFile> {
        let owned = SocketFile::of_bound(file)?;
        if let Some(mode) = self.settings.ipc_mode {
            std::fs::set_permissions(file, Permissions::from_mode(mode))?;
        }
        Ok(owned)
    }
}

fn unusable(error: zmq::Error) -> ZeroMqError {
    ZeroMqError::Unusable(error.to_string())
}
