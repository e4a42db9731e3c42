//! Why there is no connection to an application, in the operator's words: what was tried, and what to change.

use std::io;
use std::net::SocketAddr;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("looking up {host}: {source}; check the name and the system's resolver")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// None of its addresses is one of the Internet.
    #[error(
        "{host} is in a private network, or another that the Internet does not reach, and the target is `untrusted`"
    )]
    Private {
        /// The name.
        host: String,
    },
    /// Its addresses, or those of them that are not private, are this server's.
    #[error("{host}:{port} is where this server is operated: no link and no filter may lead there")]
    OwnPort {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
    /// No address took the connection.
    #[error("{}; check that the application listens there", list(.refused))]
    Tcp {
        /// The addresses in the order of trying, and what each said.
        refused: Vec<(SocketAddr, io::Error)>,
    },
    /// The TLS handshake failed.
    #[error(
        "TLS with {name}: {source}; the target properties host, trust_connect_host and insecure change what is verified"
    )]
    Tls {
        /// The name that was to be verified.
        name: String,
        /// What went wrong.
        source: io::Error,
    },
    /// Name, TCP and TLS together took too long.
    #[error("{}no connection within {timeout_ms} ms (connect_timeout_ms)", those_before(.refused))]
    TimedOut {
        /// The setting.
        timeout_ms: u64,
        /// The addresses that had failed by then, and what each said.
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
