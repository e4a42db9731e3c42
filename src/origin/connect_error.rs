//! Why there is no connection to an application. The texts are for the operator: what was tried, and what to change.

use std::io;
use std::net::SocketAddr;

/// Why there is no connection to a target.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("looking up {host}: {source}; check the name and the system's resolver")]
    Resolve {
        /// The name that was looked up.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// The target is `untrusted`, and none of its addresses is on the public Internet.
    #[error(
        "{host} is in a private network, or another that the Internet does not reach, and the target is `untrusted`"
    )]
    Private {
        /// The target's host name.
        host: String,
    },
    /// All addresses that the target may use are this server's own, on a port for operators or publishers.
    #[error(
        "{host}:{port} is this server's port for operators or publishers, which links and filters must not reach"
    )]
    OwnPort {
        /// The target's host name.
        host: String,
        /// The target's port.
        port: u16,
    },
    /// No address accepted the connection.
    #[error("{}; check that the application listens there", list(.refused))]
    Tcp {
        /// The addresses in the order of trying, each with its error.
        refused: Vec<(SocketAddr, io::Error)>,
    },
    /// The TLS handshake failed.
    #[error(
        "TLS with {name}: {source}; the target properties host, trust_connect_host and insecure change what is verified"
    )]
    Tls {
        /// The name that the certificate was verified against.
        name: String,
        /// The error of the handshake.
        source: io::Error,
    },
    /// Name lookup, TCP and TLS together took too long.
    #[error("{}no connection within {timeout_ms} ms (connect_timeout_ms)", those_before(.refused))]
    TimedOut {
        /// The value of `connect_timeout_ms`.
        timeout_ms: u64,
        /// The addresses that had failed by then, each with its error.
        refused: Vec<(SocketAddr, io::Error)>,
    },
}

fn list(refused: &[(SocketAddr, io::Error)]) -> String {
    let one = |(address, error): &(SocketAddr, io::Error)| format!("connecting to {address}: {error}");
    refused.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn those_before(refused: &[(SocketAddr, io::Error)]) -> String {
    if refused.is_empty() { String::new() } else { format!("{}; ", list(refused)) }
}
