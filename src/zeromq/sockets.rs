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
    /// The files of `ipc://` addresses, which libzmq would not remove.
    pub(super) files: Vec<SocketFile>,
}

impl Sockets {
    /// Opens the sockets that the settings name, `None` if they name none. Messages may be as long as publish calls.
    ///
    /// # Errors
    /// An address cannot be used, or libzmq failed.
    pub fn open(config: &Config) -> Result<Option<Sockets>, ZeroMqError> {
        let settings = &config.zeromq;
        let message_bytes = config.control.body_bytes;
        let opening = Opening { context: Context::new(), settings, message_bytes, files: RefCell::default() };
        let pull = settings.pull.as_ref().map(|endpoint| opening.pull(endpoint)).transpose()?;
        let sub = (!settings.sub.is_empty()).then(|| opening.sub()).transpose()?;
        let command = settings.command.as_ref().map(|endpoint| opening.command(endpoint)).transpose()?;
        let stats = config.stats.socket.as_ref().map(|endpoint| opening.stats(endpoint)).transpose()?;
        if pull.is_none() && sub.is_none() && command.is_none() && stats.is_none() {
            return Ok(None);
        }
        let publisher = stats.map(|socket| Publisher::new(socket, config.stats.format));
        let bound_sub = settings.sub.first().filter(|_| !settings.sub_connect);
        let uris = [("command", settings.command.as_ref()), ("publish-pull", settings.pull.as_ref())];
        let uris = uris.into_iter().chain([("publish-sub", bound_sub)]);
        let uris = uris.filter_map(|(name, endpoint)| Some((name, endpoint?.to_string()))).collect();
        Ok(Some(Sockets { pull, sub, command, publisher, uris, files: opening.files.into_inner() }))
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

struct Opening<'s> {
    context: Context,
    settings: &'s ZeroMq,
    message_bytes: usize,
    files: RefCell<Vec<SocketFile>>,
}

impl Opening<'_> {
    fn pull(&self, endpoint: &Endpoint) -> Result<Socket, ZeroMqError> {
        let socket = self.socket(SocketType::PULL)?;
        socket.set_rcvhwm(PULL_MESSAGES).map_err(unusable)?;
        self.bind(&socket, PULL, endpoint)?;
        Ok(socket)
    }

    fn sub(&self) -> Result<Socket, ZeroMqError> {
        let socket = self.socket(SocketType::SUB)?;
        socket.set_rcvhwm(SUB_MESSAGES).map_err(unusable)?;
        for endpoint in &self.settings.sub {
            match self.settings.sub_connect {
                true => connect(&socket, endpoint)?,
                false => self.bind(&socket, SUB, endpoint)?,
            }
        }
        Ok(socket)
    }

    /// Opens a ROUTER socket, which serves many REQ sockets at the same time.
    fn command(&self, endpoint: &Endpoint) -> Result<Socket, ZeroMqError> {
        let socket = self.socket(SocketType::ROUTER)?;
        self.bind(&socket, COMMAND, endpoint)?;
        Ok(socket)
    }

    fn stats(&self, endpoint: &Endpoint) -> Result<Socket, ZeroMqError> {
        let socket = self.socket(SocketType::PUB)?;
        socket.set_sndhwm(STATS_MESSAGES).map_err(unusable)?;
        self.bind(&socket, STATS, endpoint)?;
        Ok(socket)
    }

    fn socket(&self, kind: SocketType) -> Result<Socket, ZeroMqError> {
        let socket = self.context.socket(kind).map_err(unusable)?;
        socket.set_linger(0).map_err(unusable)?;
        socket.set_maxmsgsize(self.message_bytes as i64).map_err(unusable)?;
        Ok(socket)
    }

    fn bind(&self, socket: &Socket, setting: &'static str, endpoint: &Endpoint) -> Result<(), ZeroMqError> {
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
        if let Some(file) = endpoint.file() {
            let owned = self.own(file).map_err(|error| refused(error.to_string()))?;
            self.files.borrow_mut().push(owned);
        }
        tracing::info!(%endpoint, setting, "bound a ZeroMQ socket");
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

fn connect(socket: &Socket, endpoint: &Endpoint) -> Result<(), ZeroMqError> {
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
    tracing::info!(%endpoint, "connecting to a ZeroMQ publisher");
    Ok(())
}

fn unusable(error: zmq::Error) -> ZeroMqError {
    ZeroMqError::Unusable(error.to_string())
}
