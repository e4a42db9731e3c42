//! The TLS configuration of ports: TLS 1.2 and 1.3, HTTP/1.1, and session resumption. One key encrypts the session
//! tickets, so a ticket is valid on every core and port. The key is made at start and changes every six hours.

use super::certificates::Certificates;
use super::lean;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ServerSessionMemoryCache;
use std::path::PathBuf;
use std::sync::Arc;

/// Sessions that are remembered for clients without support for tickets.
const SESSIONS: usize = 10_000;
/// The protocols that ALPN (RFC 7301) accepts; a client that asks for other protocols only is refused. curl can ask
/// for HTTP/1.0.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// The TLS configuration of one port, shared by all cores.
pub type Offer = Arc<ServerConfig>;

/// Why TLS cannot be offered on a port.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// No certificate in the directory is usable on the port.
    #[error(
        "there is no certificate for TLS on port {port}: put default_{port}.crt and default_{port}.key, or NAME.crt and \
         NAME.key of a host, into {}, or set `certificates` in [http] to their directory",
        .directory.display()
    )]
    NoCertificate {
        /// The port.
        port: u16,
        /// The directory where certificates are looked for.
        directory: PathBuf,
    },
    /// rustls refuses the configuration.
    #[error("TLS: {0}")]
    Library(#[from] rustls::Error),
}

/// Makes the TLS configuration of each of `ports`.
///
/// # Errors
/// If there is no certificate for one of the ports, or rustls refuses the configuration.
pub fn offers(certificates: &Arc<Certificates>, ports: &[u16]) -> Result<Vec<Offer>, NoTls> {
    let ticketer = ring::Ticketer::new()?;
    let sessions = ServerSessionMemoryCache::new(SESSIONS);
    let offer = |port: &u16| {
        if !certificates.serve(*port) {
            let directory = certificates.directory().to_owned();
            return Err(NoTls::NoCertificate { port: *port, directory });
        }
        let provider = Arc::new(lean::provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let resolver = Arc::new(certificates.clone().of_port(*port));
        let mut config = versions.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        config.ticketer = ticketer.clone();
        config.session_storage = sessions.clone();
        Ok(Arc::new(config))
    };
    ports.iter().map(offer).collect()
}
