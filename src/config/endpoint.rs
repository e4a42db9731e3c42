//! Addresses of ZeroMQ sockets in libzmq's forms: `tcp://address:port` and `ipc://file`. Both config readers call
//! [`Endpoint::parse`]. It checks the form only; whether an address is available shows when the socket is bound. An
//! [`Endpoint`] also says which machines can reach its address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// The address of a ZeroMQ socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// Text that is not the address of a ZeroMQ socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a ZeroMQ address: write tcp://ADDRESS:PORT or ipc://FILE")]
pub struct NotAnEndpoint(String);

impl Endpoint {
    /// Reads an address. A relative path is resolved against `directory`.
    ///
    /// # Errors
    /// The text, if it has neither form.
    pub fn parse(text: &str, directory: &Path) -> Result<Endpoint, NotAnEndpoint> {
        let text = text.trim();
        let read = match text.split_once("://") {
            Some(("tcp", address)) => tcp(address).map(|_| text.to_owned()),
            Some(("ipc", "")) => None,
            Some(("ipc", file)) => Some(format!("ipc://{}", directory.join(file).display())),
            _ => None,
        };
        read.map(Endpoint).ok_or_else(|| NotAnEndpoint(text.to_owned()))
    }

    /// The address as libzmq expects it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a Unix socket; `None` for TCP.
    pub fn file(&self) -> Option<&Path> {
        self.0.strip_prefix("ipc://").map(Path::new)
    }

    /// Whether only processes on this machine can connect.
    pub fn is_local(&self) -> bool {
        let Some((host, _)) = self.0.strip_prefix("tcp://").and_then(tcp) else { return true };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host == "lo" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// The TCP address on which a socket bound to this endpoint listens; `None` for a Unix socket. Host names and
    /// interface names count as 0.0.0.0.
    pub fn bound(&self) -> Option<SocketAddr> {
        let (host, port) = self.0.strip_prefix("tcp://").and_then(tcp)?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        Some(SocketAddr::new(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port))
    }

    /// This endpoint with `offset` added to its TCP port; `None` if the port would pass 65535. A Unix socket stays as
    /// it is.
    pub fn offset(&self, offset: u16) -> Option<Endpoint> {
        match self.0.strip_prefix("tcp://").and_then(tcp) {
            Some((host, port)) => Some(Endpoint(format!("tcp://{host}:{}", port.checked_add(offset)?))),
            None => Some(self.clone()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Splits `host:port`.
fn tcp(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':').filter(|(host, _)| !host.is_empty())?;
    // With port 0 the kernel would choose the port, and no client could know it.
    port.parse().ok().filter(|port| *port != 0).map(|port| (host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, NotAnEndpoint> {
        Endpoint::parse(text, Path::new("/etc/gripwire"))
    }

    #[test]
    fn addresses_are_read_and_files_resolved() {
        for text in
            ["tcp://127.0.0.1:5560", "tcp://*:1", "tcp://[::1]:5560", "tcp://localhost:9", "ipc:///run/x"]
        {
            assert_eq!(parse(text).unwrap().as_str(), text);
        }
        assert_eq!(parse("ipc://x").unwrap().file(), Some(Path::new("/etc/gripwire/x")));
        for text in [
            "",
            "5560",
            "tcp://",
            "tcp://:1",
            "tcp://h",
            "tcp://h:0",
            "tcp://h:70000",
            "ipc://",
            "inproc://x",
        ] {
            assert!(parse(text).unwrap_err().to_string().contains(&format!("`{text}`")));
        }
    }

    #[test]
    fn who_reaches_it_and_with_which_port() {
        for local in ["tcp://127.0.0.2:1", "tcp://[::1]:1", "tcp://localhost:1", "ipc:///x"] {
            assert!(parse(local).unwrap().is_local(), "{local}");
        }
        for wide in ["tcp://*:1", "tcp://0.0.0.0:1", "tcp://10.0.0.1:1", "tcp://eth0:1"] {
            assert!(!parse(wide).unwrap().is_local(), "{wide}");
        }
        let bound = |text| parse(text).unwrap().bound().map(|address| address.to_string());
        assert_eq!(bound("tcp://*:5560").as_deref(), Some("0.0.0.0:5560"));
        assert_eq!(bound("tcp://[::1]:5560").as_deref(), Some("[::1]:5560"));
        assert_eq!(bound("tcp://eth0:5560").as_deref(), Some("0.0.0.0:5560"));
        assert_eq!(bound("ipc:///x"), None);
        let offset = |text, by| parse(text).unwrap().offset(by).map(|moved| moved.to_string());
        assert_eq!(offset("tcp://*:5560", 10).as_deref(), Some("tcp://*:5570"));
        assert_eq!(offset("ipc:///x", 10).as_deref(), Some("ipc:///x"));
        assert_eq!(offset("tcp://*:65535", 1), None);
    }
}
