//! The destination of `gripwire publish`, read from `--spec`. `publish` parses it and sends the message to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::control_port::{ControlPort, Credentials, SpecError};
use super::item::{self, ItemError};
use super::outcome::{Outcome, PostError};
#[cfg(feature = "zeromq")]
use super::push;
use super::{datagram, local, post};

/// The address of a server, by transport.
#[derive(Debug)]
pub enum Destination {
    /// A control port.
    ControlPort(ControlPort),
    /// A Unix stream socket that serves the calls of the control port.
    UnixStream(PathBuf),
    /// A UDP address: a host and a port.
    Udp(String),
    /// A Unix datagram socket.
    UnixDatagram(PathBuf),
    /// A ZeroMQ PULL socket, as an address of libzmq.
    #[cfg(feature = "zeromq")]
    ZeroMq(String),
}

impl Destination {
    /// Reads a URL. `now_s` is the Unix time at which a token is made.
    ///
    /// # Errors
    /// Why publishing to the URL is impossible.
    pub fn parse(spec: &str, credentials: Option<Credentials>, now_s: u64) -> Result<Self, SpecError> {
        let destination = match spec.split_once("://") {
            Some(("unix", path)) => Destination::UnixStream(path.into()),
            Some(("unixgram", path)) => Destination::UnixDatagram(path.into()),
            Some(("udp", address)) => Destination::Udp(with_port(address.trim_end_matches('/'))),
            #[cfg(feature = "zeromq")]
            Some(("tcp" | "ipc", _)) => Destination::ZeroMq(spec.to_owned()),
            _ => return ControlPort::parse(spec, credentials, now_s).map(Destination::ControlPort),
        };
        if credentials.is_some() {
            return Err(SpecError::NoCredentials(spec.to_owned()));
        }
        match &destination {
            Destination::UnixStream(path) | Destination::UnixDatagram(path) if !path.is_absolute() => {
                Err(SpecError::NotAPath(spec.to_owned()))
            }
            _ => Ok(destination),
        }
    }

    /// Whether credentials would be sent over a network in the clear.
    pub fn shows_secrets(&self) -> bool {
        matches!(self, Destination::ControlPort(port) if port.shows_secrets())
    }

    /// Sends the publish call `call`. With `wait`, the server is asked for a receipt and waits that long for it.
    ///
    /// # Errors
    /// Why the message was not sent or not accepted.
    pub fn send(&self, call: &[u8], wait: Option<Duration>) -> Result<Outcome, SendError> {
        match self {
            Destination::ControlPort(port) => return Ok(post::post(port, call, wait)?),
            Destination::UnixStream(path) => return Ok(local::post(path, call, wait)?),
            _ if wait.is_some() => return Err(SendError::NoReceipt(self.to_string())),
            Destination::Udp(address) => datagram::send_by_udp(address, &item::datagram(call)?)?,
            Destination::UnixDatagram(path) => datagram::send_to_file(path, &item::datagram(call)?)?,
            #[cfg(feature = "zeromq")]
            Destination::ZeroMq(endpoint) => push::push(endpoint, &item::message(call)?)?,
        }
        Ok(Outcome::Sent)
    }
}

/// Why a message was not sent or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The message cannot be encoded.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The destination does not answer, so it cannot give a receipt.
    #[error("{0} gives no receipts: publish to the control port, or to unix:///PATH, or leave out --receipt")]
    NoReceipt(String),
    /// The server could not be reached, or it refused the message.
    #[error(transparent)]
    Post(#[from] PostError),
}

impl fmt::Display for Destination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::ControlPort(port) => write!(out, "{port}"),
            Destination::UnixStream(path) => write!(out, "unix://{}", path.display()),
            Destination::Udp(address) => write!(out, "udp://{address}"),
            Destination::UnixDatagram(path) => write!(out, "unixgram://{}", path.display()),
            #[cfg(feature = "zeromq")]
            Destination::ZeroMq(endpoint) => write!(out, "{endpoint}"),
        }
    }
}

/// Adds the default port to an address without a port.
fn with_port(address: &str) -> String {
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    // The last group of an IPv6 address without brackets looks like a port.
    let is_bare_v6 = address.matches(':').count() > 1 && !address.starts_with('[');
    match (has_port, is_bare_v6) {
        (_, true) => format!("[{address}]:{UDP_PORT}"),
        (true, false) => address.to_owned(),
        (false, false) => format!("{address}:{UDP_PORT}"),
    }
}

/// The default of `ingest.udp`.
const UDP_PORT: u16 = 5565;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(spec: &str) -> Result<String, String> {
        let destination = Destination::parse(spec, None, 0);
        destination.map(|it| it.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_way_has_a_scheme() {
        for (spec, destination) in [
            ("http://localhost:5561", "http://localhost:5561/publish/"),
            ("unix:///run/g.sock", "unix:///run/g.sock"),
            ("unixgram:///run/g.sock", "unixgram:///run/g.sock"),
            ("udp://localhost", "udp://localhost:5565"),
            ("udp://127.0.0.1:9/", "udp://127.0.0.1:9"),
            ("udp://[::1]:9", "udp://[::1]:9"),
            ("udp://::1", "udp://[::1]:5565"),
            #[cfg(feature = "zeromq")]
            ("tcp://localhost:5560", "tcp://localhost:5560"),
            #[cfg(feature = "zeromq")]
            ("ipc:///run/pull", "ipc:///run/pull"),
        ] {
            assert_eq!(shown(spec).as_deref(), Ok(destination));
        }
    }

    #[test]
    fn relative_paths_and_useless_credentials_are_refused() {
        assert!(shown("unix://g.sock").unwrap_err().contains("three slashes"));
        let bearer = Some(Credentials::Bearer("t".into()));
        let error = Destination::parse("udp://localhost", bearer, 0).unwrap_err().to_string();
        assert!(error.contains("no credentials"), "{error}");
    }
}
