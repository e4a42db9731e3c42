//! What ports offer to who connects: TLS 1.2 and 1.3, HTTP/1.1, and sessions that go on. Tickets are good on every core and
//! port, as one key encrypts them, which is made at start and changes every six hours.

use super::certificates::Certificates;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ServerSessionMemoryCache;
use std::path::PathBuf;
use std::sync::Arc;

/// Sessions of clients that know no tickets.
const SESSIONS: usize = 10_000;
/// What is spoken, as clients ask for it (RFC 7301); who asks for something else alone is refused. curl asks for the latter.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// What one port agrees to; the same for all cores.
pub type Offer = Arc<ServerConfig>;

/// A port that could answer nobody, or TLS as such.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// There is no certificate for anyone.
    #[error(
        "there is no certificate for TLS on port {port}: put default_{port}.crt and default_{port}.key, or NAME.crt and \
         NAME.key of a host, into {}, or name their directory by `certificates` in [http]",
        .directory.display()
    )]
    NoCertificate {
        /// The port.
        port: u16,
        /// Where they are looked for.
        directory: PathBuf,
    },
    /// The library refuses.
    #[error("TLS: {0}")]
    Library(#[from] rustls::Error),
}

/// What each of `ports` offers.
pub fn offers(certificates: &Arc<Certificates>, ports: &[u16]) -> Result<Vec<Offer>, NoTls> {
    let ticketer = ring::Ticketer::new()?;
    let sessions = ServerSessionMemoryCache::new(SESSIONS);
    let offer = |port: &u16| {
        if !certificates.serve(*port) {
            let directory = certificates.directory().to_owned();
            return Err(NoTls::NoCertificate { port: *port, directory });
        }
        let provider = Arc::new(ring::default_provider());
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
